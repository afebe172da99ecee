"""Errors known by construction, zero of the labels against themselves; the published files; a model really built."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from physics.surfaces import headlines

import scalarfid
from scalarfid import ScalarFidError
from scalarfid.data.labels import labels_of
from scalarfid.diagnose import options_for
from scalarfid.physics import Answers, System, diagnostics, surface, system_of
from scalarfid.physics.extrapolation import ExtrapolationOptions, draw, measure, parts, transfer


class Labels:
    """A surface that answers with the labels, changed by a function of the frames' energies and forces."""

    name, cutoff = "labels", None

    def __init__(self, change=lambda _, energy, forces: (energy, forces)):
        self.change = change

    def __call__(self, frames, **_):
        labels = [labels_of(atoms) for atoms in frames]
        forces = [
            np.zeros((len(atoms), 3)) if k.forces is None else k.forces for atoms, k in zip(frames, labels, strict=True)
        ]
        return Answers(*self.change(frames, np.array([label.energy for label in labels]), forces))


def dimer(pair, x, energy):
    atoms = Atoms(pair, [[0, 0, 0], [x, 0, 0]])
    atoms.info |= {"REF_energy": energy, "distance": x, "config_type": pair}
    return atoms


def sets():
    rng = np.random.default_rng(0)
    hot = []
    for energy in (-3.0, -1.0, -2.0):
        hot.append(molecule("H2O"))
        hot[-1].info |= {"REF_energy": energy, "dihedral_angle": 0.0}
        hot[-1].arrays["REF_forces"] = rng.normal(size=(3, 3))
    x = np.linspace(0.8, 3.0, 45)
    dimers = [dimer(pair, r, (r - 1.2) ** 2) for pair in ("HH", "HO") for r in x[::-1]]
    turned = [molecule("H2O") for _ in range(24)]
    for angle, atoms in enumerate(turned):
        atoms.info |= {"REF_energy": 1 - np.cos(2 * np.pi * angle / 24), "dihedral_angle": 15.0 * angle}
    return {"test_600K": hot, "test_dimers": dimers, "test_dihedral": turned}


WATER = System("acac", (1, 8), tests=sets)


def ask(change=None, system=WATER, **options):
    model = Labels() if change is None else Labels(change)
    outcome = measure(model, None, system, ExtrapolationOptions(**options))
    return outcome, {name: number.value for name, number in outcome.numbers.items()}


def test_the_labels_against_themselves_have_no_error():
    outcome, found = ask()
    assert outcome.findings == []
    wrong = ("rmse", "mae", "error", "hole")
    assert {value for name, value in found.items() if name.endswith(wrong)} == {0.0}
    assert found["test_600K.energy_spread"] == pytest.approx(np.sqrt(2 / 3))
    assert found["test_dimers HH.minima"] == found["test_dimers HH.reference_minima"] == 1
    assert "test_dihedral.forces_rmse" not in found
    assert found["test_dihedral.frames"] == 24
    assert headlines(outcome)["test_600K.forces_rmse"] == headlines(outcome)["test_dihedral.shape_rmse"]
    assert set(headlines(outcome).values()) == {(0.0, "less", None)}


def test_errors_are_those_put_in():
    def change(frames, energy, forces):
        return energy + 0.3 + 0.4 * (np.arange(len(energy)) == 0), [f + 0.01 for f in forces]

    _, found = ask(change)
    assert found["test_600K.energy_mae"] == pytest.approx(0.3 + 0.4 / 3)
    assert found["test_600K.energy_rmse"] == pytest.approx(np.sqrt((0.7**2 + 2 * 0.3**2) / 3))
    assert found["test_600K.forces_rmse"] == pytest.approx(0.01)
    assert found["test_dimers HH.shape_mae"] == pytest.approx(0.4 / 45)


def test_a_barrier_of_nine_tenths_is_two_tenths_of_two_too_low():
    _, found = ask(lambda _, energy, forces: (0.9 * energy, forces))
    assert found["test_dihedral.barrier_error"] == pytest.approx(-0.2)
    assert "test_dimers HH.barrier_error" not in found


def test_a_hole_and_an_extra_minimum_are_named():
    def hole(frames, energy, forces):
        x = np.array([atoms.info.get("distance", 9.0) for atoms in frames])
        pair = np.array([atoms.info.get("config_type") == "HH" for atoms in frames])
        return energy - 3 * pair * np.exp(-(((x - 2.0) / 0.1) ** 2)), forces

    outcome, found = ask(hole)
    extra, deep = outcome.findings
    assert extra == "test_dimers HH: a minimum, at 2.00, where the reference has none"
    assert deep.startswith("test_dimers HH: the energy falls 2.36 eV below the reference's minimum, at 2.00")
    assert found["test_dimers HO.hole"] == 0


