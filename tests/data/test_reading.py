"""Readers, key mapping and units against values that were written by hand."""

from __future__ import annotations

import gzip
import io
import json

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from data.samples import crystal_frame, molecule_frame

from scalarfid.data import read_frames
from scalarfid.data.config import Keys, Units
from scalarfid.data.labels import labels_of
from scalarfid.data.units import factor
from scalarfid.errors import ScalarFidError

VOIGT = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 1e-3
FULL = 1e-3 * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]])


def test_extended_xyz_keeps_labels_cell_and_frame_number(write):
    frames = [crystal_frame(seed) for seed in range(3)]
    for name in ("a.xyz", "a.xyz.gz"):
        read = read_frames(write(frames, name, format="extxyz"))
        assert [atoms.info["frame"] for atoms in read] == [0, 1, 2]
        for one, two in zip(frames, read, strict=True):
            np.testing.assert_allclose(two.positions, one.positions, atol=1e-8)
            np.testing.assert_allclose(two.cell[:], one.cell[:], rtol=1e-14)
            np.testing.assert_allclose(labels_of(two).stress, one.info["REF_stress"], rtol=1e-12)
            np.testing.assert_allclose(labels_of(two).forces, one.arrays["REF_forces"], atol=1e-8)
            assert labels_of(two).energy == pytest.approx(one.info["REF_energy"], rel=1e-14)


@pytest.mark.parametrize("name", ["a.db", "a.traj", "a.json"])
def test_other_formats_of_ase_give_the_labels_of_the_calculator(tmp_path, name):
    atoms = crystal_frame(0)
    energy, stress = atoms.info.pop("REF_energy"), atoms.info.pop("REF_stress")
    forces = atoms.arrays.pop("REF_forces")
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    ase.io.write(tmp_path / name, [atoms, atoms])
    labels = labels_of(read_frames(tmp_path / name)[1])
    assert labels.energy == pytest.approx(energy)
    np.testing.assert_allclose(labels.forces, forces, atol=1e-12)
    np.testing.assert_allclose(labels.stress, stress, atol=1e-12)


@pytest.mark.parametrize("stress", [VOIGT, FULL, FULL.ravel()])
def test_stress_is_three_by_three_whatever_was_written(write, stress):
    atoms = crystal_frame(0)
    atoms.info["REF_stress"] = stress
    np.testing.assert_allclose(labels_of(read_frames(write([atoms]))[0]).stress, FULL, rtol=1e-12)


def test_keys_may_be_renamed_and_units_converted(write):
    atoms = crystal_frame(0)
    del atoms.info["REF_energy"], atoms.info["REF_stress"], atoms.arrays["REF_forces"]
    atoms.info |= {"dft_energy": -100.0, "sigma": VOIGT}
    atoms.arrays["dft_forces"] = np.tile([[1.0, 0, 0], [-1.0, 0, 0]], (2, 1))
    keys = Keys(energy=["not_there", "dft_energy"], forces="dft_forces", stress="sigma")
    read = read_frames(write([atoms]), keys, Units(energy="kcal/mol", forces="Hartree/Bohr", stress="-kbar"))[0]
    labels = labels_of(read)
    assert labels.energy == pytest.approx(-100 * units.kcal / units.mol, rel=1e-14)
    assert labels.forces[0, 0] == pytest.approx(51.4220671, rel=1e-7)
    np.testing.assert_allclose(labels.stress, -FULL * 0.1 * units.GPa, rtol=1e-12)


def test_lengths_are_converted_with_the_cell(write):
    atoms = crystal_frame(0)
    read = read_frames(write([atoms]), None, Units(length="Bohr"))[0]
    assert read.get_volume() == pytest.approx(atoms.get_volume() * units.Bohr**3, rel=1e-12)


@pytest.mark.parametrize("names", [("nuclear_charges", "coords", "energies", "forces"), ("z", "R", "E", "F")])
def test_npz_of_rmd17_and_sgdml(tmp_path, names):
    rng = np.random.default_rng(0)
    values = (np.array([8, 1, 1]), rng.normal(0, 1, (5, 3, 3)), rng.normal(0, 1, (5, 1)), rng.normal(0, 1, (5, 3, 3)))
    np.savez(tmp_path / "a.npz", **dict(zip(names, values, strict=True)), old_energies=values[2] + 1)
    frames = read_frames(tmp_path / "a.npz", None, Units(energy="kcal/mol", forces="kcal/mol/Ang"), rows=[3, 1])
    assert [atoms.info["frame"] for atoms in frames] == [3, 1]
    assert frames[1].symbols.get_chemical_formula() == "H2O"
    kcal = 0.043364104
    assert labels_of(frames[0]).energy == pytest.approx(values[2][3, 0] * kcal, rel=1e-7)
    np.testing.assert_allclose(labels_of(frames[0]).forces, values[3][3] * kcal, rtol=1e-7)


