"""The named sets as a whole: sizes, splits, statistics, the graph cache."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from scalarfid.data import check_weights, load, named
from scalarfid.data.config import as_config, set_names
from scalarfid.errors import ScalarFidError


@pytest.fixture(scope="module")
def ethanol(shared_cache):
    return load(named("ethanol", cache=shared_cache), cutoff=5.0)


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one.keys())  # noqa: SIM118


def test_ethanol_is_in_the_package_and_has_isolated_atoms(ethanol):
    assert (len(ethanol.train), len(ethanol.val), len(ethanol.test["test"])) == (268, 30, 100)
    assert ethanol.elements == (1, 6, 8)
    assert ethanol.e0[1] == pytest.approx(-10.7072, abs=1e-4)  # GFN2-xTB's hydrogen atom
    assert ethanol.labels == {"energy", "forces"}
    assert ethanol.provenance["dropped"]["isolated_atoms"] == 3
    assert ethanol.provenance["where"] == "package"


def test_statistics_against_a_few_lines_of_numpy(ethanol):
    s = ethanol.statistics
    forces = np.concatenate([g.forces.numpy() for g in ethanol.train])
    assert s.rms_force == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-12)
    assert s.max_force == pytest.approx(np.linalg.norm(forces, axis=1).max(), rel=1e-12)
    assert s.mean_neighbours == pytest.approx(np.mean([8] * 9), abs=0.05)  # every atom sees nearly all of the others
    energies = [(float(g.energy) - sum(ethanol.e0[z] for z in g.z.tolist())) / 9 for g in ethanol.train]
    assert s.energy_per_atom_mean == pytest.approx(np.mean(energies), rel=1e-12)
    assert s.energy_per_atom_std == pytest.approx(np.std(energies), rel=1e-9)
    assert s.mean_coordination[6] == pytest.approx(4, abs=0.01)
    assert s.mean_coordination[1] == pytest.approx(1, abs=0.01)
    assert s.n_labels["val"] == {"energy": 30, "forces": 30, "stress": 0}


def test_the_graph_cache_returns_what_was_built(ethanol, shared_cache):
    again = load(named("ethanol", cache=shared_cache), cutoff=5.0)
    assert again.fingerprint == ethanol.fingerprint
    assert all(equal(a, b) for a, b in zip(ethanol.train + ethanol.val, again.train + again.val, strict=True))


def test_the_run_seed_leaves_the_split_alone_and_the_split_seed_does_not(ethanol, shared_cache):
    frames = [int(g.frame) for g in ethanol.train]
    other_run = load(named("ethanol", cache=shared_cache), cutoff=5.0, seed=7)
    other_split = load(named("ethanol", cache=shared_cache, split_seed=1), cutoff=5.0)
    assert [int(g.frame) for g in other_run.train] == frames
    assert [int(g.frame) for g in other_split.train] != frames
    assert other_split.fingerprint != ethanol.fingerprint


def test_smaller_training_sets_are_nested(ethanol, shared_cache):
    small = load(named("ethanol", cache=shared_cache, n_train=50, n_test=10), cutoff=5.0)
    assert [int(g.frame) for g in small.train] == [int(g.frame) for g in ethanol.train[:50]]
    assert [int(g.frame) for g in small.val] == [int(g.frame) for g in ethanol.val]
    assert len(small.test["test"]) == 10


@pytest.mark.parametrize("name", ["ethanol", "lif"])
def test_hidden_test_frames_are_nowhere_and_leave_the_other_splits_alone(name, shared_cache):
    whole, hidden = (load(named(name, cache=shared_cache, hide_test=hide), cutoff=4.0) for hide in (False, True))
    assert whole.test["test"]
    assert not hidden.test
    for part in ("train", "val"):
        assert [int(g.frame) for g in getattr(whole, part)] == [int(g.frame) for g in getattr(hidden, part)]


def test_weights_on_a_missing_label_are_refused(ethanol):
    check_weights(ethanol, energy=1, forces=10)
    with pytest.raises(ScalarFidError, match=r"stress_weight=1, but no training frame of Ethanol .* has stress"):
        check_weights(ethanol, energy=1, stress=1)


def test_every_set_has_a_config_that_fits_the_schema():
    assert set(set_names()) == {
        *("ethanol", "mol31", "rmd17", "ag", "lif", "si", "botnet_ethanol", "acac", "3bpa"),
        *("ag_emt", "si_sw", "lif_ion", "xtb", "file"),
    }
    for name in set_names():
        config = named(name)
        assert config.name == name
        assert "not stated" not in (config.licence, config.citation)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_trian": 3}, "n_trian"),
        ({"n_train": "many"}, "n_train|many"),
        ({"e0": "averge"}, "e0='averge' is not a choice; take one of auto, isolated"),
        ({"duplicates": "keep"}, "take one of refuse, drop_from_train"),
    ],
)
def test_a_wrong_key_or_choice_is_one_line(change, message):
    with pytest.raises(ScalarFidError, match=message) as caught:
        as_config({"name": "file", **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["path", "train", "val", "test"])
@pytest.mark.parametrize("name", ["ethanol", "si_sw", "rmd17"])
def test_files_given_to_a_set_that_has_its_own_are_refused(name, key):
    with pytest.raises(ScalarFidError, match=rf"dataset\.{key} is read by dataset=file only; .*dataset\.{key}=a\.xyz"):
        named(name, **{key: "a.xyz"})


@pytest.mark.parametrize("name", ["ethanol", "mol31", "si_sw"])
def test_a_molecule_given_to_a_set_that_has_no_choice_is_refused(name):
    with pytest.raises(ScalarFidError, match=r"read by dataset=rmd17 and dataset=xtb only; .*molecule=aspirin"):
        named(name, molecule="aspirin")


@pytest.mark.parametrize("name", ["rmd17", "rmd17_ethanol", "xtb", "file"])
def test_a_molecule_is_taken_where_it_chooses_or_names_the_frames(name):
    assert named(name, molecule="aspirin").molecule == "aspirin"


def test_a_set_may_state_the_molecule_that_it_is_of(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("name: mine\nmolecule: CH4\nlayouts: [{files: {all: a.xyz}}]\n")
    monkeypatch.setattr("scalarfid.data.config.config_folder", lambda: tmp_path)
    assert named("mine").molecule == "CH4"
    with pytest.raises(ScalarFidError, match="molecule=C2H6"):
        named("mine", molecule="C2H6")


def test_the_config_of_an_old_run_is_taken_as_it_is():
    assert as_config(asdict(named("ethanol")) | {"path": "a.xyz", "molecule": "aspirin"}).molecule == "aspirin"


@pytest.mark.parametrize(
    ("name", "title", "counts"),
    [
        ("rmd17", "rMD17 ethanol", {"train": 950, "val": 50, "test": 1000}),
        ("ag", "Ag-231 subset", {"train": 100, "val": 15, "test": 116}),
        pytest.param("si", "Si (mlearn)", {"train": 190, "val": 21, "test": 25}, marks=pytest.mark.slow),
        pytest.param(
            *("acac", "Acetylacetone", {"train": 450, "val": 50, "test_300K": 650, "test_600K": 650}),
            marks=pytest.mark.slow,
        ),
        ("3bpa", "3BPA (its training files)", {"train": 372, "val": 50, "test": 47, "test_mixedT": 500}),
    ],
)
def test_stand_ins_have_their_published_splits(stand_in, shared_cache, name, title, counts):
    data = load(named(name, root=str(stand_in), cache=shared_cache), cutoff=4.0)
    assert data.title == title
    assert data.statistics.n_frames.items() >= counts.items()


@pytest.mark.slow
def test_both_forms_of_the_silver_stand_in_hold_the_same_frames(stand_in, shared_cache, tmp_path):
    for name in ("Ag-valid.xyz", "Ag-test.xyz"):
        (tmp_path / name).symlink_to(stand_in / "ag" / name)
    one = load(named("ag", root=str(stand_in), cache=shared_cache), cutoff=4.0)
    two = load(named("ag", root=str(tmp_path), cache=shared_cache), cutoff=4.0)
    assert one.fingerprint != two.fingerprint
    assert torch.allclose(one.train[0].forces, two.train[0].forces, atol=1e-7)
    assert one.statistics.rms_force == pytest.approx(two.statistics.rms_force, rel=1e-6)


def test_rmd17_energies_are_in_electronvolt(stand_in, shared_cache):
    data = load(named("rmd17", root=str(stand_in), cache=shared_cache, n_train=20, n_test=5), cutoff=4.0)
    source = np.load(stand_in / "rmd17" / "rmd17_ethanol_train_01.npz")
    graph = data.train[0]
    assert float(graph.energy) == pytest.approx(source["energies"][int(graph.frame)] * 0.0433641, rel=1e-6)
    # PBE binds the nine atoms of ethanol by some 42 eV; a wrong unit or E0 is off by far more.
    assert 9 * data.statistics.energy_per_atom_mean == pytest.approx(-42, abs=2)
