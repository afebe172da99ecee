"""``python -m scalarfid.evaluate``: what it writes is right, what it cannot use is one line and exit status 2."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml

from scalarfid.data.config import named
from scalarfid.evaluate import main
from scalarfid.potential import save
from scalarfid.training.metrics import MeanPredictor, errors_of


@pytest.fixture
def words(model_file, frames_file, tmp_path):
    """A whole command line; later words replace earlier ones."""
    sizes = ["dataset.n_train=6", "dataset.n_val=2", "dataset.n_test=4", "dataset.e0=mean"]
    data = ["dataset=file", f"dataset.path={frames_file}", f"dataset.cache={tmp_path / 'cache'}"]
    return [f"model={model_file}", f"out={tmp_path / 'out'}", *data, *sizes]


@pytest.fixture
def run_directory(potential, frames_file, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    save(potential, folder / "model.safetensors")
    keys = {"path": str(frames_file), "n_train": 6, "n_val": 2, "n_test": 4, "e0": "mean"}
    named("file", **keys)  # the keys exist
    config = {"dataset": {"name": "file", **keys, "cache": str(tmp_path / "cache")}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_a_model_file_on_a_named_set_gives_table_plots_and_frames(words, tmp_path, capsys, potential, dataset):
    out = tmp_path / "out"
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "mean predictor" in printed
    assert printed.splitlines()[-1] == str(out)
    names = {"errors.json", "errors.md"} | {f"{k}-{s}" for s in ("train", "val", "test") for k in ("parity", "frames")}
    assert {path.name.removesuffix(".png").removesuffix(".csv") for path in out.iterdir()} == names
    record = json.loads((out / "errors.json").read_text())
    assert record["errors"]["test"] == pytest.approx(errors_of(potential, dataset.test["test"], stress=True))
    baseline = MeanPredictor.of(dataset.train, dataset.e0)
    assert record["mean_predictor"]["test"] == pytest.approx(baseline.errors(dataset.test["test"], stress=True))
    assert len(pd.read_csv(out / "frames-test.csv")) == 4


def test_a_run_directory_is_evaluated_on_its_own_set_and_keeps_the_result(run_directory, capsys):
    assert main([f"model={run_directory}", "splits=test"]) == 0
    folder = run_directory / "evaluation" / "file"
    assert {p.name for p in folder.iterdir()} == {"errors.json", "errors.md", "parity-test.png", "frames-test.csv"}
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)


def test_nothing_of_an_earlier_evaluation_stays_beside_a_later_one(words, tmp_path):
    out = tmp_path / "out"
    assert main([*words, "splits=val"]) == 0
    (out / "frames-mine.csv").write_text("mine")
    assert main([*words, "splits=test"]) == 0
    found = {"errors.json", "errors.md", "parity-test.png", "frames-test.csv", "frames-mine.csv"}
    assert {path.name for path in out.iterdir()} == found


def test_a_folder_that_cannot_be_is_one_line(words, tmp_path, capfd):
    (tmp_path / "file").touch()
    assert main([*words, f"out={tmp_path / 'file' / 'out'}"]) == 2
    assert "Cannot write" in capfd.readouterr().err


def test_precision_can_be_chosen(run_directory, tmp_path):
    errors = {}
    for dtype in ("float32", "float64"):
        assert main([f"model={run_directory}", "splits=val", f"dtype={dtype}", f"out={tmp_path / dtype}"]) == 0
        errors[dtype] = json.loads((tmp_path / dtype / "errors.json").read_text())["errors"]["val"]
    assert errors["float32"] != errors["float64"]
    assert errors["float32"] == pytest.approx(errors["float64"], rel=1e-3)


def test_help_says_what_the_words_mean(capsys):
    assert main(["--help"]) == 0
    assert "run directory or .safetensors file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model=nowhere"], "No model at nowhere"),
        (["modle=file"], "Cannot use 'modle=file'"),
        (["dataset=etanol"], "etanol is not a choice"),
        (["dataset.pth=file"], "pth is not a key"),
        (["dataset.path=missing.xyz"], "missing.xyz"),
        (["dataset=ethanol"], "dataset.path is read by dataset=file only"),
        (["splits=test_600K"], "no frames in 'test_600K'"),
        (["dtype=float16"], "dtype=float16 is not a choice"),
        (["batch_edges=0"], "batch_edges=0 is not"),
        (["device=gpu"], "device=gpu is not a device"),
        (["training.lr=1"], "Cannot use 'training.lr=1'"),
    ],
)
def test_bad_input_is_one_line_and_status_two(words, tmp_path, capfd, changes, message):
    assert main([*words, *changes]) == 2
    captured = capfd.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_model_is_required(capfd):
    assert main(["dataset=ethanol"]) == 2
    assert "No model" in capfd.readouterr().err


def test_a_file_needs_a_dataset(model_file, capfd):
    assert main([f"model={model_file}"]) == 2
    assert "name a dataset" in capfd.readouterr().err


def test_an_element_the_model_does_not_know_is_named(words, tmp_path, capfd):
    from ase.build import molecule
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frames = []
    for i in range(12):
        atoms = molecule("CH4")
        atoms.rattle(0.05, seed=i)
        atoms.calc = SinglePointCalculator(atoms, energy=-float(i), forces=0 * atoms.positions)
        frames.append(atoms)
    write(tmp_path / "methane.xyz", frames)
    assert main([*words, f"dataset.path={tmp_path / 'methane.xyz'}"]) == 2
    assert "Element C is not one this potential was built for" in capfd.readouterr().err
