"""Walls, jumps and minima: known for Lennard-Jones, zero against itself, and named where broken on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from physics.surfaces import Pairs, added, headlines, lennard_jones

from scalarfid.physics import System, surface
from scalarfid.physics.curves import Curve, arena, minima, softening, unexplained_step, wall_error
from scalarfid.physics.repulsion import RepulsionOptions, crystal_scan, dimer_scan, measure, nearest_neighbour

SYSTEM = System("argon", (18,), {"Ar fcc": bulk("Ar", "fcc", a=3.9)})
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


def test_a_wall_of_nine_tenths_is_ten_per_cent_too_soft():
    lj = lennard_jones()
    soft = Pairs(lambda r: 0.9 * lj.functions[0](r), lambda r: 0.9 * lj.functions[1](r), lj.cutoff)
    outcome = ask(soft, lj)
    for scan in ("Ar-Ar.", "Ar fcc."):
        assert numbers(outcome, scan)["wall_force_error"] == pytest.approx(-10)
    assert headlines(outcome)["mean.wall_force_absolute_error"][0] == pytest.approx(10)


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
    assert fault == "Ar-Ar: the energy jumps by 50 meV at 6.99 Å"


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


def test_a_force_that_is_no_derivative_shows():
    lj = lennard_jones()
    sound, wrong = numbers(ask(lj)), numbers(ask(added(lj, np.zeros_like, lambda r: 0.3 + 0 * r)))
    assert wrong["conservation_deviation"] == pytest.approx(sound["conservation_deviation"] + 0.3, abs=0.2)


def test_the_crystals_force_is_the_derivative_of_its_energy():
    ratios = np.linspace(0.8, 1.1, 301)
    curve, pressure = crystal_scan(surface(lennard_jones()), SYSTEM.crystals["Ar fcc"], ratios)
    slope = -np.gradient(curve.energy, curve.r)
    assert np.allclose(curve.force[2:-2], slope[2:-2], rtol=1e-3, atol=1e-3)
    assert pressure[0] > pressure[-1]
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


def test_a_line_has_no_unexplained_step():
    r = np.linspace(1, 2, 11)
    assert unexplained_step(Curve(r, -2 * r, 2 + 0 * r))[0] == pytest.approx(0, abs=1e-12)
