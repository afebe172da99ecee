"""What is refused about labels, splits, E0 and options: one clear line each, and nothing half-written."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from data.samples import crystal_frame, molecule_frame

from scalarfid.data import check_weights, load, named
from scalarfid.errors import ScalarFidError


def molecules(count: int) -> list[Atoms]:
    return [molecule_frame(seed) for seed in range(count)]


def crystals(count: int) -> list[Atoms]:
    return [crystal_frame(seed) for seed in range(count)]


def spoiled(frame: int, **changes) -> list[Atoms]:
    """Twelve good frames, one of which has an array or a label replaced."""
    frames = molecules(12)
    for name, value in changes.items():
        if name == "forces":
            frames[frame].arrays["REF_forces"] = value
        elif name == "energy":
            frames[frame].info["REF_energy"] = value
        else:
            setattr(frames[frame], name, value)
    return frames


def renamed_energies(*, keep: bool = True) -> list[Atoms]:
    """Frames whose energy is under ``my_e``, or nowhere."""
    frames = molecules(10)
    for atoms in frames:
        energy = atoms.info.pop("REF_energy")
        atoms.info |= {"my_e": energy} if keep else {}
    return frames


def scaled_stress(by: float) -> list[Atoms]:
    frames = crystals(10)
    for atoms in frames:
        atoms.info["REF_stress"] = atoms.info["REF_stress"] * by
    return frames


def with_atoms(*energies: float) -> list[Atoms]:
    return [*molecules(10), *[Atoms("H", info={"REF_energy": energy}) for energy in energies]]


def far_apart(count: int) -> list[Atoms]:
    return [Atoms("HF", [[0, 0, 0], [9, 0, k]], info={"REF_energy": 0.1 * k}) for k in range(count)]


NAN = np.full((3, 3), np.nan)
PUSHED = np.array([[0.5, 0, 0], [0, 0, 0], [0, 0, 0]])
ASYMMETRIC = np.array([[0, 1e-2, 0], [0, 0, 0], [0, 0, 0]])

BAD = {
    "NaN in the forces": (spoiled(3, forces=NAN), {}, r"frame 3: forces holds NaN"),
    "infinite energy": (spoiled(2, energy=np.inf), {}, r"frame 2: energy holds NaN or infinity"),
    "NaN in the positions": (spoiled(1, positions=NAN), {}, r"frame 1: positions holds NaN"),
    "net force": (spoiled(4, forces=PUSHED), {}, r"frame 4: net force 0.167 eV/Å per atom \(limit 0.1\)"),
    "unknown element": (spoiled(0, numbers=[0, 1, 1]), {}, r"frame 0: atomic number 0 is no element"),
    "kbar stress": (scaled_stress(1602), {}, r"cannot be eV/Å³; it looks like kbar or GPa: set dataset.units.stress"),
    "GPa stress": (scaled_stress(160.2), {}, r"cannot be eV/Å³"),
    "conflicting isolated atoms": (with_atoms(-13.6, -13.5), {}, r"isolated H atom, -13.6\d* and -13.5"),
    "isolated atom without energy": ([*molecules(10), Atoms("H")], {}, r"single-atom frame of H has no energy"),
    "isolated atoms of some elements": (with_atoms(-13.6), {"e0": "isolated"}, r"gives no energy for O; add single"),
    "explicit E0 incomplete": (molecules(10), {"e0": "explicit", "e0_values": {"H": -13.6}}, r"no energy for O"),
    "energies under another name": (
        renamed_energies(),
        {},
        r"no training frame has one; say where they are, dataset.keys.energy=… \(it has my_e\), or set dataset.e0=expl",
    ),
    "no energies at all": (
        renamed_energies(keep=False),
        {"e0": "mean"},
        r"no training frame has one; set dataset.e0=explicit dataset.e0_values.H=… dataset.e0_values.O=…$",
    ),
    "explicit E0 of no element": (molecules(10), {"e0": "explicit", "e0_values": {"Q": 1.0}}, r"'Q' is not an element"),
    "more frames than there are": (molecules(10), {"n_train": 100}, r"n_train=100, and 8 frames are to be had"),
    "half a frame": (molecules(10), {"n_val": 1.5}, r"n_val=1.5, .* a fraction below 1"),
    "one frame or all": (molecules(10), {"n_train": 1.0}, r"n_train=1.0 may be one frame or all of them; write 1 for"),
    "negative number of frames": (molecules(10), {"n_test": -1}, r"n_test=-1"),
    "nothing left for training": (molecules(10), {"n_val": 5, "n_test": 5}, r"no frames are left for train"),
    "too few frames": (molecules(2), {}, r"no frames are left for train"),
    "missing group": (molecules(10), {"group_key": "trajectory"}, r"has no 'trajectory' to group by"),
    "unknown key": (molecules(10), {"keys": {"energy": "E"}}, r"no frame has energy under 'E'"),
    "unknown unit": (molecules(10), {"units": {"energy": "kcalmol"}}, r"unit 'kcalmol': 'kcalmol' is not known"),
    "kcal of no mole": (molecules(10), {"units": {"energy": "kcal"}}, r"unit 'kcal': .* write kcal/mol"),
    "atoms on top of each other": ([*molecules(10), Atoms("H2")], {}, r"atoms 0 and 1 are 0 Å apart"),
    "no neighbours": (far_apart(9), {}, r"no training atom has a neighbour within model.cutoff=4.0 Å"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case, write, tmp_path):
    frames, options, message = BAD[case]
    cache = tmp_path / "cache"
    path = write(frames, format="extxyz")
    with pytest.raises(ScalarFidError, match=message) as caught:
        load(named("file", path=path, cache=str(cache), **options), cutoff=4.0)
    assert "\n" not in str(caught.value)
    assert not [name for name in cache.rglob("*") if ".partial" in name.name]


def test_a_small_net_force_is_a_warning(write, tmp_path, caplog):
    frames = molecules(12)
    frames[5].arrays["REF_forces"] = frames[5].arrays["REF_forces"] + [0.01, 0, 0]
    data = load(named("file", path=write(frames), cache=str(tmp_path)), cutoff=4.0)
    assert "net force above 0.001 eV/Å per atom in 1 frames, largest 0.01 in frame 5" in data.provenance["warnings"][0]
    assert "net force" in caplog.text


def test_frames_without_a_label_are_masked(write, tmp_path):
    frames = molecules(30)
    for atoms in frames[::2]:
        del atoms.info["REF_energy"]
    for atoms in frames[::3]:
        del atoms.arrays["REF_forces"]
    data = load(named("file", path=write(frames), cache=str(tmp_path)), cutoff=4.0)
    for graph in data.train + data.val + data.test["test"]:
        assert bool(graph.has_energy) == (int(graph.frame) % 2 != 0)
        assert bool(graph.has_forces) == (int(graph.frame) % 3 != 0)
        assert graph.forces.abs().sum() == 0 or graph.has_forces
    labelled = [g.forces.numpy() for g in data.train if g.has_forces]
    assert data.statistics.rms_force == pytest.approx(np.sqrt(np.mean(np.concatenate(labelled) ** 2)))


def test_energies_without_forces_leave_the_scale_at_one(write, tmp_path):
    frames = molecules(12)
    for atoms in frames:
        del atoms.arrays["REF_forces"]
    data = load(named("file", path=write(frames), cache=str(tmp_path)), cutoff=4.0)
    assert data.statistics.rms_force == 1.0
    assert data.labels == {"energy"}
    with pytest.raises(ScalarFidError, match=r"forces_weight=10, but no training frame of frames.xyz has forces"):
        check_weights(data, energy=1, forces=10)


def test_single_atoms_set_e0_leave_the_splits_and_are_logged(write, tmp_path, caplog):
    frames = [*with_atoms(-13.6), Atoms("O", info={"REF_energy": -430.0}, cell=[12, 12, 12], pbc=True)]
    with caplog.at_level("INFO", logger="scalarfid"):
        data = load(named("file", path=write(frames), cache=str(tmp_path)), cutoff=4.0)
    assert data.e0 == {1: -13.6, 8: -430.0}
    assert sum(data.statistics.n_frames.values()) == 10
    assert "2 single-atom frames (H, O) are kept for E0" in caplog.text
    assert "E0 (isolated): H -13.600000, O -430.000000 eV" in caplog.text


def test_a_primitive_cell_is_a_crystal_and_no_isolated_atom(write, tmp_path):
    frames = [bulk("Cu", a=3.6 + 0.01 * k) for k in range(10)]
    for k, atoms in enumerate(frames):
        atoms.info["REF_energy"] = -3.0 + 0.1 * k
    data = load(named("file", path=write(frames), cache=str(tmp_path)), cutoff=4.0)
    assert sum(data.statistics.n_frames.values()) == 10
    assert data.e0[29] == pytest.approx(np.mean([float(g.energy) for g in data.train]))


def test_an_element_that_only_the_test_set_has_is_warned_about(write, tmp_path):
    frames = molecules(10)
    new = molecule_frame(50)
    new.numbers[0] = 16
    path, test = write(frames, "train.xyz"), write([new], "test.xyz")
    options = {"e0": "explicit", "e0_values": {"H": 0.0, "O": 0.0, "S": 0.0}}
    data = load(named("file", train=path, test=test, cache=str(tmp_path), **options), cutoff=4.0)
    assert data.elements == (1, 8, 16)
    assert data.provenance["warnings"] == ["test has S, which no training frame has"]


@pytest.mark.parametrize("mode", ["lstsq", "mean"])
def test_an_element_that_training_frames_cannot_give_e0_is_refused_with_what_helps(mode, write, tmp_path):
    new = molecule_frame(50)
    new.numbers[0] = 7
    config = named("file", train=write(molecules(10)), test=write([new], "test.xyz"), e0=mode, cache=str(tmp_path))
    with pytest.raises(ScalarFidError, match=r"energy for N: it is in no training frame .*e0_values\.N=") as caught:
        load(config, cutoff=4.0)
    assert "set dataset.e0=lstsq" not in str(caught.value)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({}, "needs dataset.path"),
        ({"path": "a.xyz", "train": "b.xyz"}, "dataset.path=a.xyz and dataset.train=b.xyz exclude each other"),
        ({"path": "a.xyz", "test": "b.xyz"}, "dataset.path=a.xyz and dataset.test=b.xyz exclude each other"),
        ({"test": "b.xyz"}, "needs dataset.path"),
        ({"path": "."}, "dataset.path=. is a folder; name a file in it"),
        ({"path": "nowhere.xyz"}, "dataset.path=nowhere.xyz: there is no such file"),
        ({"train": "nowhere.xyz"}, "dataset.train=nowhere.xyz: there is no such file"),
    ],
)
def test_files_must_be_named_and_there(paths, message, tmp_path):
    with pytest.raises(ScalarFidError, match=message):
        load(named("file", cache=str(tmp_path), **paths), cutoff=4.0)


def test_a_cutoff_that_is_not_positive_is_refused(write, tmp_path):
    with pytest.raises(ScalarFidError, match=r"model.cutoff=0"):
        load(named("file", path=write(molecules(10)), cache=str(tmp_path)), cutoff=0.0)
