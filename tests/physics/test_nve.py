"""The integrator's error alone on sound surfaces; drift, jumps and failures named where they were put."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import all_changes
from matplotlib.figure import Figure
from physics.surfaces import Pairs, added, headlines, lennard_jones

import scalarfid
from scalarfid.intervals import slope
from scalarfid.physics import System, surface
from scalarfid.physics.microcanonical import KEEP, Course, Record, jumps, run
from scalarfid.physics.nve import DRAWN, NveOptions, draw, drift_fault, measure, numbers
from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.surface import OfCalculator

SYSTEM = System("argon", (18,), {"Ar": bulk("Ar", "fcc", a=3.95)})
OPTIONS = NveOptions(temperature=80, atoms=8, duration=1.5, settle=0.1, timesteps=[2.0, 4.0, 8.0])
FEW = replace(OPTIONS, timesteps=[4.0, 8.0])


class Swirl(Pairs):
    """Lennard-Jones with a force across every pair, which no energy explains: it pumps what circles one way."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, d, D = self._pairs()
        across = 0.01 * np.cross([0.0, 0.0, 1.0], D) * (d < 3.5)[:, None]
        np.add.at(self.results["forces"], i, across)


def ask(model, reference=None, options=OPTIONS, **others):
    found = OfCalculator(model, "model", getattr(model, "cutoff", None))
    return measure(found, reference and surface(reference), SYSTEM, options, **others)


def values(outcome, prefix):
    found = outcome.numbers.items()
    return {name.removeprefix(prefix): number for name, number in found if name.startswith(prefix)}


@pytest.fixture(scope="module")
def sound():
    return ask(lennard_jones(), lennard_jones())


def test_lennard_jones_drifts_by_the_integrator_which_falls_as_the_square_of_the_step(sound):
    assert sound.findings == []
    assert sound.numbers["Ar.float64.energy_error_order"].value == pytest.approx(2, abs=0.25)
    for step in ("2fs", "4fs"):
        rate = sound.numbers[f"Ar.float64.{step}.slope"]
        assert rate.low < 0 < rate.high
        assert abs(rate.value) < 0.05
    assert sound.numbers["Ar.float64.2fs.failure_time"].value is None


def test_a_surface_agrees_with_itself(sound):
    model, reference = values(sound, "Ar.float64."), values(sound, "Ar.reference.")
    for step in ("2fs", "4fs", "8fs"):
        for of in ("slope", "energy_error", "drift_over_kinetic_sigma"):
            assert model[f"{step}.{of}"].value == reference[f"{step}.{of}"].value
    slope = reference["2fs.slope"].value
    jump = model["2fs.jump_at_list_change"].value
    assert headlines(sound) == {
        "Ar.float64.2fs.slope": (slope, "zero", slope),
        "Ar.float64.2fs.jump_at_list_change": (jump, "less", None),
    }


def test_the_settings_say_what_was_run(sound):
    settings = sound.settings
    assert settings["structures"] == {"Ar": {"formula": "Ar8", "atoms": 8}}
    assert (settings["atoms_at_most"], settings["integrator"], settings["thermostat"]) == (8, "velocity Verlet", "none")
    assert (settings["blocks"], settings["jump_from_times_others"]) == (10, 5.0)
    assert settings["reference_level"] == "another than the labels'"  # whose labels are nobody's
    assert "atoms" not in settings


def test_forces_that_no_energy_explains_are_a_drift():
    lj = lennard_jones()
    outcome = ask(Swirl(*lj.functions, lj.cutoff), lj, FEW)
    (fault,) = [fault for fault in outcome.findings if "drifts" in fault]
    assert fault.startswith("Ar in float64: the total energy drifts by ")
    assert "more than the integrator's dt² explains, the reference by" in fault


def test_a_step_at_the_cutoff_jumps_when_the_list_changes():
    lj = lennard_jones(cutoff=6.2)
    stepped = added(lj, lambda r: np.where(r < 6.2, 0.01, 0.0), np.zeros_like)
    outcome = ask(stepped, lj, FEW)
    (fault,) = [fault for fault in outcome.findings if "jumps" in fault]
    assert fault.endswith("meV when the neighbour list changes")
    assert outcome.numbers["Ar.float64.4fs.jump_at_list_change"].value > 9  # more than one pair at a time, at times


def test_a_hole_ends_the_run_with_its_reason_and_time():
    lj = lennard_jones()
    outcome = ask(added(lj, lambda r: -600.0 / r, lambda r: -600.0 / r**2), lj, FEW)
    fault = outcome.findings[0]
    assert "Ar in float64: the run at 4 fs fails after 0.0" in fault
    assert "a temperature spike" in fault
    assert 0 < outcome.numbers["Ar.float64.4fs.failure_time"].value < 0.1
    assert headlines(outcome)["Ar.float64.4fs.slope"][0] is None
    assert headlines(outcome)["Ar.float64.4fs.jump_at_list_change"][0] is None
    assert "a temperature spike" in outcome.record()["numbers"]["Ar.float64.4fs.failure_time"]["note"]


def test_a_potential_is_asked_in_both_precisions_and_not_again(tmp_path):
    potential = scalarfid.build("mace_tiny", "none", elements=["Si"], cutoff=3.0, dtype="float64")
    system = System("silicon", (14,), {"Si": bulk("Si")})
    options = NveOptions(atoms=2, duration=0.04, settle=0.0, timesteps=[2.0])
    outcome = measure(surface(potential), None, system, options, tmp_path)
    assert {"Si.float64.2fs.slope", "Si.float32.2fs.slope"} <= set(headlines(outcome))
    assert len(list(tmp_path.glob("*.npz"))) == 2
    again = measure(OfCalculator(None, "gone"), None, system, options, tmp_path)
    assert again.numbers["Si.float64.2fs.slope"] == outcome.numbers["Si.float64.2fs.slope"]


