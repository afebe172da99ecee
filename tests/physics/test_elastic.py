"""Elastic constants against springs by hand and energies by ASE alone; ions at rest; faults made on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, graphene
from ase.optimize import BFGS
from ase.units import GPa
from matplotlib.figure import Figure
from physics.surfaces import Pairs, headlines, lennard_jones

from scalarfid import ScalarFidError
from scalarfid.diagnose import options_for
from scalarfid.physics import System, diagnostics, surface
from scalarfid.physics.crystals import relax, stated
from scalarfid.physics.elastic import ElasticOptions, draw, equation_of_state, measure, solid

OPTIONS = ElasticOptions()
ARGON = System("argon", (18,), {"Ar fcc": bulk("Ar", "fcc", a=3.9)}, reference="Pairs")
SILICON = System("si_sw", (14,), {"Si diamond": bulk("Si", a=5.43)}, reference="si_sw")


def scaled(base: Pairs, energy: float, force: float) -> Pairs:
    return Pairs(lambda r: energy * base.functions[0](r), lambda r: force * base.functions[1](r), base.cutoff)


def ask(model, reference=None, system=ARGON, options=OPTIONS):
    return measure(surface(model), None if reference is None else surface(reference), system, options)


def values(of, crystal):
    return {name: number.value for name, number in solid(surface(of), crystal, OPTIONS).numbers.items()}


def energy_curvature(calculator, crystal, strain, *, relaxed=False, step=2e-3):
    """V⁻¹ d²E/dη² in GPa along a strain, from five energies, by ASE alone."""
    energies = []
    for size in np.array([-2, -1, 0, 1, 2]) * step:
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell @ (np.eye(3) + size * np.array(strain)), scale_atoms=True)
        atoms.calc = calculator
        if relaxed:
            BFGS(atoms, logfile=None).run(fmax=1e-6)
        energies.append(atoms.get_potential_energy())
    second = np.dot([-1, 16, -30, 16, -1], energies) / (12 * step**2)
    return second / crystal.get_volume() / GPa


STRETCH = np.diag([1.0, 0, 0])
AREA = np.diag([1.0, 1.0, 0])
SHEAR = np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])  # engineering strain 1, symmetric


def test_springs_between_neighbours_of_a_face_centred_crystal():
    k, r0 = 2.0, 2.8
    found = values(
        Pairs(lambda r: 0.5 * k * (r - r0) ** 2, lambda r: -k * (r - r0), 1.2 * r0), bulk("Ar", "fcc", a=3.95)
    )
    a = r0 * np.sqrt(2)
    assert found["a0"] == pytest.approx(a, abs=1e-5)
    assert found["C11"] == pytest.approx(2 * k / a / GPa, rel=1e-3)
    assert found["C12"] == pytest.approx(k / a / GPa, rel=1e-3)
    assert found["C44"] == pytest.approx(k / a / GPa, rel=1e-3)
    assert found["B"] == pytest.approx(4 * k / (3 * a) / GPa, rel=1e-3)


@pytest.mark.parametrize(("of", "crystal"), [("argon", bulk("Ar", a=3.9)), ("si_sw", bulk("Si", a=5.43))])
def test_the_energys_second_differences_by_ase_alone(of, crystal):
    calculator = lennard_jones() if of == "argon" else surface(of).calculator()
    found = values(calculator, crystal)
    relaxed = relax(surface(calculator), crystal, 1e-6)
    c11 = energy_curvature(calculator, relaxed, STRETCH)
    c12 = energy_curvature(calculator, relaxed, AREA) / 2 - c11
    assert found["C11"] == pytest.approx(c11, rel=2e-3)
    assert found["C12"] == pytest.approx(c12, rel=2e-3)
    assert found["C44"] == pytest.approx(energy_curvature(calculator, relaxed, SHEAR, relaxed=True), rel=2e-3)
    assert found["C44_clamped"] == pytest.approx(energy_curvature(calculator, relaxed, SHEAR), rel=2e-3)


@pytest.mark.parametrize("name", ["si_sw", "ag_emt", "lif_ion"])
def test_energy_and_stress_give_one_bulk_modulus(name):
    crystal = {"si_sw": bulk("Si", a=5.43), "ag_emt": bulk("Ag", a=4.06), "lif_ion": bulk("LiF", "rocksalt", a=4.04)}
    found = values(name, crystal[name])
    assert found["B_energy"] == pytest.approx(found["B"], rel=5e-3)
    assert found["V0"] == pytest.approx(found["a0"] ** 3 / {"si_sw": 8, "ag_emt": 4, "lif_ion": 8}[name], rel=1e-4)
    if name == "lif_ion":  # central forces at rest, every ion a centre of symmetry: Cauchy's relation
        assert found["C12"] == pytest.approx(found["C44"], rel=1e-3)
    if name == "si_sw":  # Balamane, Halicioglu and Tiller, Phys. Rev. B 46, 2250 (1992)
        assert [found[key] for key in ("C11", "C12", "C44")] == pytest.approx([151.4, 76.4, 56.4], abs=0.2)


def test_ions_at_rest_soften_the_shear_of_diamond_alone():
    silicon, silver = values("si_sw", bulk("Si", a=5.43)), values("ag_emt", bulk("Ag", a=4.06))
    assert silicon["C44"] < 0.55 * silicon["C44_clamped"]
    assert silver["C44"] == pytest.approx(silver["C44_clamped"], rel=1e-9)


def test_a_surface_agrees_with_itself():
    outcome = ask("si_sw", "si_sw", SILICON)
    errors = {name: number.value for name, number in outcome.numbers.items() if name.endswith("_error")}
    assert len(errors) == 6
    assert set(errors.values()) == {0.0}
    assert outcome.findings == []
    figure = Figure()
    draw(outcome, figure)
    assert len(figure.axes) == 2
    for key, (value, better, truth) in headlines(outcome).items():
        assert (better, value) == ("reference", truth), key
    assert {key.rpartition(".")[2] for key in headlines(outcome)} == {"C11", "C12", "C44", "B"}
    c11 = outcome.numbers["Si diamond.C11"]
    assert 0 < c11.high - c11.value < 1
    assert c11.value - c11.low == pytest.approx(c11.high - c11.value)


def test_four_fifths_of_the_forces_are_a_fifth_too_soft():
    outcome = ask(scaled(lennard_jones(), 0.8, 0.8), lennard_jones())
    assert outcome.numbers["Ar fcc.C44_error"].value == pytest.approx(-20, abs=0.01)
    assert outcome.numbers["Ar fcc.a0_error"].value == pytest.approx(0, abs=1e-5)
    assert len(outcome.findings) == 5
    assert all("is 20.0 % below" in fault for fault in outcome.findings)


def test_stress_that_is_no_derivative_of_the_energy_is_a_fault():
    (fault,) = ask(scaled(lennard_jones(), 1.0, 0.9)).findings
    assert fault.startswith("Ar fcc: bulk modulus ")
    assert "GPa of the energy" in fault


def test_a_crystal_that_shears_apart_is_a_fault():
    outcome = ask(lennard_jones(), system=System("argon", (18,), {"Ar bcc": bulk("Ar", "bcc", a=3.15)}))
    (fault,) = outcome.findings
    assert fault.startswith("Ar bcc: elastically unstable (C11 ")


def test_a_crystal_without_a_minimum_is_a_fault():
    outcome = ask(Pairs(lambda r: np.exp(-r), lambda r: np.exp(-r), 7.0))
    assert outcome.findings == ["Ar fcc: Pairs has no minimum near the crystal (300 steps, half to double the volume)"]
    numbers, _, _ = equation_of_state(surface(lennard_jones()), bulk("Ar", a=6.0), OPTIONS)
    assert numbers["V0"].value is None
    draw(outcome, Figure())


def test_only_the_labels_own_level_of_theory_gives_errors():
    outcome = ask("si_kumagai", "si_sw", System("si", (14,), SILICON.crystals))
    assert not any(name.endswith("_error") for name in outcome.numbers)
    assert outcome.numbers["Si diamond.reference.C11"].value == pytest.approx(151.4, abs=0.2)
    assert outcome.settings["context"]["Si diamond"]["PW91"]["C44_GPa"] == 72.2
    draw(outcome, Figure())


def test_options_and_crystals_that_cannot_be_used():
    with pytest.raises(ScalarFidError, match=r"elastic\.steps=2 is out of range; it must be ≥ 3\."):
        ask("si_sw", system=SILICON, options=ElasticOptions(steps=2))
    with pytest.raises(ScalarFidError, match="graphite is hexagonal; diagnostics=elastic is for cubic"):
        ask("si_sw", system=System("c", (6,), {"graphite": graphene(vacuum=3.0)}))


def test_the_file_of_options_has_the_defaults():
    assert options_for(diagnostics()["elastic"], []) == ElasticOptions()


def test_what_stands_beside_lif_is_what_the_labels_code_answered():
    kept = Path(__file__).parents[2] / "experiments" / "physics" / "lif_dft.json"
    truth = json.loads(kept.read_text())["truth"]
    shown = stated(None, System("lif", (3, 9), {"LiF rocksalt": bulk("LiF", "rocksalt", a=4.06)}))["context"]
    for name, value in shown["LiF rocksalt"]["PBE"].items():
        found = truth[f"LiF rocksalt.{name.rpartition('_')[0]}"]["value"]
        assert value == pytest.approx(found, abs=0.05 if name.endswith("GPa") else 5e-4)
