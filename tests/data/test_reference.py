"""Reference potentials against finite differences and known constants; the sets that are made from them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.eos import EquationOfState

from scalarfid.data import load, named, read_frames
from scalarfid.data.config import Recipe
from scalarfid.data.generate import labelled, make_frames, rattled
from scalarfid.data.labels import labels_of
from scalarfid.data.reference import isolated_atom, perfect_structure, reference
from scalarfid.data.sources import PACKAGED
from scalarfid.errors import ScalarFidError

CRYSTALS = ("ag_emt", "si_sw", "si_kumagai", "lif_ion")
STEP = 1e-3  # Å, and strain


def derivative(energy, step: float) -> float:
    """Fourth-order central difference of a function of one displacement."""
    return (8 * (energy(step) - energy(-step)) - (energy(2 * step) - energy(-2 * step))) / (12 * step)


def small(name: str) -> Atoms:
    """A rattled and strained cell of the reference's crystal, as small as a cubic cell is; or its molecule."""
    structures = {
        "ag_emt": bulk("Ag", a=4.06, cubic=True),
        "si_sw": bulk("Si", cubic=True),
        "si_kumagai": bulk("Si", cubic=True),
        "lif_ion": bulk("LiF", "rocksalt", a=4.04, cubic=True),
    }
    return rattled(structures.get(name, perfect_structure(name)), np.random.default_rng(3))


@pytest.mark.parametrize("name", [*CRYSTALS, "xtb"])
def test_forces_are_the_finite_differences_of_the_energy(name):
    atoms = small(name)
    calc = reference(name)
    forces = labelled(atoms, calc, "", "").arrays["REF_forces"]
    for atom, axis in ((0, 0), (2, 1), (3, 2)):

        def energy(shift, atom=atom, axis=axis):
            moved = atoms.copy()
            moved.positions[atom, axis] += shift
            moved.calc = calc
            return moved.get_potential_energy()

        tolerance = 2e-4 if name == "xtb" else 1e-6
        assert -derivative(energy, STEP) == pytest.approx(forces[atom, axis], abs=tolerance)


@pytest.mark.parametrize("name", CRYSTALS)
def test_stress_is_the_finite_difference_of_the_energy_with_strain(name):
    atoms = small(name)
    calc = reference(name)
    stress = labelled(atoms, calc, "", "").info["REF_stress"]
    for i, j in ((0, 0), (1, 2), (2, 0)):

        def energy(size, i=i, j=j):
            strain = np.zeros((3, 3))
            strain[i, j] += size / 2
            strain[j, i] += size / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
            moved.calc = calc
            return moved.get_potential_energy()

        assert derivative(energy, STEP) / atoms.get_volume() == pytest.approx(stress[i, j], abs=1e-8)


def test_rigid_ion_forces_of_a_cluster():
    atoms = Atoms("Li2F2", positions=[[0, 0, 0], [0, 2.2, 0.3], [1.8, 0, 0.1], [1.7, 2.0, 0]])
    atoms.calc = reference("lif_ion")
    expected = atoms.calc.calculate_numerical_forces(atoms, 1e-4)
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-6)


def test_a_dimer_of_stillinger_and_weber():
    epsilon, sigma, a, b = 2.1683, 2.0951, 7.049556277, 0.6022245584  # Phys. Rev. B 31, 5262
    dimer = Atoms("Si2", [[0, 0, 0], [2.0, 0, 0]], calculator=reference("si_sw"))
    for r in (1.2, 2.35, 3.0, 5.0):
        dimer.positions[1, 0] = r
        expected = epsilon * a * (b * (sigma / r) ** 4 - 1) * np.exp(sigma / (r - 1.8 * sigma)) if r < 3.7 else 0.0
        assert dimer.get_potential_energy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["si_sw", "si_kumagai"])
@pytest.mark.parametrize("pbc", [False, (True, False, True)])
def test_silicon_may_have_open_boundaries(name, pbc):
    cluster = Atoms("Si4", [[0, 0, 0], [0, 2.3, 0.3], [2.1, 0, 0.1], [1.7, 2.2, 1.2]], pbc=pbc)
    cluster.cell = np.diag(np.where(cluster.pbc, 8.0, 0.0))
    large = Atoms("Si4", cluster.positions + 10, cell=[30, 30, 30])
    large.calc = reference(name)
    cluster.calc = reference(name)
    assert cluster.get_potential_energy() == pytest.approx(large.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(cluster.get_forces(), large.get_forces(), atol=1e-9)
    assert not cluster.calc.calculation_required(cluster, ["forces"])
    with pytest.raises(PropertyNotImplementedError):
        cluster.get_stress()


def test_the_rigid_ion_madelung_energy():
    atoms = bulk("LiF", "rocksalt", a=4.0, cubic=True)
    calc = reference("lif_ion")
    atoms.calc = calc
    atoms.get_potential_energy()
    charge = torch.tensor([1.0 if z == 3 else -1.0 for z in atoms.numbers], dtype=torch.float64)
    ewald = float(calc._ewald(torch.tensor(atoms.positions), torch.tensor(atoms.cell[:]), charge))
    madelung = 1.747564594633
    assert ewald / 4 == pytest.approx(-madelung * units.Hartree * units.Bohr / 2.0, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "a", "modulus"), [("ag_emt", 4.064, None), ("si_sw", 5.431, 101.4), ("lif_ion", 4.039, 72.5)]
)
def test_lattice_constant_and_bulk_modulus(name, a, modulus):
    element, kind = {"ag_emt": ("Ag", "fcc"), "si_sw": ("Si", "diamond"), "lif_ion": ("LiF", "rocksalt")}[name]
    volumes, energies = [], []
    for scale in np.linspace(0.985, 1.015, 7):
        cell = bulk(element, kind, a=a * scale, cubic=True)
        cell.calc = reference(name)
        volumes.append(cell.get_volume())
        energies.append(cell.get_potential_energy())
    volume, _, found = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    assert volume ** (1 / 3) == pytest.approx(a, abs=0.002)
    if modulus:
        assert found / units.GPa == pytest.approx(modulus, rel=0.01)


