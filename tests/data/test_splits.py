"""Splits, copies and E0 on frames small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from data.samples import crystal_frame, molecule_frame

from scalarfid.data import load, named
from scalarfid.data.copies import copy_classes
from scalarfid.data.energies import atomic_energies, fitted_energies
from scalarfid.data.splits import Sizes, split_frames
from scalarfid.errors import ScalarFidError


def frames(count: int, start: int = 0) -> list[Atoms]:
    made = [molecule_frame(seed) for seed in range(start, start + count)]
    for number, atoms in enumerate(made):
        atoms.info["frame"] = number
    return made


def split(roles, *, seed=0, group_key=None, duplicates="refuse", **sizes):
    return split_frames(roles, Sizes(**sizes), seed=seed, group_key=group_key, duplicates=duplicates)


def numbers(part):
    return [atoms.info["frame"] for atoms in part]


def turned(atoms: Atoms, seed: int = 5) -> Atoms:
    """The same frame, rotated, shifted and with its atoms in another order."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(atoms))
    copy = Atoms(atoms.numbers[order], atoms.positions[order] @ q + 0.3, cell=atoms.cell[:] @ q, pbc=atoms.pbc)
    copy.info = dict(atoms.info)
    return copy


def test_one_pool_is_divided_without_overlap_and_with_nothing_lost():
    parts = split({"all": frames(40)}, val=5, test=7)
    assert (len(parts.train), len(parts.val), len(parts.test["test"])) == (28, 5, 7)
    assert sorted(numbers(parts.train) + numbers(parts.val) + numbers(parts.test["test"])) == list(range(40))


def test_fractions_and_defaults_are_of_the_pool():
    assert [len(p) for p in (split({"all": frames(40)}, val=0.2).val, split({"all": frames(40)}).test["test"])] == [
        8,
        4,
    ]


def test_the_split_is_a_function_of_its_seed():
    one, two, three = (split({"all": frames(40)}, val=5, seed=seed) for seed in (0, 0, 1))
    assert numbers(one.val) == numbers(two.val) != numbers(three.val)


def test_a_group_stays_on_one_side():
    pool = frames(40)
    for atoms in pool:
        atoms.info["run"] = atoms.info["frame"] // 8
    parts = split({"all": pool}, val=8, test=8, group_key="run")
    runs = [{atoms.info["run"] for atoms in part} for part in (parts.train, parts.val, parts.test["test"])]
    assert [len(run) for run in runs] == [3, 1, 1]
    assert set.union(*runs) == set(range(5))


def test_what_a_part_does_not_take_of_a_group_is_counted_and_warned_about(caplog):
    pool = frames(30)
    for atoms in pool:
        atoms.info["run"] = atoms.info["frame"] // 10
    parts = split({"all": pool}, group_key="run")
    assert (len(parts.train), len(parts.val), len(parts.test["test"])) == (10, 3, 3)
    assert parts.dropped == {"surplus_of_groups": 14}
    assert "14 of 30 frames are in no split: frames of one 'run' (dataset.group_key) stay together" in caplog.text
    assert split({"all": pool}, group_key="run", val=10, test=10).dropped == {}


def test_copies_that_no_part_takes_are_counted_and_warned_about(caplog):
    pool = [*frames(4), *[turned(molecule_frame(4), seed) for seed in range(20)]]
    parts = split({"all": pool}, val=2, test=2)
    kept = len(parts.train) + len(parts.val) + len(parts.test["test"])
    assert parts.dropped == {"surplus_copies": 24 - kept}
    assert f"{24 - kept} of 24 frames are in no split: copies stay together" in caplog.text


def test_a_small_surplus_is_counted_and_not_warned_about(caplog):
    pool = frames(40)
    for atoms in pool:
        atoms.info["run"] = atoms.info["frame"] // 4
    assert split({"all": pool}, group_key="run", val=3, test=3).dropped == {"surplus_of_groups": 2}
    assert "no split" not in caplog.text


@pytest.mark.parametrize("make", [molecule_frame, crystal_frame])
def test_a_turned_and_renumbered_frame_is_a_copy_and_a_changed_one_is_not(make):
    one, other = make(0), make(1)
    moved = turned(one)
    moved.positions[0] += 0.003
    kinds = copy_classes([one, other, turned(one), turned(other), one.copy(), moved]).tolist()
    assert kinds[0] == kinds[2] == kinds[4]
    assert kinds[1] == kinds[3]
    assert len(set(kinds)) == 3


