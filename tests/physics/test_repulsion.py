"""Walls, jumps and minima: known for Lennard-Jones, zero against itself, and named where broken on purpose."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from ase.build import bulk
from matplotlib.figure import Figure
from physics.surfaces import Pairs, added, headlines, lennard_jones

from scalarfid.data.reference import perfect_structure
from scalarfid.physics import System, surface
from scalarfid.physics.curves import Curve, arena, minima, softening, unexplained, unmatched, wall_error
from scalarfid.physics.repulsion import (
    RepulsionOptions,
    crystal_scan,
    dimer_scan,
    draw,
    judge,
    measure,
    nearest_neighbour,
    summary,
    wall_faults,
)

SYSTEM = System("argon", (18,), {"Ar fcc": bulk("Ar", "fcc", a=3.9)}, reference="Pairs")
OPTIONS = RepulsionOptions(nearest=0.9, furthest=7.2, points=400)


def ask(model: Pairs, reference: Pairs | None = None):
    return measure(surface(model), reference and surface(reference), SYSTEM, OPTIONS)


def numbers(outcome, prefix="Ar-Ar."):
    found = outcome.numbers.items()
    return {name.removeprefix(prefix): number.value for name, number in found if name.startswith(prefix)}


def test_lennard_jones_has_one_minimum_and_no_fault():
    outcome = ask(lennard_jones())
    assert outcome.findings == []
    found = numbers(outcome)
    assert (found["minima"], found["force_flips"], found["energy_flips"]) == (1, 1, 1)
    assert found["tortuosity"] == pytest.approx(1, abs=1e-9)
    assert found["softens_at"] is None
    r = np.linspace(2.0, 7.2, 2000)
    (place,) = minima(dimer_scan(surface(lennard_jones(cutoff=50.0)), (18, 18), r))
    assert place == pytest.approx(2 ** (1 / 6) * 2.5, abs=0.003)


def test_a_surface_agrees_with_itself():
    outcome = ask(lennard_jones(), lennard_jones())
    assert numbers(outcome)["wall_force_error"] == 0
    assert numbers(outcome, "Ar fcc.")["wall_force_absolute_error"] == 0
    assert outcome.findings == []
    assert headlines(outcome) == {
        "mean.soft_range": (0.0, "reference", 0.0),
        "mean.wall_force_absolute_error": (0.0, "less", None),
        "total.spurious_minima": (0, "less", None),
    }


def test_a_reference_that_does_not_converge_everywhere_is_compared_where_it_does():
    options = RepulsionOptions(points=24, furthest=5.0)
    outcome = measure(surface(lennard_jones()), surface("xtb"), System("water", (1, 8), reference="xtb"), options)
    lost, truth = outcome.settings["reference_without_answer"], outcome.arrays["H-O.reference_energy"]
    assert 0 < lost["H-O"] == np.isnan(truth).sum() < 14
    assert np.isfinite(outcome.numbers["H-O.wall_force_error"].value)
    assert np.isfinite(outcome.numbers["H-O.energy_mae"].value)


def test_a_reference_with_few_answers_is_not_compared():
    r = np.linspace(2.0, 7.0, 50)
    curve = dimer_scan(surface(lennard_jones()), (18, 18), r)
    few = replace(curve, energy=np.where(np.arange(50) < 9, curve.energy, np.nan))
    scan = partial(dimer_scan, surface(lennard_jones()), (18, 18))
    alone = judge("Ar-Ar", scan, curve, None, dimer=True, wall=10)
    assert judge("Ar-Ar", scan, curve, few, dimer=True, wall=10) == alone


def test_a_scan_without_reference_counts_in_no_headline_beside_one_that_is_compared():
    r = np.linspace(2.0, 7.0, 50)
    curve = dimer_scan(surface(lennard_jones()), (18, 18), r)
    scan = partial(dimer_scan, surface(lennard_jones()), (18, 18))
    compared, _ = judge("Ar-Ar", scan, curve, curve, dimer=True, wall=10)
    soft = replace(curve, force=np.minimum(curve.force, 20.0 * r / r[0]))
    alone, _ = judge("Ne-Ne", scan, soft, None, dimer=True, wall=10)
    assert alone["Ne-Ne.soft_range"].value > 0
    assert summary(alone)["mean.soft_range"].value > 0
    assert summary(compared | alone) == summary(compared)


def test_only_the_labels_own_level_of_theory_gives_errors():
    soft, truth = surface(scaled(lennard_jones(), 0.5)), surface(lennard_jones(sigma=3.2))
    outcome, alone = (measure(soft, beside, replace(SYSTEM, reference="dft"), OPTIONS) for beside in (truth, None))
    assert outcome.numbers == alone.numbers
    assert outcome.findings == alone.findings == []
    assert headlines(outcome)["mean.soft_range"] == (0.0, "less", None)
    assert outcome.settings["reference_level"] == "another than the labels'"
    assert outcome.arrays["Ar-Ar.reference_energy"].shape == outcome.arrays["Ar-Ar.energy"].shape
    assert measure(soft, truth, SYSTEM, OPTIONS).findings


@pytest.mark.parametrize(
    ("lost", "reference"), [(np.nan, None), (np.inf, lennard_jones())], ids=["nan alone", "inf beside"]
)
def test_a_model_that_is_not_finite_on_a_scan_is_named_and_leaves_no_headline_of_the_others(lost, reference, tmp_path):
    lj = lennard_jones()
    broken = added(lj, np.zeros_like, lambda r: np.where(r < 1.93, lost, 0.0))
    outcome = ask(broken, reference)
    reason = "the model's energy or force is not finite at 2 of 400 distances, up to 1.92 Å"
    assert outcome.findings == [f"Ar-Ar: {reason}"]
    assert outcome.numbers["Ar fcc.soft_range"].value == 0
    assert {name: value for name, (value, _, _) in headlines(outcome).items()} == dict.fromkeys(
        headlines(ask(lj, reference))
    )
    assert {outcome.numbers[name].note for name in headlines(outcome)} == {f"Ar-Ar: {reason}"}
    assert outcome.write(tmp_path, draw).is_file()


def scaled(base: Pairs, factor: float) -> Pairs:
    return Pairs(lambda r: factor * base.functions[0](r), lambda r: factor * base.functions[1](r), base.cutoff)


@pytest.mark.parametrize(
    ("name", "z"), [("ag_emt", (47,)), ("si_sw", (14,)), ("si_kumagai", (14,)), ("lif_ion", (3, 9))]
)
def test_every_reference_agrees_with_itself(name, z):
    crystal = perfect_structure(name)
    system = System(name, z, {"crystal": crystal}, reference=name)
    outcome = measure(surface(name), surface(name), system, RepulsionOptions(points=40, furthest=6.0))
    assert outcome.settings["reference_level"] == "the labels' own"
    assert outcome.findings == []
    assert headlines(outcome)["mean.wall_force_absolute_error"] == (0.0, "less", None)


@pytest.mark.parametrize(
    ("factor", "fault"),
    [(0.95, None), (0.9, "10 % too weak"), (0.5, "50 % too weak"), (0.1, "90 % too weak"), (1.5, "50 % too strong")],
)
def test_a_wall_too_weak_or_too_strong_is_named(factor, fault):
    outcome = ask(scaled(lennard_jones(), factor), lennard_jones())
    for scan in ("Ar-Ar.", "Ar fcc."):
        assert numbers(outcome, scan)["wall_force_error"] == pytest.approx(100 * (factor - 1))
    wanted = [f"{scan}: the repulsive force is {fault}" for scan in ("Ar-Ar", "Ar fcc")]
    assert outcome.findings == (wanted if fault else [])
    assert headlines(outcome)["mean.wall_force_absolute_error"][0] == pytest.approx(100 * abs(factor - 1))


def test_how_wrong_a_wall_may_be_is_an_option():
    soft = scaled(lennard_jones(), 0.5)
    outcome = measure(surface(soft), surface(lennard_jones()), SYSTEM, replace(OPTIONS, wall_error=60))
    assert outcome.findings == []


def test_a_wall_too_weak_here_and_too_strong_there_is_named():
    r = np.linspace(1, 2, 11)
    truth = Curve(r, 0 * r, 5 + 0 * r)
    wavy = Curve(r, 0 * r, truth.force * (1 + 0.3 * np.where(np.arange(11) % 2, 1, -1)))
    (fault,) = wall_faults(wavy, truth, 10.0)[1]
    assert fault == "the repulsive force is wrong by 30 % in the mean, here too weak, there too strong"


def test_the_error_of_the_energy_is_counted_from_the_far_end():
    lj = lennard_jones()
    off = added(scaled(lj, 0.9), lambda r: 3.0 + 0 * r, np.zeros_like)
    outcome = ask(off, lj)
    energy = outcome.arrays["Ar-Ar.reference_energy"]
    assert energy[-1] == 0
    found = ask(scaled(lj, 0.9), lj).numbers["Ar-Ar.energy_mae"]
    assert (found.value, found.unit) == (pytest.approx(0.1 * np.abs(energy).mean()), "eV")
    assert outcome.numbers["Ar fcc.energy_mae"].unit == "eV/atom"


def test_a_wall_that_gives_way_is_found_at_its_place():
    lj = lennard_jones()
    e1, f1 = (function(np.array([2.2]))[0] for function in lj.functions)

    def bent(r, wall, inner):
        return np.where(r > 2.2, wall(np.maximum(r, 2.2)), inner(r))

    def force(r):  # below 2.2 Å it falls linearly to nothing at 1.7 Å
        return bent(r, lj.functions[1], lambda x: f1 * (x - 1.7) / 0.5)

    def energy(r):
        return bent(r, lj.functions[0], lambda x: e1 + f1 * (0.25 - ((x - 1.7) / 0.5) ** 2 * 0.25))

    outcome = ask(Pairs(energy, force, lj.cutoff), lj)
    assert numbers(outcome)["softens_at"] == pytest.approx(2.2, abs=0.02)
    assert any("Ar-Ar: the repulsion gives way below 2.2" in fault for fault in outcome.findings)
    assert any(fault.startswith("Ar fcc: the repulsion gives way") for fault in outcome.findings)
    ranges = [numbers(outcome, scan)["soft_range"] for scan in ("Ar-Ar.", "Ar fcc.")]
    assert ranges[0] == pytest.approx(2.2 - outcome.arrays["Ar-Ar.r"][0], abs=0.02)
    assert headlines(outcome)["mean.soft_range"] == (pytest.approx(np.mean(ranges)), "reference", 0.0)


def test_a_step_at_the_cutoff_is_a_jump_there():
    lj = lennard_jones()
    stepped = added(lj, lambda r: np.where(r < 7.0, 0.05, 0.0), np.zeros_like)
    (fault,) = [fault for fault in ask(stepped).findings if fault.startswith("Ar-Ar")]
    assert fault == "Ar-Ar: the energy jumps by 50 meV at 7.00 Å"


def test_an_extra_minimum_is_counted_and_placed():
    lj = lennard_jones()

    def dip(r):
        return -0.2 * np.exp(-(((r - 4.5) / 0.2) ** 2))

    outcome = ask(added(lj, dip, lambda r: 2 * (r - 4.5) / 0.04 * dip(r)))
    assert numbers(outcome)["minima"] == 2
    assert headlines(outcome)["total.spurious_minima"][0] == sum(
        numbers(outcome, scan)["minima"] - 1 for scan in ("Ar-Ar.", "Ar fcc.")
    )
    assert any("2 minima, at 2.8" in fault and fault.endswith(("4.49 Å", "4.50 Å")) for fault in outcome.findings)
    assert numbers(outcome)["tortuosity"] > 1.001


def test_a_minimum_is_spurious_where_the_reference_has_none_at_that_place():
    lj = lennard_jones()

    def wall(r):
        return 4 * 0.3 * (2.5 / r) ** 12

    bare = Pairs(lambda r: wall(r) - wall(7.0), lambda r: 12 * wall(r) / r, 7.0)
    outcome = ask(lj, bare)
    assert numbers(outcome)["spurious_minima"] == 1
    assert "Ar-Ar: a minimum, at 2.81 Å, where the reference has none" in outcome.findings
    shifted = ask(lj, lennard_jones(sigma=3.2))  # its own minimum lies at 3.6 Å
    found = numbers(shifted)
    assert (found["spurious_minima"], found["missing_minima"]) == (1, 1)
    assert numbers(ask(lj, lennard_jones(sigma=2.6)))["spurious_minima"] == 0


def test_minima_are_matched_once_and_the_closest_first():
    assert unmatched([1.0, 1.2, 3.0], [1.15, 5.0], 0.3) == [1.0, 3.0]
    assert unmatched([], [1.0], 0.3) == []


def test_a_force_that_is_no_derivative_is_named_and_no_jump():
    lj = lennard_jones()
    constant = added(lj, np.zeros_like, lambda r: np.where(r < 7.0, 0.1, 0.0))
    outcome = ask(constant, lj)
    assert any(f.startswith("Ar-Ar: the forces are no derivative of the energy: ΔE and") for f in outcome.findings)
    assert any(f.startswith("Ar fcc: the forces are no derivative of the energy") for f in outcome.findings)
    assert not any("jumps" in fault for fault in outcome.findings)
    assert numbers(outcome)["work_error"] == pytest.approx(0.1 * (7.0 - 2.8), rel=0.3)  # less a hundredth of the wall
    sound, wrong = numbers(ask(lj)), numbers(ask(added(lj, np.zeros_like, lambda r: 0.3 + 0 * r)))
    assert wrong["conservation_deviation"] == pytest.approx(sound["conservation_deviation"] + 0.3, abs=0.2)


def test_a_wall_that_is_only_steep_is_neither_a_jump_nor_no_derivative():
    lj, width = lennard_jones(), 0.004

    def step(r):
        return 2.0 * (1 - np.tanh((r - 2.4) / width))

    steep = added(lj, step, lambda r: 2.0 / width / np.cosh((r - 2.4) / width) ** 2)
    r = np.linspace(OPTIONS.nearest * 2.12, 7.2, OPTIONS.points)
    jump, _, _ = unexplained(dimer_scan(surface(steep), (18, 18), r), 0.02)
    assert jump > 0.5  # as it seems in the steps of the scan
    assert not any("jumps" in fault or "derivative" in fault for fault in ask(steep).findings)


def test_the_crystals_force_is_the_derivative_of_its_energy():
    r = np.linspace(0.8, 1.1, 301) * 3.9 / np.sqrt(2)
    curve = crystal_scan(surface(lennard_jones()), SYSTEM.crystals["Ar fcc"], r)
    slope = -np.gradient(curve.energy, curve.r)
    assert np.allclose(curve.force[2:-2], slope[2:-2], rtol=1e-3, atol=1e-3)
    assert curve.r[-1] == pytest.approx(1.1 * 3.9 / np.sqrt(2))


def test_nearest_neighbours_of_primitive_cells():
    assert nearest_neighbour(bulk("Ag", a=4.09)) == pytest.approx(4.09 / np.sqrt(2))
    assert nearest_neighbour(bulk("Si", a=5.43)) == pytest.approx(5.43 * np.sqrt(3) / 4)


def test_metrics_of_a_curve_by_hand():
    r = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    energy = np.array([3.0, -1.0, 0.5, -0.2, 0.0])
    curve = Curve(r, energy, np.array([5.0, 0.0, -1.0, 0.5, 0.0]))
    found = {name: value for name, (value, _) in arena(curve).items()}
    assert found["tortuosity"] == pytest.approx((4 + 1.5 + 0.7 + 0.2) / (1 + 4))
    assert found["energy_flips"] == 3
    assert found["energy_jump"] == pytest.approx(0.2 + 0.7 + 0.7 + 1.5 + 1.5 + 4)
    assert found["force_flips"] == 2
    assert minima(curve) == [2.0, 4.0]
    assert softening(curve) is None
    assert wall_error(curve, curve) == (0.0, 0.0)


def test_a_line_has_no_unexplained_work():
    r = np.linspace(1, 2, 11)
    assert unexplained(Curve(r, -2 * r, 2 + 0 * r), 0.01) == pytest.approx((0, 1.05, 0), abs=1e-12)


def test_energy_and_force_are_drawn_beside_the_references():
    outcome = ask(scaled(lennard_jones(), 0.9), lennard_jones())
    figure = Figure()
    draw(outcome, figure)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_visible()]
    assert labels == ["E (eV)", "−dE/dr (eV/Å)"] * 2
    assert all(len(axes.get_lines()) == 3 for axes in figure.axes if axes.get_visible())


def test_a_reference_without_answers_at_the_far_end_is_drawn_where_it_has_them():
    outcome = measure(surface(lennard_jones(sigma=3.2)), surface(lennard_jones()), SYSTEM, OPTIONS)
    name = next(iter(outcome.drawn("r")))
    outcome.arrays[f"{name}.reference_energy"][-5:] = np.nan
    figure = Figure()
    draw(outcome, figure)
    model, truth = (line.get_ydata() for line in figure.axes[0].lines[:2])
    assert np.isfinite(truth[:-5]).all()
    assert model[-6] == truth[-6] == 0
