"""Survival known beforehand: all, none, or where a bond cannot hold; intervals and rank correlations by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from matplotlib.figure import Figure
from physics.surfaces import Pairs, added, headlines, lennard_jones
from scipy.stats import spearmanr

from scalarfid import ScalarFidError
from scalarfid.diagnose import _work
from scalarfid.intervals import rank_correlation, wilson
from scalarfid.physics import System, named, surface
from scalarfid.physics.dynamics import Failure, Schedule, Watch, heated, moving
from scalarfid.physics.outcome import Outcome
from scalarfid.physics.stability import StabilityOptions, draw, fault_of, measure, stretches, survival

SYSTEM = System("argon", (18,), {"Ar": bulk("Ar", "fcc", a=3.95)})
OPTIONS = StabilityOptions([50.0, 100.0], seeds=2, duration=0.4, timestep=4.0, atoms=8)


def free() -> Pairs:
    return Pairs(np.zeros_like, np.zeros_like, 3.0)


def test_a_sound_crystal_survives_and_one_with_a_hole_does_not(tmp_path):
    lj = lennard_jones()
    sound = measure(surface(lj), surface(lj), SYSTEM, OPTIONS)
    assert sound.findings == []
    assert sound.settings["structures"] == {"Ar": {"formula": "Ar8", "atoms": 8}}
    assert (sound.settings["atoms_at_most"], sound.settings["friction"]) == (8, 10.0)
    assert sound.settings["thermostat"].startswith("Langevin")
    assert sound.settings["reference_level"] == "another than the labels'"
    assert sound.numbers["survived"].value == sound.numbers["Ar.reference.50K.survived"].value == 1
    assert sound.numbers["Ar.50K.survived"].low == pytest.approx(0.342, abs=1e-3)
    broken = measure(surface(added(lj, lambda r: -600 / r, lambda r: -600 / r**2)), surface(lj), SYSTEM, OPTIONS)
    assert broken.numbers["survived"].value == 0
    assert headlines(broken) == {"failed": (1.0, "less", 0.0)}
    assert broken.findings[0].startswith("Ar at 50 K: 2 of 2 runs (0 of the reference's) fail, the first after 0.")
    assert "a temperature spike" in broken.findings[0]
    assert (broken.arrays["50K.model.lifetimes"] < 0.4).all()
    assert np.isinf(broken.arrays["50K.reference.lifetimes"]).all()
    broken.write(tmp_path, draw)
    assert (tmp_path / "stability.png").stat().st_size > 1000


def test_a_run_lasts_as_long_as_was_asked_or_is_refused():
    lasts = [stretches(StabilityOptions(duration=ps, timestep=fs)) for ps, fs in ((0.5, 1), (1.0, 1), (0.3, 0.5))]
    assert lasts == [5, 10, 6]
    for duration, give in ((0.25, "0.2"), (0.04, "0.1")):
        with pytest.raises(ScalarFidError, match=rf"stability\.duration={duration} ps is no multiple .* give {give},"):
            measure(surface(free()), None, SYSTEM, StabilityOptions(duration=duration))


def test_the_picture_steps_down_at_every_failure():
    settings = {"duration": 1.0, "temperatures": [300.0]}
    runs = {"300K.model.lifetimes": np.array([0.5, np.inf, 0.2, np.inf])}
    figure = Figure()
    draw(Outcome("stability", "m", None, settings, {}, runs, []), figure)
    (axes,) = figure.axes
    x, y = axes.lines[0].get_data()
    assert (list(x), list(y)) == ([0, 0.2, 0.5, 1.0], [1, 0.75, 0.5, 0.5])
    assert axes.get_legend_handles_labels()[1] == ["300 K, m"]


def test_a_molecule_without_bonds_flies_apart_with_the_bond_named():
    system = System("water", (1, 8), {}, {"H2O": molecule("H2O")})
    alone = measure(surface(free()), None, system, OPTIONS)
    assert "H2O at 100 K: 2 of 2 runs fail, the first after 0." in alone.findings[1]
    assert "a bond out of range, " in alone.findings[1]
    assert alone.numbers["H2O.100K.first_failure"].value <= alone.numbers["H2O.100K.median_failure"].value
    assert measure(surface(free()), surface(free()), system, OPTIONS).findings == []


def test_what_was_run_is_not_run_again(tmp_path):
    (question,) = named("stability")
    first = question.ask(surface(lennard_jones()), None, SYSTEM, OPTIONS, tmp_path)
    assert len(list(tmp_path.glob("*.traj"))) == 4
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*.traj"))]
    assert question.ask(surface(lennard_jones()), None, SYSTEM, OPTIONS, tmp_path).numbers == first.numbers
    assert before == [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*.traj"))]


def test_unfinished_work_belongs_to_one_model_and_one_set_of_options(tmp_path):
    (question,) = named("stability")
    work = _work(tmp_path, question, {"model_sha256": "a"}, force=False)
    work.mkdir()
    assert (
        _work(tmp_path, question, {"model_sha256": "a"}, force=False)
        == work
        != _work(tmp_path, question, {}, force=False)
    )
    assert work.is_dir()
    assert not _work(tmp_path, question, {"model_sha256": "a"}, force=True).is_dir()


def test_a_watch_names_what_it_sees():
    start = bulk("Ag", a=4.1).repeat(2)
    start.calc = lennard_jones()
    atoms, watch = moving(start, 300, seed=0), Watch(start, 300)
    assert atoms.get_temperature() == pytest.approx(300)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-9
    atoms.calc = lennard_jones()
    assert watch.fails(atoms, 0) is None
    atoms.positions[1] = atoms.positions[0] + [1.0, 0, 0]
    assert [watch.fails(atoms, step) for step in (1, 9, 11)] == [None] * 3
    assert watch.fails(atoms, 20) == "a bond out of range, Ag-Ag at 1.00 Å (limit 0.5 sums of radii)"
    atoms.set_momenta(atoms.get_momenta() * np.nan)
    assert watch.fails(atoms, 1) == "an energy or a force is no number"


def test_a_run_that_goes_on_fails_when_the_straight_one_does(tmp_path):
    start = molecule("H2O")
    stretches = Schedule([300.0] * 9, 15, 0.5, 10.0, 0)
    straight, failure = heated(start, free(), stretches)
    assert len(straight) >= 2
    for upto in range(1, len(straight) + 1):
        path = tmp_path / f"{upto}.traj"
        heated(start, free(), replace(stretches, temperatures=[300.0] * upto), path)
        resumed, again = heated(start, free(), stretches, path)
        assert again == failure
        assert np.array_equal(resumed[-1].positions, straight[-1].positions)
        assert heated(start, None, stretches, path)[1] == failure  # and is not run again


def test_intervals_by_hand():
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    found = survival([None, Failure(0.2, "a"), Failure(0.4, "b"), None])
    assert (found["survived"].value, found["first_failure"].value, found["first_failure"].note) == (0.5, 0.2, "a")
    assert found["median_failure"].value == pytest.approx(0.3)
    assert fault_of("x", [Failure(0.2, "a")], [Failure(0.1, "b")]) is None
    rng = np.random.default_rng(0)
    x = rng.standard_normal(40)
    rho, low, high = rank_correlation(x, -(x**3))
    assert (rho, low, high) == (pytest.approx(-1), pytest.approx(-1), pytest.approx(-1))
    y = rng.integers(5, size=40).astype(float)
    rho, low, high = rank_correlation(x, y)
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert low < 0 < high
    assert low < rho < high
