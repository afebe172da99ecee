"""The ASE calculator says what the potential says, in ASE's conventions."""

from __future__ import annotations

import checks
import numpy as np
import pytest
import structures
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress
from potentials import tiny

from scalarfid import ScalarFidCalculator, ScalarFidError


def with_calculator(atoms, **options):
    atoms = atoms.copy()
    atoms.calc = ScalarFidCalculator(tiny("mace", "pan+pgs", perturbed=True, **options))
    return atoms


def test_energy_forces_and_stress_are_the_potentials():
    atoms = with_calculator(structures.crystal())
    expected = checks.evaluate(atoms.calc.potential, atoms)
    assert atoms.get_potential_energy() == pytest.approx(float(expected["energy"]), abs=1e-12)
    assert np.allclose(atoms.get_potential_energies(), expected["node_energy"], atol=1e-12)
    assert np.allclose(atoms.get_forces(), expected["forces"], atol=1e-12)
    assert np.allclose(voigt_6_to_full_3x3_stress(atoms.get_stress()), expected["stress"][0], atol=1e-12)


def test_stress_is_refused_where_it_has_no_meaning():
    for frame in (structures.molecule(), structures.slab()):
        with pytest.raises(PropertyNotImplementedError, match="stress needs"):
            with_calculator(frame).get_stress()


def test_a_float32_model_computes_in_float64_unless_told_otherwise():
    atoms = with_calculator(structures.molecule(), dtype="float32")
    assert atoms.calc.potential.config["dtype"] == "float64"
    single = ScalarFidCalculator(tiny("mace", dtype="float32"), dtype="float32")
    assert single.potential.config["dtype"] == "float32"


def test_moving_atoms_gives_new_results_and_an_unknown_element_is_named():
    atoms = with_calculator(structures.molecule())
    before = atoms.get_potential_energy()
    atoms.positions[0, 0] += 0.1
    assert atoms.get_potential_energy() != before
    atoms.numbers[0] = 79
    with pytest.raises(ScalarFidError, match="Element Au"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("before", [False, True], ids=["at first", "with a list of neighbours"])
def test_positions_that_are_no_numbers_have_no_energy(value, before):
    atoms = with_calculator(structures.crystal())
    if before:
        atoms.get_forces()
    atoms.positions[0, 0] = value
    with pytest.raises(ScalarFidError, match="positions with NaN or infinity"):
        atoms.get_forces()


def test_a_misspelt_keyword_is_refused_and_those_of_ase_are_not():
    with pytest.raises(TypeError, match="unexpected keyword argument 'dtyp'"):
        ScalarFidCalculator(tiny("mace"), dtyp="float32")
    atoms = structures.molecule()
    assert ScalarFidCalculator(tiny("mace"), atoms=atoms, label="here") is atoms.calc


@pytest.mark.parametrize("device", ["tpu", "cuda:7"])
def test_a_device_that_is_not_there_is_one_line(device):
    with pytest.raises(ScalarFidError, match=f"device={device} is not"):
        ScalarFidCalculator(tiny("mace"), device=device)