def test_energy_of_isolated_atoms():
    assert isolated_atom("lif_ion", 3).info["REF_energy"] == 0
    assert isolated_atom("si_sw", 14).info["REF_energy"] == 0
    assert isolated_atom("ag_emt", 47).info["REF_energy"] == pytest.approx(2.96)
    assert isolated_atom("xtb", 1).info["REF_energy"] == pytest.approx(-0.3934827 * units.Hartree, rel=1e-5)


@pytest.mark.parametrize("name", ["ag_emt", "lif_ion", "xtb"])
def test_a_recipe_makes_the_same_frames_twice_and_others_with_another_seed(name):
    temperatures = [] if name == "lif_ion" else [300.0]
    recipes = [Recipe(name, frames=8, seed=seed, temperatures=temperatures, timestep=0.5) for seed in (0, 0, 1)]
    one, two, three = (make_frames(recipe) for recipe in recipes)
    assert len(one) == 8 + len(set(one[-1].numbers))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(one, two, strict=True))
    assert not any(np.array_equal(a.positions, b.positions) for a, b in zip(one[3:], three[3:], strict=True))
    families = {"rattled", "strained", "compressed", *(f"md_{T:g}K" for T in temperatures)}
    assert {atoms.info["config_type"] for atoms in one[3:]} == families
    stressed = [labels_of(atoms).stress is not None for atoms in one if len(atoms) > 1]
    assert all(stressed) if name != "xtb" else not any(stressed)


@pytest.mark.parametrize("name", ["ethanol", "mol31"])
def test_packaged_molecules_have_the_labels_of_the_reference(name):
    frames = read_frames(PACKAGED / f"{name}-gfn2-test.xyz.gz")
    for frame in frames[:: len(frames) // 3]:
        again = labelled(frame, reference("xtb"), "", "")
        assert again.info["REF_energy"] == pytest.approx(frame.info["REF_energy"], abs=1e-6)
        np.testing.assert_allclose(again.arrays["REF_forces"], frame.arrays["REF_forces"], atol=1e-5)


def test_every_molecule_of_mol31_is_whole_and_in_training_and_test():
    starts = {atoms.info["molecule"]: atoms for atoms in read_frames(PACKAGED / "mol31-start.xyz")}
    assert len(starts) == 31
    assert {z for atoms in starts.values() for z in atoms.numbers} == {1, 6, 7, 8, 9, 15, 16, 17}
    counts = {}
    for part in ("train", "test"):
        frames = [atoms for atoms in read_frames(PACKAGED / f"mol31-gfn2-{part}.xyz.gz") if len(atoms) > 1]
        counts[part] = Counter(atoms.info["molecule"] for atoms in frames)
        assert all(np.array_equal(atoms.numbers, starts[atoms.info["molecule"]].numbers) for atoms in frames)
        assert len({atoms.info["group"] for atoms in frames}) == 31 * {"train": 16 + 3, "test": 4 + 3}[part]
    assert counts == {part: dict.fromkeys(starts, each) for part, each in (("train", 34), ("test", 10))}


def test_a_generated_set_is_made_once_and_known_by_its_recipe(tmp_path):
    config = named("ag_emt", cache=str(tmp_path), n_val=3, n_test=3)
    config.recipe.frames, config.recipe.temperatures = 14, []
    data = load(config, cutoff=4.0)
    made = next((tmp_path / "generated").glob("*.xyz"))
    stamp = made.stat().st_mtime_ns
    assert load(config, cutoff=4.0).fingerprint == data.fingerprint
    assert made.stat().st_mtime_ns == stamp
    assert data.labels == {"energy", "forces", "stress"}
    assert data.e0[47] == pytest.approx(2.96)
    config.recipe.seed = 1
    assert load(config, cutoff=4.0).fingerprint != data.fingerprint


def test_unknown_references_and_molecules_are_named():
    with pytest.raises(ScalarFidError, match="there are ag_emt, si_sw, si_kumagai, lif_ion, xtb"):
        reference("au_emt")
    with pytest.raises(ScalarFidError, match=r"molecule='unobtainium'.*take a name such as CH3CH2OH"):
        perfect_structure("xtb", "unobtainium")


def test_the_rigid_ion_potential_refuses_other_elements_and_slabs():
    for atoms in (bulk("NaCl", "rocksalt", a=5.6), Atoms("LiF", cell=[4, 4, 4], pbc=[True, True, False])):
        atoms.calc = reference("lif_ion")
        with pytest.raises(ScalarFidError, match="for Li and F, periodic in all axes or in none"):
            atoms.get_potential_energy()