def test_the_same_positions_with_another_label_are_a_copy():
    one = molecule_frame(0)
    relabelled = one.copy()
    relabelled.info["REF_energy"] += 1
    assert len(set(copy_classes([one, relabelled, molecule_frame(1)]).tolist())) == 2


def test_copies_inside_a_pool_stay_on_one_side():
    pool = frames(20)
    pool += [turned(atoms, seed) for seed, atoms in enumerate(pool)]
    for seed in range(5):
        parts = split({"all": pool}, val=8, test=8, seed=seed)
        sides = [set(numbers(part)) for part in (parts.train, parts.val, parts.test["test"])]
        assert sum(map(len, sides)) == len(set.union(*sides))


@pytest.mark.parametrize("copy", [Atoms.copy, turned])
def test_a_frame_of_the_test_set_is_refused_or_dropped_from_train(copy):
    roles = {"train": frames(20), "test": [copy(molecule_frame(3)), *frames(4, start=100)]}
    with pytest.raises(ScalarFidError, match=r"1 frame\(s\) are in both train and test .*duplicates=drop_from_train"):
        split(roles, val=2)
    parts = split(roles, val=2, duplicates="drop_from_train")
    assert parts.dropped == {"duplicates": 1}
    assert 3 not in numbers(parts.train) + numbers(parts.val)
    assert len(parts.test["test"]) == 5


def test_the_validation_file_loses_what_the_test_file_has():
    roles = {"train": frames(9), "val": frames(4, start=50), "test": frames(2, start=52)}
    assert len(split(roles, duplicates="drop_from_train").val) == 2


def test_two_test_sets_may_share_frames():
    parts = split({"train": frames(9), "test_a": frames(3, start=50), "test_b": frames(3, start=50)})
    assert parts.test.keys() == {"test_a", "test_b"}


@pytest.mark.slow
def test_silicon_loses_the_turned_copies_of_its_test_frames(stand_in, shared_cache):
    config = named("si", root=str(stand_in), cache=shared_cache)
    assert load(config, cutoff=4.0).provenance["dropped"] == {"duplicates": 3}
    config.duplicates = "refuse"
    with pytest.raises(ScalarFidError, match=r"are in both .* and test"):
        load(config, cutoff=4.0)


def test_least_squares_energies_against_numpy():
    rng = np.random.default_rng(0)
    made = []
    for _ in range(12):
        n_h, n_o = rng.integers(1, 5, 2)
        energy = -13.6 * n_h - 430.0 * n_o + rng.normal(0, 0.1)
        made.append(Atoms(f"H{n_h}O{n_o}", positions=rng.normal(0, 3, (n_h + n_o, 3)), info={"REF_energy": energy}))
    counts = np.array([[np.sum(atoms.numbers == z) for z in (1, 8)] for atoms in made])
    normal = np.linalg.solve(counts.T @ counts, counts.T @ [atoms.info["REF_energy"] for atoms in made])
    e0 = fitted_energies(made)
    assert [e0[1], e0[8]] == pytest.approx(normal.tolist(), rel=1e-10)


def test_least_squares_with_one_composition_is_warned_about_and_still_sums_up(caplog):
    made = frames(5)
    e0 = fitted_energies(made)
    assert "do not tell the 2 elements apart" in caplog.text
    assert 2 * e0[1] + e0[8] == pytest.approx(np.mean([atoms.info["REF_energy"] for atoms in made]))


def test_modes_of_e0():
    train = [bulk("Cu"), bulk("Cu").repeat(2)]
    for atoms, per_atom in zip(train, (-3.0, -4.0), strict=True):
        atoms.info["REF_energy"] = per_atom * len(atoms)
    alone = [Atoms("Cu", info={"REF_energy": -1.0})]
    arguments = (train, alone, [29], {"Cu": -2.0})
    found = {mode: atomic_energies(mode, *arguments)[29] for mode in ("isolated", "mean", "explicit", "auto")}
    assert found == {"isolated": -1.0, "mean": -3.5, "explicit": -2.0, "auto": -1.0}
    assert atomic_energies("auto", train, [], [29], {})[29] == pytest.approx((-3 - 4 * 64) / 65)