def test_a_minimum_is_spurious_where_the_reference_has_none_at_that_place():
    def shifted(frames, energy, forces):
        x = np.array([atoms.info.get("distance", 9.0) for atoms in frames])
        pair = np.array([atoms.info.get("config_type") == "HH" for atoms in frames])
        return np.where(pair, (x - 1.8) ** 2, energy), forces

    outcome, found = ask(shifted)
    assert "test_dimers HH: a minimum, at 1.80, where the reference has none" in outcome.findings
    assert found["test_dimers HH.spurious_minima"] == 1
    assert found["test_dimers HO.spurious_minima"] == 0


def test_an_energy_that_is_no_number_is_named():
    outcome, found = ask(lambda _, energy, forces: (np.full(len(energy), np.nan), forces))
    assert outcome.findings[0] == "test_600K: the model's energy is not finite in 3 frames"
    assert found == {}


def test_sets_are_thinned_and_curves_are_not():
    thin = {part.name: len(part.frames) for part in parts(sets(), 2)}
    assert thin == {"test_600K": 2, "test_dimers HH": 45, "test_dimers HO": 45, "test_dihedral": 24}
    with pytest.raises(ScalarFidError, match=r"extrapolation\.frames=0"):
        ask(frames=0)


def test_it_is_asked_of_sets_with_published_tests_only():
    question = diagnostics()["extrapolation"]
    assert question.applies(None, WATER) is None
    assert question.applies(None, System("si", (14,))) == "extrapolation needs a published test set, and si has none"
    assert options_for(question, ["extrapolation.frames=20"]).frames == 20


def test_the_outcome_is_written_and_drawn(tmp_path):
    outcome, _ = ask()
    assert outcome.write(tmp_path, draw).is_file()
    assert (tmp_path / "extrapolation.png").stat().st_size > 1000


@pytest.fixture(scope="module")
def root():
    found = os.environ.get("SCALARFID_DATA")
    if not found or not Path(found, "acac").is_dir():
        pytest.skip("SCALARFID_DATA with acac/ is not there")
    return found


def published(name, root):
    from scalarfid.data import named

    return system_of(vars(named(name, root=root)), (1, 6, 8))


def test_curves_of_the_published_files(root):
    found = {}
    for name in ("acac", "botnet_ethanol"):
        found |= {part.name: part.x for part in parts(published(name, root).tests(), 5) if part.x is not None}
    sizes = {name: (len(x), round(x[0], 2), round(x[-1], 2)) for name, x in found.items()}
    assert sizes["test_dihedral"] == (45, 1, 177)
    assert sizes["test_H_transfer"] == (15, -0.33, 0.33)
    assert sizes["test_H_removal"] == (60, 0.68, 6.58)
    assert sizes["test_mode_874"] == (37, -1.5, 2.1)
    assert sizes["test_mode_3005"] == (18, -1.3, 0.4)
    assert sizes["test_dimers HH"][:2] == (92, 0.35)
    assert len(sizes) == 11
    assert all((np.diff(x) >= 0).all() for x in found.values())


def test_published_labels_against_themselves(root):
    outcome, found = ask(system=published("acac", root), frames=20)
    assert outcome.findings == []
    assert found["test_dihedral.shape_rmse"] == found["test_600K.forces_mae"] == 0
    assert found["test_600K.forces_spread"] > 1
    assert found["test_H_transfer.reference_minima"] == 1  # of two; the end of a curve is none


def test_three_bpa_without_its_test_files_has_its_split_and_hotter_frames(root):
    held, hot = parts(published("3bpa", root).tests(), None)
    assert (held.name, len(held.frames), len(held.frames[0])) == ("test", 47, 27)
    assert (hot.name, len(hot.frames)) == ("test_mixedT", 500)


def test_a_model_is_asked_in_batches(root):
    potential = scalarfid.build("mace_tiny", "pan", elements=["H", "C", "O"], cutoff=4.0, dtype="float64")
    outcome = measure(surface(potential), None, published("acac", root), ExtrapolationOptions(frames=5))
    assert outcome.numbers["test_300K.energy_mae"].value > 1000  # no E0: all of the molecule's energy
    assert outcome.numbers["test_H_transfer.frames"].value == 15


def test_transfer_counts_from_one_oxygen_to_the_other():
    atoms = Atoms("OHO", [[0, 0, 0], [1.0, 0, 0], [2.4, 0, 0]])
    assert transfer(atoms) == pytest.approx(-0.4)
    atoms.positions[1, 0] = 1.4
    assert transfer(atoms) == pytest.approx(0.4)