def test_mlearn_json_has_vasp_stress_order_and_sign(tmp_path):
    sites = [{"species": [{"element": "Si", "occu": 1}], "xyz": [0.3, 0, 0]}]
    entry = {
        "structure": {"lattice": {"matrix": (5 * np.eye(3)).tolist()}, "sites": sites},
        "outputs": {"energy": -5.0, "forces": [[0, 0, 0]], "virial_stress": [10, 20, 30, 60, 40, 50]},
        "group": "Elastic",
    }
    (tmp_path / "training.json").write_text(json.dumps([entry]))
    atoms = read_frames(tmp_path / "training.json", None, Units(stress="-kbar"))[0]
    np.testing.assert_allclose(labels_of(atoms).stress, -1e4 * 0.1 * units.GPa * FULL, rtol=1e-12)
    assert atoms.info["group"] == "Elastic"


def test_published_silicon_json_and_the_stand_in_agree_on_stress(stand_in):
    first = ase.io.read(stand_in / "si" / "mlearn_Si_training.xyz.gz", index=0)
    published = [-6.58094686, -9.63365488, -2.75897261, 9.08682588, -1.60618898, -5.41948494]  # kbar, VASP
    xx, yy, zz, xy, yz, zx = -np.array(published) * factor("kbar")
    np.testing.assert_allclose(labels_of(first).stress, [[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]], rtol=1e-6)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("eV", 1),
        ("kcal/mol", 0.0433641),
        ("meV/Ang", 1e-3),
        ("Ha/Bohr^3", 27.211386 / 0.529177**3),
        ("-kbar", -6.2415e-4),
    ],
)
def test_unit_expressions(expression, value):
    assert factor(expression) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("expression", ["kcal/mole", "eV//Ang", "", "import os", "eV^12"])
def test_unknown_units_are_named(expression):
    with pytest.raises(ScalarFidError, match="is not known"):
        factor(expression)


@pytest.mark.parametrize(
    ("expression", "remedy"), [("kcal", "kcal/mol"), ("kJ/Ang", "kJ/mol/Ang"), ("-J/Ang^3", "-J/mol/Ang^3")]
)
def test_an_energy_that_must_be_of_a_mole_is_refused_without_it(expression, remedy):
    with pytest.raises(ScalarFidError, match="not per mole") as caught:
        factor(expression)
    assert str(caught.value).endswith(f"write {remedy}")


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def two_molecules() -> str:
    stream = io.StringIO()
    ase.io.write(stream, [molecule_frame(0), molecule_frame(1)], format="extxyz")
    return stream.getvalue()


GOOD = two_molecules()
BROKEN = {
    "cut.xyz": GOOD[: len(GOOD) * 3 // 4].rsplit("\n", 1)[0].encode(),
    "a_word_for_a_number.xyz": GOOD.replace("O ", "O oxygen", 1).encode(),
    "unknown_element.xyz": GOOD.replace("O ", "Xx ", 1).encode(),
    "noise.xyz": bytes(range(256)) * 4,
    "empty.xyz": b"",
    "cut.xyz.gz": gzip.compress(GOOD.encode())[:200],
    "not_compressed.xyz.gz": GOOD.encode(),
    "cut.npz": npz(z=[1], R=np.zeros((100, 1, 3)))[:300],
    "other_keys.npz": npz(positions=np.zeros((1, 1, 3))),
    "pickled.npz": npz(z=[1], R=np.array([{"a": 1}], dtype=object)),
    "bad.json": b"[{]",
    "strange.format": b"no known format\n",
}


@pytest.mark.parametrize("name", [*BROKEN, "missing.xyz"])
def test_broken_files_are_one_line_with_their_name(tmp_path, name):
    path = tmp_path / name
    if name in BROKEN:
        path.write_bytes(BROKEN[name])
    with pytest.raises(ScalarFidError) as caught:
        read_frames(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_units_stated_in_an_npz_must_be_those_of_the_config(tmp_path):
    np.savez(tmp_path / "a.npz", z=[1, 1], R=np.zeros((1, 2, 3)), E=[1.0], F=np.zeros((1, 2, 3)), e_unit="kcal/mol")
    with pytest.raises(ScalarFidError, match="energy in kcal/mol, the config says eV"):
        read_frames(tmp_path / "a.npz")


def test_a_key_that_no_frame_has_is_refused_with_those_there_are(write):
    with pytest.raises(ScalarFidError, match=r"no frame has energy under 'dft_energi' .*REF_energy"):
        read_frames(write([molecule_frame(0)]), Keys(energy="dft_energi"))


def test_a_label_that_is_no_number_is_refused(write):
    atoms = molecule_frame(0)
    atoms.info["REF_energy"] = "low"
    with pytest.raises(ScalarFidError, match=r"frame 0: a label is not a number .*low"):
        read_frames(write([atoms]))


def test_a_molecule_in_a_box_that_is_not_periodic_has_no_stress(write):
    atoms = Atoms("H2", positions=[[0, 0, 0], [0.7, 0, 0]], cell=[9, 9, 9], pbc=False)
    atoms.info["REF_stress"] = VOIGT
    assert labels_of(read_frames(write([atoms]))[0]).stress is None
