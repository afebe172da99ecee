"""Grids: what their cells are called, and that sizes from a budget are as good as sizes typed by hand."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
import yaml
from omegaconf import OmegaConf

from scalarfid.config import compose, conf_dir, run_hash, run_name
from scalarfid.config.messages import to_plain
from scalarfid.data.config import named, set_names
from scalarfid.errors import ScalarFidError

MOLECULE = "dataset.n_train=200 dataset.n_val=50 training.max_epochs=300 training.lr=0.05"
STRESS = "training.stress_weight=100"
BY_HAND = {
    "rmd17_ethanol": f"dataset=rmd17 dataset.molecule=ethanol {MOLECULE}",
    "rmd17_aspirin": f"dataset=rmd17 dataset.molecule=aspirin {MOLECULE}",
    "ag": "dataset=ag training.max_epochs=15 training.batch_size=1 training.lr=0.04",
    "si": f"dataset=si training.max_epochs=60 training.batch_size=2 training.lr=0.04 {STRESS}",
    "lif": f"dataset=lif training.max_epochs=40 training.batch_size=1 training.lr=0.02 {STRESS}",
}
MOLECULAR = {"nequip_small": 0.1, "allegro_small": 0.01}
OTHERS = {
    "rmd17_ethanol": MOLECULAR, "rmd17_aspirin": MOLECULAR, "ag": {"nequip_small": 0.2, "allegro_small": 0.04},
}  # fmt: skip
"""Rates of backbones for which MACE's were not taken."""
BUDGET = ("max_epochs", "batch_size", "lr", "probe_lr", "stress_weight")
GRIDS = ("ablation", "ablation_small", "ablation_low_data", "smoke")
KEPT = [
    ("ablation", "+experiment=ablation_small", 21),
    ("ablation_low_data", "+experiment=ablation_low_data", 34),
    ("ablation_low_data_gain_1", "+experiment=ablation_low_data ~budget.gain", 3),
]
"""Folders of experiments, the words of the grid that made their cells, and how many arms they have at least."""


def params(experiment):
    """Values by key of an experiment's sweep, those of its parents included."""
    settings = OmegaConf.load(conf_dir() / "experiment" / f"{experiment}.yaml")
    parents = [entry for entry in settings.defaults if isinstance(entry, str)]
    own = {key: str(value).split(",") for key, value in settings.hydra.sweeper.params.items()}
    return {key: value for parent in parents for key, value in params(parent).items()} | own


def cells(experiment):
    """Overrides of every cell but for the seed."""
    values = {key: value for key, value in params(experiment).items() if key != "seed"}
    words = itertools.product(*([f"{key}={value}" for value in chosen] for key, chosen in values.items()))
    return [[f"+experiment={experiment}", *chosen] for chosen in words]


@pytest.mark.parametrize("data", BY_HAND)
@pytest.mark.parametrize(("backbone", "probe"), [("nequip_small", "none"), ("allegro_small", "pan+pgs")])
def test_a_cell_of_the_small_grid_is_the_run_of_the_same_words_typed_by_hand(data, backbone, probe):
    arm = [f"backbone={backbone}", f"probe={probe}", "seed=3"]
    cell = to_plain(compose(["+experiment=ablation_small", f"dataset={data}", *arm]))
    rate = 0.001 if "pgs" in probe and data != "ag" else 0.01
    rates = [f"training.probe_lr={rate}"]
    rates += [f"training.lr={OTHERS[data][backbone]}"] if data in OTHERS else []
    run = to_plain(compose([*BY_HAND[data].split(), *rates, *arm, "run.experiment=ablation"]))
    assert cell | {"budget": None} == run | {"budget": None}
    facts = {"fingerprint": "0" * 64, "e0": {1: -1.0}}
    assert run_name(cell, run_hash(cell, **facts)) == run_name(run, run_hash(run, **facts))


def test_the_small_budget_is_that_of_the_large_grid_too():
    small = compose(["+experiment=ablation_small", "dataset=si", "backbone=nequip_small"])
    assert small == compose(["+experiment=ablation", "budget=small", "dataset=si", "backbone=nequip_small"])


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("dataset=rmd17_ethanol probe=mlp", 0.003),
        ("dataset=rmd17_aspirin probe=pan", 0.001),
        ("dataset=si probe=mlp", 0.01),
        ("dataset=si probe=pan+pgs budget=paper", None),
        ("dataset=lif probe=pgs training.probe_lr=0.02", 0.02),
    ],
)
def test_an_arm_of_a_budget_may_have_a_rate_of_its_own(words, rate):
    assert to_plain(compose(["+experiment=ablation_small", *words.split()]))["training"]["probe_lr"] == rate


@pytest.mark.parametrize("name", ["small", "low_data"])
def test_the_rates_of_a_budget_name_sets_probes_and_backbones_that_exist(name):
    budget = OmegaConf.load(conf_dir() / "budget" / f"{name}.yaml")
    probes = {file.stem for file in (conf_dir() / "probe").glob("*.yaml")}
    for key, known in (("lr", set(params("ablation")["backbone"])), ("probe_lr", probes)):
        assert all(data in budget and known.issuperset(rates) for data, rates in budget.get(key, {}).items())
    assert set(budget).issuperset(budget.get("gain", {}))


def settings(config):
    """What an arm has of its budget: entries of the training, and the factors of its modules."""
    parts = [part for part in config["probe"].values() if isinstance(part, dict)]
    return tuple(config["training"][key] for key in BUDGET), frozenset(part.get("gain", 1.0) for part in parts)


@pytest.mark.parametrize(("folder", "grid", "arms"), KEPT)
def test_the_kept_cells_have_the_budget_of_their_arms(folder, grid, arms):
    kept = defaultdict(set)
    for file in (conf_dir().parent / "experiments" / folder / "cells").rglob("config.yaml"):
        config = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        name = "_".join(filter(None, (config["dataset"]["name"], config["dataset"]["molecule"])))
        arm = (name, config["backbone"]["name"], config["probe"]["name"])
        kept[arm].add(settings(config))
    assert len(kept) >= arms
    for (data, backbone, probe), found in kept.items():
        words = [*grid.split(), f"dataset={data}", f"backbone={backbone}_small", f"probe={probe}"]
        assert found == {settings(to_plain(compose(words)))}, words


@pytest.mark.parametrize("experiment", GRIDS)
def test_one_cell_of_each_kind_composes(experiment):
    words = cells(experiment)
    for step in (words[0], words[len(words) // 2], words[-1]):
        to_plain(compose(step))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", GRIDS)
def test_every_cell_composes(experiment):
    for words in cells(experiment):
        to_plain(compose(words))


def test_the_grid_is_what_the_experiment_is_about():
    grid = params("ablation_small")
    assert len(cells("ablation")) * len(grid["seed"]) == 525
    assert set(grid["dataset"]) == set(BY_HAND)
    assert [name.removesuffix("_small") for name in grid["backbone"]] == params("ablation")["backbone"]


def test_a_set_without_a_budget_is_one_line_that_says_what_to_give():
    with pytest.raises(ScalarFidError, match=r"training\.max_epochs.*budget\.ethanol.*give training\.max_epochs="):
        compose(["+experiment=ablation", "dataset=ethanol"])


def test_a_choice_within_a_set_is_that_set_and_not_another():
    assert named("rmd17_aspirin") == named("rmd17", molecule="aspirin")
    assert "rmd17" in set_names()
    assert "rmd17_aspirin" not in set_names()
