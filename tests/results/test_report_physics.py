"""Physics in a report: verdicts from made-up answers whose outcome is known, and what enters no number."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from results.sweeps import answer, cell, invent, rows
from scipy import stats

from scalarfid.files import digest
from scalarfid.results import writing
from scalarfid.results.artefacts import physics
from scalarfid.results.cells import read_cells
from scalarfid.results.correlation import foretold
from scalarfid.results.groups import groups
from scalarfid.results.physics_figures import physics_pictures
from scalarfid.results.physics_sheets import missing
from scalarfid.results.writing import write_report

RNG = np.random.default_rng(0)
SEEDS = range(5)
NONE = np.array([1.00, 1.10, 0.95, 1.05, 1.02])
NOISE = {arm: 0.02 * RNG.standard_normal(5) for arm in ("none", "pan+pgs", "mlp")}
SIGNS = np.array([1, -1, 1, -1, 1])
TRUTH = 150.0
VALUES = {  # by measure and arm; pan+pgs halves what is wrong in the wall, doubles what is wrong in C11
    "wall": {"none": NONE, "mlp": NONE + NOISE["mlp"], "pan+pgs": 0.5 * NONE + NOISE["pan+pgs"]},
    "slope": {"none": NONE * SIGNS, "mlp": (0.5 * NONE + NOISE["mlp"]) * SIGNS, "pan+pgs": -0.5 * NONE * SIGNS},
    "C11": {"none": TRUTH - NONE, "mlp": TRUTH + NONE + NOISE["mlp"], "pan+pgs": TRUTH + 2 * NONE},
}
BETTER = {"wall": ("less", None), "slope": ("zero", None), "C11": ("reference", TRUTH)}


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures take longest, and are looked at in one test."""
    monkeypatch.setattr(writing, "pictures", lambda *_: [])
    monkeypatch.setattr(writing, "physics_pictures", lambda *_: [])


@pytest.fixture
def folder(sweep, tmp_path):
    """Fifteen cells, each with a model of its own and an answer to one question."""
    errors = {arm: [0.1] * 5 for arm in ("none", "pan+pgs", "mlp")}
    made = invent(cell(sweep, "none", 0), tmp_path / "runs", errors)
    for arm in errors:
        for seed in SEEDS:
            tell(made, arm, seed)
    return made


def tell(folder, arm, seed, **facts):
    """Write the answer of a cell; its model is a few bytes."""
    summary = cell(folder, arm, seed)
    model = summary.parent / "model.safetensors"
    model.write_text(f"{arm} {seed}")
    numbers = {name: (float(of[arm][seed]), *BETTER[name]) for name, of in VALUES.items()}
    return answer(summary, "toy", numbers, **{"model_sha256": digest(model), **facts})


def found_in(folder):
    (group,) = groups(read_cells([folder])[0])
    return physics(group)


def changes(folder):
    return [row.changes for row in found_in(folder).rows]


def report(folder):
    return write_report([folder], folder.parent / "out").page.parent


def deviation(name, arm):
    values = VALUES[name][arm]
    return {"wall": values, "slope": np.abs(values), "C11": np.abs(values - TRUTH)}[name]


def test_rows_follow_from_the_values_by_an_independent_calculation(folder):
    found = rows(report(folder) / "physics.csv")
    assert len(found) == 9  # three numbers; pan+pgs against none and mlp, mlp against none
    p_values = []
    for row in found:
        mine, theirs = deviation(row["number"], row["arm"]), deviation(row["number"], row["reference"])
        test = stats.ttest_rel(mine, theirs)
        assert [float(x) for x in row["changes"].split()] == pytest.approx(list(mine - theirs))
        expected = [(mine - theirs).mean(), *test.confidence_interval(0.95), test.pvalue]
        assert [float(row[key]) for key in ("change", "low", "high", "p")] == pytest.approx(expected)
        p_values.append(test.pvalue)
    adjusted, largest = np.empty(9), 0.0
    for rank, i in enumerate(np.argsort(p_values)):
        largest = adjusted[i] = max(largest, min(1.0, (9 - rank) * p_values[i]))
    assert [float(row["p_holm"]) for row in found] == pytest.approx(list(adjusted))


