"""Composition: every file composes, every mistake is one line with the alternatives, nothing is left behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from scalarfid.config import compose, composing, conf_dir
from scalarfid.config.messages import explain, to_plain
from scalarfid.errors import ScalarFidError

GROUPS = ("backbone", "probe", "dataset", "model", "training", "run", "logger", "budget")
FILES = [f"{group}={path.stem}" for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))]
LAUNCHERS = [f"hydra/launcher={path.stem}" for path in sorted((conf_dir() / "hydra" / "launcher").glob("*.yaml"))]
FILES += LAUNCHERS
FILES += [f"+experiment={path.stem}" for path in sorted((conf_dir() / "experiment").glob("*.yaml"))]


@pytest.mark.parametrize("choice", FILES)
def test_every_file_composes_to_plain_values(choice):
    cfg = to_plain(compose([choice]))
    group, _, name = choice.partition("=")
    if group in ("backbone", "probe", "dataset"):
        assert cfg[group]["name"]
    if group == "probe":
        assert cfg[group]["name"] == name


MISTAKES = [
    ("probe=pn", "did you mean 'pan'", "pgs_edge"),
    ("dataset=etanol", "did you mean 'ethanol'", "rmd17"),
    ("training=fats", "there", "default"),
    ("+experiment=quik", "did you mean 'quick'", "experiment"),
    ("logger=wandbb", "did you mean 'wandb'", "csv"),
    ("backbon=mace", "did you mean 'backbone'", "dataset"),
    ("training.lrr=1", "did you mean 'lr'", "batch_size"),
    ("+training.lrr=1", "did you mean 'lr'", "batch_size"),
    ("+epochs=1", "epochs is not a key", "training"),
    ("probe.pan.gat=tanh", "did you mean 'gate'", "hidden"),
    ("backbone.chanels=3", "did you mean 'channels'", "l_max"),
    ("dataset.n_trian=3", "did you mean 'n_train'", "n_val"),
    ("dataset.path=a.xyz", "dataset.path is read by dataset=file only; say dataset=file", "a.xyz"),
    ("dataset.molecule=aspirin", "dataset.molecule is read by dataset=rmd17 and dataset=xtb only", "aspirin"),
    ("dataset.e0_values={H:low}", "dataset.e0_values.H", "low"),
    ("dataset.keys.enrgy=E", "did you mean 'energy'", "forces"),
    ("training.stage_two.from=3", "did you mean 'from_epoch'", "lr"),
    ("model.dtype=float16", "did you mean 'float", "float64"),
    ("training.loss=mae", "did you mean 'mse'", "huber"),
    ("training.optimizer=adam", "did you mean 'adam", "adamw"),
    ("training.lr=fast", "training.lr", "fast"),
    ("training.lr=-1", "must be > 0", "-1"),
    ("seed=-1", "must be ≥ 0", "-1"),
    ("training.lr=inf", "finite", "inf"),
    ("model.cutoff=inf", "finite", "inf"),
    ("training.batch_size=0", "must be ≥ 1", "0"),
    ("training.batch_size=2.5", "training.batch_size", "2.5"),
    ("training.ema_decay=1", "> 0 and < 1", "ema_decay"),
    ("training.plateau=3", "training.plateau", "3"),
    ("training=1", "training=1", "string"),
    ("dataset.recipe.frames=3", "dataset.recipe.frames=3", "Cannot"),
    ("seed=null", "seed", "not Optional"),
    ("seed=[1", "seed=[1", "key=value"),
    ("just a word", "just a word", "key=value"),
    ("seed=1,2", "--multirun", "seed=1,2"),
    ("~training.lr", "~training.lr", "deletion"),
]


@pytest.mark.parametrize(("word", *("says", "names")), MISTAKES)
def test_a_mistake_is_one_line_that_says_what_it_could_have_been(word, says, names):
    with pytest.raises(ScalarFidError) as caught:
        compose([word])
    message = str(caught.value)
    assert "\n" not in message
    assert says in message
    assert names in message


@pytest.mark.parametrize(
    "words", [["dataset.e0_values={H:-13,O:-430.5}"], ["dataset.e0_values.H=-13", "dataset.e0_values.O=-430.5"]]
)
def test_energies_of_atoms_may_be_given_for_any_element(words):
    assert compose(["dataset=file", *words]).dataset.e0_values == {"H": -13.0, "O": -430.5}
    assert compose(["dataset=rmd17", *words]).dataset.e0_values["C"] == -1025.277095


def test_a_value_that_is_missing_is_named():
    with pytest.raises(ScalarFidError, match=r"dataset\.name"):
        to_plain(compose(["dataset.name=???"]))


def test_a_launcher_whose_package_is_missing_says_how_to_get_it():
    missing = MissingConfigException("", "hydra/launcher/submitit_slurm", ["basic"])
    assert "pip install 'scalarfid[slurm]'" in str(explain(missing))


def test_composing_leaves_hydra_as_it_was():
    GlobalHydra.instance().clear()
    before = set(ConfigStore.instance().repo)
    compose(["probe=none"])
    assert not GlobalHydra.instance().is_initialized()
    assert set(ConfigStore.instance().repo) == before
    assert not OmegaConf.has_resolver("hydra") or "schema.yaml" not in ConfigStore.instance().repo


def test_composing_works_inside_another_hydra_application(tmp_path):
    import hydra

    (tmp_path / "theirs.yaml").write_text("a: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose(["seed=4"]).seed == 4
        assert hydra.compose("theirs").a == 1
    with pytest.raises(ScalarFidError), hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        compose(["sed=4"])


def test_the_copy_in_a_wheel_is_used_where_there_is_no_repository(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "scalarfid"
    (package / "config").mkdir(parents=True)
    monkeypatch.setattr(composing, "__file__", str(package / "config" / "composing.py"))
    assert conf_dir() == package / "conf"
    (tmp_path / "site-packages" / "conf").mkdir()  # somebody else's
    (tmp_path / "site-packages" / "conf" / "config.yaml").write_text("")
    assert conf_dir() == package / "conf"


def test_every_key_of_the_training_group_is_explained_where_its_value_stands():
    text = Path(conf_dir() / "training" / "default.yaml").read_text()
    keys = set(to_plain(compose()["training"]))
    assert keys == set(re.findall(r"^(\w+):", text, flags=re.MULTILINE))
