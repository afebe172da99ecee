"""The command, on a model really trained for a moment: files, settings, what is asked again, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from training.runs import train

import scalarfid
from scalarfid import ScalarFidError
from scalarfid.calculator import ScalarFidCalculator
from scalarfid.data.reference import _MAKERS
from scalarfid.diagnose import main, options_for
from scalarfid.evaluate import main as evaluate
from scalarfid.physics import System, diagnostics, registry, surface
from scalarfid.physics.microcanonical import Course
from scalarfid.physics.microcanonical import run as run_of
from scalarfid.physics.surface import ELEMENTS, OfPotential, answers_or_nan
from scalarfid.potential import load
from scalarfid.results.answers import asked
from scalarfid.results.cells import read_cells


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("diagnosed"), "training.max_epochs=1").directory


def words(run, *others):
    return [f"model={run}", "diagnostics=repulsion", "repulsion.points=20", "reference=none", *others]


def test_many_frames_at_once_are_the_same_as_one_by_one():
    potential = scalarfid.build("mace_tiny", "pan+pgs", elements=["Ag"], cutoff=5.0, dtype="float64")
    frames = [bulk("Ag", cubic=True), bulk("Ag").repeat(2), bulk("Ag", a=3.9)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=k)
    together = OfPotential(potential, max_edges=300)(frames, stress=True)
    alone = surface(ScalarFidCalculator(potential))(frames, stress=True)
    assert np.allclose(together.energy, alone.energy, atol=1e-12, rtol=0)
    assert np.allclose(together.stress, alone.stress, atol=1e-14)
    for one, other in zip(together.forces, alone.forces, strict=True):
        assert np.allclose(one, other, atol=1e-12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_compiled_molecular_dynamics_is_the_same_to_round_off():
    potential = scalarfid.build("mace_tiny", "pan+pgs", elements=["Ag"], cutoff=5.0, dtype="float64")
    records = []
    for quick in (False, True):
        one = surface(potential, compile=quick)
        assert one.calculator() is one.at("float64").calculator()  # sizes are compiled once
        records.append(run_of(one, bulk("Ag").repeat(2), Course(300, 1.0, 0.0, 0.02, 0)))
    assert np.allclose(records[0].total, records[1].total, atol=1e-6, rtol=0)
    assert np.ptp(records[0].kinetic) > 1


def test_a_reference_potential_by_name_is_asked_like_any_other():
    answers = surface("si_sw")([bulk("Si", a=5.431)], stress=True)
    assert np.abs(answers.stress).max() < 1e-3
    with pytest.raises(ScalarFidError, match="no reference potential is called 'sw'"):
        surface("sw")
    with pytest.raises(ScalarFidError, match="no potential-energy surface"):
        surface(molecule("H2O"))


def test_a_reference_answers_for_every_element_that_it_is_said_to_know():
    assert set(ELEMENTS) == set(_MAKERS)
    for name, elements in ELEMENTS.items():
        asked = surface(name)
        for z in elements & {1, 3, 9, 13, 14, 28, 29, 46, 47, 78, 79, 86}:
            assert np.isfinite(asked([Atoms([z, z], [[0, 0, 0], [2.5, 0, 0]])]).energy).all(), (name, z)


def test_a_reference_that_lacks_an_element_is_refused_before_anything_is_asked(run, tmp_path, capsys):
    assert main(words(run, "reference=si_sw", f"out={tmp_path}")) == 2
    assert capsys.readouterr().err == (
        "error: reference=si_sw knows Si, this model has H, C, O; leave reference= out, or give one of xtb, none.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_reference_for_molecules_is_asked_about_no_crystal():
    xtb, silicon = surface("xtb"), System("si", (14,), {"Si diamond": bulk("Si")})
    known = diagnostics()
    for name in ("bsct", "elastic", "nve", "phonons", "rdf", "stability"):
        reason = f"{name} is about Si diamond, and the reference xtb answers for molecules only"
        assert known[name].applies(xtb, silicon) == reason
        assert known[name].applies(surface("si_sw"), silicon) is None
    assert known["repulsion"].applies(xtb, silicon) is None
    assert np.isnan(answers_or_nan(xtb, [bulk("Si")]).energy).all()  # so that its dimers alone are compared


def test_an_answer_has_numbers_settings_and_a_picture(run, capsys):
    assert main(words(run)) == 0
    folder = run / "diagnostics"
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)
    record = json.loads((folder / "repulsion.json").read_text())
    assert record["settings"]["points"] == 20
    assert record["settings"]["furthest"] == 3.5
    assert record["numbers"]["C-O.tortuosity"]["value"] >= 1
    assert len(record["model_sha256"]) == 12
    assert (record["device"], record["compile"]) == ("cpu", False)
    assert record["sources"] == {"ethanol": "CH3CH2OH of ASE's g2 set"}
    assert {"ase", "torch", "phonopy", "matscipy", "tblite"} <= set(record["versions"])
    assert (folder / "repulsion.png").stat().st_size > 1000
    assert np.load(folder / "repulsion.npz")["C-O.force"].shape == (20,)


def test_what_was_answered_is_not_asked_again_unless_something_differs(run, tmp_path):
    def asked(*others):
        file = tmp_path / run.name / "repulsion.json"
        before = file.stat().st_mtime_ns if file.exists() else 0
        assert main(words(run, f"out={tmp_path}", *others)) == 0
        return file.stat().st_mtime_ns != before

    assert asked()
    assert not asked()
    assert asked("dtype=float32")
    assert asked("repulsion.nearest=0.6")
    assert not asked("repulsion.nearest=0.6")
    assert asked("repulsion.nearest=0.6", "force=true")


def test_several_models_are_named_by_a_pattern(run, tmp_path, capsys):
    (run.parent / "unfinished").mkdir(exist_ok=True)
    assert main(["-m", *words(run.parent / "*", f"out={tmp_path}")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / run.name)


def test_what_cannot_be_answered_ends_nothing_else(run, tmp_path, capsys, monkeypatch):
    def missing(*_):
        raise ScalarFidError("phonopy is not installed")

    known = registry.diagnostics()["nve"]
    monkeypatch.setitem(registry._KNOWN, "nve", replace(known, measure=missing, resumes=False))
    damaged = tmp_path / "runs" / "a"
    damaged.mkdir(parents=True)
    (damaged / "model.safetensors").write_bytes(b"")
    (tmp_path / "runs" / run.name).symlink_to(run)
    typed = words(tmp_path / "runs" / "*", "-m", f"out={tmp_path}")
    typed[1] = "diagnostics=nve,repulsion"
    assert main(typed) == 2
    said = capsys.readouterr()
    error = " ".join(said.err.split())
    assert f"{run.name}, nve: not answered: phonopy is not installed" in error
    assert f"Not answered, for the reasons above: a: everything; {run.name}: nve." in error
    assert "Traceback" not in error
    assert (tmp_path / run.name / "repulsion.json").is_file()
    assert said.out.splitlines()[-1] == str(tmp_path / run.name)


def test_a_surprise_in_one_model_ends_nothing_else(run, tmp_path, capsys, monkeypatch):
    def foreign(path):
        if path.name == "a":
            raise RuntimeError("the weights are of another potential")
        return load(path)

    monkeypatch.setattr("scalarfid.diagnose.load", foreign)
    for name in ("a", run.name):
        shutil.copytree(run, tmp_path / "runs" / name, ignore=shutil.ignore_patterns("diagnostics"))
    assert main(["-m", *words(tmp_path / "runs" / "*", f"out={tmp_path}")]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "a: Traceback" in error
    assert "RuntimeError: the weights are of another potential" in error
    assert "Not answered, for the reasons above: a: everything." in error
    assert (tmp_path / run.name / "repulsion.json").is_file()


@pytest.mark.parametrize("text", ["", "dataset: [ag", "seed: 1\n"])
def test_a_configuration_that_was_copied_in_part_is_refused(text, run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "part", ignore=shutil.ignore_patterns("diagnostics"))
    (tmp_path / "part" / "config.yaml").write_text(text)
    assert main(words(tmp_path / "part")) == 2
    assert evaluate([f"model={tmp_path / 'part'}"]) == 2
    error = capsys.readouterr().err
    assert " ".join(error.split()).count("does not say what the run was trained on; copy it again.") == 2
    assert "Traceback" not in error


def test_a_surprise_in_one_question_ends_nothing_else(run, tmp_path, capsys, monkeypatch):
    def foreign(*_):
        raise np.linalg.LinAlgError("the cell of a dimer has no inverse")

    known = registry.diagnostics()["elastic"]
    monkeypatch.setitem(registry._KNOWN, "elastic", replace(known, measure=foreign, needs=(), resumes=False))
    typed = words(run, f"out={tmp_path}")
    typed[1] = "diagnostics=elastic,repulsion"
    assert main(typed) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "elastic: not answered: Traceback" in error
    assert "LinAlgError: the cell of a dimer has no inverse" in error
    assert f"Not answered, for the reasons above: {run.name}: elastic." in error
    assert (tmp_path / run.name / "repulsion.json").is_file()


def test_a_run_that_was_copied_without_its_model_is_refused(run, tmp_path, capsys):
    for copied in (["summary.json"], ["summary.json", "config.yaml"]):
        folder = tmp_path / str(len(copied)) / run.name
        folder.mkdir(parents=True)
        for name in copied:
            shutil.copy(run / name, folder)
        assert main(words(folder)) == 2
        error = capsys.readouterr().err
        assert "was copied without its model.safetensors" in " ".join(error.split())
        assert "Traceback" not in error


def test_a_report_reads_the_headlines_and_notices_another_model(run, tmp_path):
    copy = tmp_path / run.name
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("diagnostics"))
    assert main(words(copy)) == 0
    numbers = json.loads((copy / "diagnostics" / "repulsion.json").read_text())["numbers"]
    (question,) = asked(read_cells([copy])[0])
    (found,) = question.answers.values()
    assert {measure.name for measure in question.measures} == {"mean.soft_range", "total.spurious_minima"}
    assert all(found.value(measure) == numbers[measure.name]["value"] for measure in question.measures)
    (copy / "model.safetensors").write_bytes(b"another")
    assert asked(read_cells([copy])[0])[0].answers == {}


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["diagnostics=repulsion"], "No model; give a run directory"),
        (["model=nowhere"], "nowhere is not a run directory"),
        (["model=nowhere/*", "-m"], "no run directory with a model"),
        (["model=x", "diagnostics=repulsions"], "there are all, "),
        (["model=x", "dtype=float16"], "there are float32, float64"),
        (["model=x", "device=tpu"], "device=tpu is not a device"),
        (["model=x", "diagnostics=repulsion", "repulsion.point=3"], "did you mean 'points'?"),
        (["model=x", "diagnostics=repulsion", "repulsion.points=many"], "points"),
        (["model=x", "diagnostics=repulsion", "phonons.mesh=3"], "Cannot use 'phonons.mesh=3'"),
    ],
)
def test_bad_words_are_one_clear_line(typed, answer, capsys):
    assert main(typed) == 2
    error = capsys.readouterr().err
    assert answer in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("option", "answer"),
    [
        ("repulsion.points=-4", "≥ 8"),
        ("repulsion.nearest=0", "> 0"),
        ("repulsion.compression=2", "> 0 and < 1"),
        ("repulsion.wall_error=-4", "> 0"),
        ("elastic.strain=-1", "> 0 and < 1"),
        ("elastic.volumes=1", "≥ 5"),
        ("elastic.equation=foo", "there are sj, taylor, "),
        ("phonons.supercell=0", "> 0"),
        ("phonons.displacement=0", "> 0"),
        ("nve.timesteps=[]", "give at least one number"),
        ("nve.duration=.inf", "> 0 and finite"),
        ("nve.duration=0.009", "too short; give 10 steps of 2 fs"),
        ("nve.seed=-1", "≥ 0"),
        ("rdf.duration=0.05", "too short; give 5 frames every 20 fs"),
        ("stability.temperatures=[300,-1]", "> 0"),
        ("bsct.bonds=some", "there are published, all"),
        ("bsct.crystal_nearest=2", "give lengths above zero that grow"),
        ("extrapolation.frames=0", "> 0"),
    ],
)
def test_an_option_out_of_range_is_refused_before_any_model_is_read(option, answer, capsys):
    assert main(["model=nowhere", option]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {option.partition('=')[0]}=")
    assert answer in error


def test_zero_is_an_option_where_it_has_a_meaning():
    for option in (
        "nve.settle=0",
        "rdf.melt=0",
        "rdf.settle=0",
        "rdf.seed=0",
        "stability.seed=0",
        "repulsion.furthest=null",
    ):
        assert options_for(diagnostics()[option.partition(".")[0]], [option])


def test_a_scan_that_ends_before_it_begins_is_refused(run, tmp_path, capsys):
    assert main(words(run, "repulsion.nearest=3", "repulsion.furthest=1", f"out={tmp_path}")) == 2
    assert "repulsion.nearest=3 is 1.86 Å for H-H, and the scan ends at 1 Å" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_asked(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(registry.Diagnostic, "ask", pytest.fail)
    (tmp_path / "file").touch()
    assert main(words(run, f"out={tmp_path / 'file'}")) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"error: Cannot write {tmp_path / 'file' / run.name}: Not a directory; give another folder as out=….\n"
    )
    assert said.out == ""


def test_the_help_names_every_diagnostic(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, question in diagnostics().items():
        assert question.about
        assert any(line.startswith(f"{name} ") for line in lines)


def test_every_diagnostic_has_a_file_of_options():
    from scalarfid.config import conf_dir

    assert {path.stem for path in (conf_dir() / "physics").glob("*.yaml")} == set(diagnostics())