def test_an_artefact_is_reduced_only_against_both(folder):
    answers = {verdict.measure.name: verdict for verdict in found_in(folder).verdicts}
    wall, slope, c11 = (answers[name] for name in ("wall", "slope", "C11"))
    assert (wall.bare.verdict, wall.control.verdict, wall.answer) == ("reduces", "reduces", "yes")
    assert (slope.bare.verdict, slope.control.verdict, slope.answer) == ("reduces", "cannot tell", "cannot tell")
    assert (c11.bare.verdict, c11.control.verdict, c11.answer) == ("increases", "increases", "no")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"none": 0, "mlp": 0, "pan+pgs": 0}, ("absent in both", "absent in both", "nothing to reduce")),
        ({"none": 1, "mlp": 0, "pan+pgs": 0}, ("cannot tell (no spread)", "absent in both", "cannot tell")),
        ({"none": 1, "mlp": 1, "pan+pgs": 1}, ("cannot tell (no spread)", "cannot tell (no spread)", "cannot tell")),
    ],
)
def test_what_no_model_has_cannot_be_reduced(folder, monkeypatch, found, told):
    for arm, value in found.items():
        monkeypatch.setitem(VALUES["wall"], arm, np.full(5, value))
        for seed in SEEDS:
            tell(folder, arm, seed)
    (wall,) = (verdict for verdict in found_in(folder).verdicts if verdict.measure.name == "wall")
    assert (wall.bare.verdict, wall.control.verdict, wall.answer) == told


def test_runs_that_fail_do_not_leave_the_comparison_to_the_others(folder):
    for seed in (2, 4):
        file = tell(folder, "pan+pgs", seed)
        record = json.loads(file.read_text())
        del record["numbers"]["wall"]
        file.write_text(json.dumps(record))
    (wall,) = (verdict for verdict in found_in(folder).verdicts if verdict.measure.name == "wall")
    assert wall.bare.seeds == [0, 1, 3]
    assert {wall.bare.verdict, wall.control.verdict} == {"cannot tell (2 without a number)"}
    assert wall.answer == "cannot tell"
    tell(folder, "pan+pgs", 2).unlink()  # a seed that was not asked is missing, not failed
    (wall,) = (verdict for verdict in found_in(folder).verdicts if verdict.measure.name == "wall")
    assert wall.bare.without == 1


def test_an_arm_that_was_not_asked_has_no_verdict(folder):
    for seed in SEEDS:
        tell(folder, "pan+pgs", seed).unlink()
    found = found_in(folder)
    assert {row.arm.label for row in found.rows} == {"mlp"}
    assert found.verdicts == []


def test_every_file_shows_them(folder, monkeypatch):
    monkeypatch.setattr(writing, "physics_pictures", physics_pictures)
    out = report(folder)
    text = (out / "report.md").read_text()
    assert "| toy: wall (eV) | pan+pgs | reduces | reduces | yes |" in text
    assert "| toy: C11 (eV) | nearer to the reference | –: 150 | none | 5 | " in text
    assert "s0 1, s1 −1.1, s2 0.95" in text
    assert "toy: 15 of 15 cells, no reference, float64, code 0; points 20" in text
    page = (out / "report.html").read_text()
    assert '<span class="yes">yes</span>' in page
    assert "Physics at a glance" in page
    assert (out / "figures" / "2-physics-toy.svg").stat().st_size > 1000
    assert "toy: C11" in (out / "report.tex").read_text(encoding="ascii")
    numbers = [row for row in rows(out / "cells.csv") if row["metric"] == "physics.toy.wall" and row["arm"] == "mlp"]
    assert [float(row["value"]) for row in numbers] == pytest.approx(list(VALUES["wall"]["mlp"]))


OTHERS = {
    "model": {"model_sha256": "an older one"},
    "code": {"code": "1"},
    "options.points": {"options": {"points": 40}},
    "dtype": {"dtype": "float32"},
    "reference": {"reference": "si_sw"},
    "system": {"system": "y"},
}


def test_an_answer_that_does_not_agree_is_shown_and_enters_no_number(folder):
    tell(folder, "pan+pgs", 3).unlink()
    without = changes(folder)
    for name, facts in OTHERS.items():
        tell(folder, "pan+pgs", 3, **facts)
        assert changes(folder) == without, name
        ((_, differences),) = found_in(folder).asked[0].unequal
        assert [fact for fact, _, _ in differences] == [name]
    out = report(folder)
    assert "| x-pan+pgs-set-s3-0 | toy | system | y | x |" in (out / "report.md").read_text()
    told = {row["compared"] for row in rows(out / "cells.csv") if row["metric"] == "physics.toy.wall"}
    assert told == {"yes", "differs in system"}