class Tired(Pairs):
    """Is interrupted at its hundredth call, or whichever is given."""

    calls = 100

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        super().calculate(atoms, properties, system_changes)


def test_a_run_that_was_interrupted_is_the_run_that_was_not(tmp_path):
    lj, path = lennard_jones(), tmp_path / "run.npz"
    start, course = bulk("Ar", "fcc", a=3.95).repeat(2), Course(80, 4.0, 0.4, 2.0, 0)
    tired = Tired(*lj.functions, lj.cutoff)
    tired.calls = 2 * KEEP + 50
    with pytest.raises(KeyboardInterrupt):
        run(OfCalculator(tired, "tired", tired.cutoff), start, course, path)
    tired.calls = course.steps - 2 * KEEP + 1
    resumed = run(OfCalculator(tired, "tired", tired.cutoff), start, course, path)
    straight = run(OfCalculator(lj, "whole", lj.cutoff), start, course)
    assert len(resumed.time) == 501
    for of in ("time", "total", "kinetic", "edges"):
        assert np.array_equal(getattr(resumed, of), getattr(straight, of))
    assert np.array_equal(run(OfCalculator(None, "gone"), start, course, path).total, straight.total)


def test_a_failed_run_is_kept_with_its_failure(tmp_path):
    start, course = molecule("H2O"), Course(300, 0.02, 0.0, 1.0, 0)
    nothing = Tired(np.zeros_like, np.zeros_like, 3.0)
    nothing.calls = KEEP + 5
    with pytest.raises(KeyboardInterrupt):
        run(OfCalculator(nothing), start, course, tmp_path / "run.npz")
    nothing.calls = course.steps
    resumed = run(OfCalculator(nothing), start, course, tmp_path / "run.npz")
    straight = run(surface(Pairs(np.zeros_like, np.zeros_like, 3.0)), start, course)
    assert resumed.failure == straight.failure
    assert resumed.failure.time > 0.02 * KEEP / 1000
    assert np.array_equal(resumed.total, straight.total)
    assert run(OfCalculator(None, "gone"), start, course, tmp_path / "run.npz").failure == straight.failure


def test_a_molecule_that_flies_apart_fails_by_a_bond():
    system = System("water", (1, 8), {}, {"H2O": molecule("H2O")})
    outcome = measure(surface(Pairs(np.zeros_like, np.zeros_like, 3.0)), None, system, OPTIONS)
    assert outcome.findings[0].startswith("H2O in float64: the run at 2 fs fails after 0.0")
    assert "a bond out of range, " in outcome.findings[0]


def test_a_slope_with_correlated_noise_is_in_its_interval_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    t, hits = np.arange(2000) / 2000, 0
    for _ in range(200):
        noise = np.convolve(rng.standard_normal(2100), np.ones(40) / 40, "valid")[:2000]
        rate, half = slope(t, 3 * t + noise)
        hits += abs(rate - 3) < half
    assert 180 <= hits <= 200


def test_jumps_and_slopes_by_hand():
    total = np.zeros(60)
    total[30:] = 0.5
    edges = np.where(np.arange(60) < 30, 10, 12)
    record = Record(np.arange(60) / 10, total, np.sin(np.arange(60)), edges, 4)
    assert jumps(record) == (pytest.approx(2.0), 0.0)
    assert numbers(record)["energy_error"].value > 0
    steady = {0.5: {"slope": Number(1.0, "", 0.9, 1.1)}, 2.0: {"slope": Number(1.0, "", 0.9, 1.1)}}
    falling = {0.5: {"slope": Number(1.0, "", 0.9, 1.1)}, 2.0: {"slope": Number(16.0, "", 15.0, 17.0)}}
    (fault,) = drift_fault("x", steady, {})
    assert fault.endswith("at 0.5 fs, more than the integrator's dt² explains")
    (fault,) = drift_fault("x", {0.5: steady[0.5]}, {})
    assert fault.endswith("at 0.5 fs, the only step measured, so that dt² is not tested")
    assert drift_fault("x", falling, {}) == []
    assert drift_fault("x", steady, steady) == []


def test_the_picture_names_slopes_and_a_run_that_fails_does_not_set_its_scale():
    time = np.linspace(0, 1, 200)
    totals = {"float64|1fs": 0.1 * time, "float64|2fs": 1e3 * time, "reference|1fs": 0 * time}
    arrays = {f"Ar|{key}|time": time for key in totals} | {f"Ar|{key}|total": total for key, total in totals.items()}
    found = {
        "Ar.float64.1fs.slope": Number(0.1, "meV/atom/ps", 0.08, 0.12),
        "Ar.float64.1fs.failure_time": Number(None, "ps"),
        "Ar.float64.2fs.failure_time": Number(0.7, "ps"),
    }
    figure = Figure()
    draw(Outcome("nve", "m", "truth", {"timesteps": [1.0, 2.0]}, found, arrays), figure)
    (axes,) = figure.axes
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["1 fs, 1.0e-01 ± 2.0e-02 meV/atom/ps", "truth", "2 fs, fails after 0.7 ps"]
    x, y = handles[0].get_data()
    assert (len(x), y[0], y[-1]) == (DRAWN, pytest.approx(0.1 * time[:4].mean()), pytest.approx(0.1 * time[-4:].mean()))
    assert axes.get_ylim() == pytest.approx((-0.01, 0.11))