def test_answers_of_models_that_were_all_replaced_are_not_compared(folder):
    for file in folder.glob("*/model.safetensors"):
        file.write_text("trained again")
    found = found_in(folder)
    assert found.rows == []
    assert len(found.asked[0].unequal) == 15
    assert found.measures == []
    for file in folder.glob("*/model.safetensors"):
        file.unlink()  # copied without a model: nothing to check against
    assert len(found_in(folder).rows) == 9


def test_of_equally_large_sets_of_answers_the_newer_is_compared(folder):
    for seed in SEEDS:
        for arm in ("none", "mlp", "pan+pgs"):
            if seed > 1:
                tell(folder, arm, seed, **({"code": "1"} if seed > 2 else {}))
    for file in folder.glob("*-s2-*/diagnostics/toy.json"):
        file.unlink()
    newest = cell(folder, "mlp", 1).parent / "diagnostics" / "toy.json"
    os.utime(newest, (3e9, 3e9))
    assert found_in(folder).rows[0].seeds == [0, 1]


def test_what_is_missing_is_listed(folder):
    tell(folder, "mlp", 2).unlink()
    file = tell(folder, "none", 4)
    record = json.loads(file.read_text())
    record["numbers"]["wall"]["value"] = None
    file.write_text(json.dumps(record))
    text = (report(folder) / "report.md").read_text()
    assert "| toy | mlp | 2 | not asked |" in text
    assert "| toy | none | 4 | no number for wall |" in text
    walls = [row.seeds for row in found_in(folder).rows if row.measure.name == "wall"]
    assert walls == [[0, 1, 2, 3], [0, 1, 3, 4], [0, 1, 3]]
    summary = cell(folder, "mlp", 2)
    answer(summary, "bare", {}, model_sha256=digest(summary.parent / "model.safetensors"))
    assert ["bare", "mlp", "2", "no headline numbers, ask again"] in missing(found_in(folder)).rows


def test_without_a_reference_nothing_is_judged_by_it(folder):
    for file in folder.glob("*/diagnostics/toy.json"):
        record = json.loads(file.read_text())
        record["numbers"]["C11"]["reference"] = None
        file.write_text(json.dumps(record))
    found = found_in(folder)
    assert {row.measure.name for row in found.rows} == {"wall", "slope"}
    assert (
        "| toy: C11 (eV) | no reference, not judged | – | pan+pgs | 5 | 152"
        in (report(folder) / "report.md").read_text()
    )
    assert all(picture.svg() for picture in physics_pictures(found))


def test_a_sweep_that_was_not_asked_has_no_section_and_is_named(folder, sweep, tmp_path):
    other = invent(cell(sweep, "none", 0), tmp_path / "more", {"none": [0.1, 0.1]}, backbone="allegro")
    out = write_report([other], tmp_path / "first").page.parent
    assert "Physics" not in (out / "report.md").read_text()
    assert not (out / "physics.csv").exists()
    text = (write_report([other, folder], tmp_path / "second").page.parent / "report.md").read_text()
    (section,) = [line for line in text.splitlines() if line.startswith("## Physics: ")]
    assert "mace" in section
    (named,) = [line for line in text.splitlines() if line.startswith("Not asked: ")]
    assert "allegro" in named
    assert "mace" not in named


def test_answers_of_an_earlier_report_go(folder):
    assert (report(folder) / "physics.csv").exists()
    for file in folder.glob("*/diagnostics/toy.json"):
        file.unlink()
    assert not (report(folder) / "physics.csv").exists()


def test_a_measure_that_orders_cells_by_stability_is_told_from_one_that_does_not(sweep, tmp_path):
    luck = RNG.standard_normal(12).tolist()
    made = invent(cell(sweep, "none", 0), tmp_path / "runs", {"none": np.exp(luck).tolist()})
    for seed in range(12):
        summary = cell(made, "none", seed)
        answer(summary, "stability", {"failed": (seed / 12, "less", None)}, "")
        answer(summary, "bsct", {"fsd": (float(seed), "less", None), "constant": (1.0, "less", None)})
    cells, _ = read_cells([made])
    found = {one.measure: one for one in foretold(cells)}
    assert list(found) == ["bsct: fsd (eV)", "test: F MAE (eV/Å)"]
    smooth, force = found.values()
    assert (smooth.rho, smooth.high, smooth.cells) == (pytest.approx(-1), pytest.approx(-1), 12)
    assert force.low < 0 < force.high
    assert force.rho == pytest.approx(stats.spearmanr(luck, -np.arange(12)).statistic)
    assert foretold(cells[:4]) == []
    assert "| bsct: fsd (eV) | 12 | −1.00 | −1.00 … −1.00 |" in (report(made) / "report.md").read_text()
