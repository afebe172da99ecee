"""Weights & Biases, offline: the files' numbers, all of them, under one run id over a resume."""

from __future__ import annotations

import csv
import importlib.util
import json
import struct
import sys

import pytest
import yaml
from training.runs import overrides, train

from scalarfid.config import compose
from scalarfid.config.messages import to_plain
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.training import StopRequest, run
from scalarfid.training.mirror import tags

OPTIONS = ("logger=wandb", "logger.offline=true", "training.max_epochs=2", "training.validate_every=1")
needs_wandb = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")

BLOCK = 32768


def records(file):
    """Records of an offline file: LevelDB framing (header of 7 bytes; parts 2, 3, 4 or whole 1) around protobuf."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, buffer = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        if left < 7 or (kind, size) == (0, 0):
            place += left
            continue
        chunk = data[place + 7 : place + 7 + size]
        place += 7 + size
        buffer = chunk if kind in (1, 2) else buffer + chunk
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(buffer)
            yield record


def values(items):
    """Of a protobuf list of names and JSON."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def logged(directory, wandb_id):
    """What a run's offline files hold: the last run record with its configuration, the rows, the summary."""
    found, config, rows, summary = None, {}, [], {}
    for file in sorted(directory.glob(f"wandb/offline-run-*-{wandb_id}/*.wandb")):
        for record in records(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                found, config = record.run, config | values(record.run.config.update)
            if kind == "history":
                rows.append(values(record.history.item))
            if kind == "summary":
                summary |= values(record.summary.update)
    return found, config, rows, summary


@pytest.fixture
def no_account(tmp_path, monkeypatch):
    """Neither a key nor a server: whatever is needed online fails."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@needs_wandb
def test_an_offline_run_holds_everything_under_one_id_over_a_stop(tmp_path, no_account):
    stop = StopRequest()
    stop.signum = 15  # as if the signal had come with the first batch
    words = (*OPTIONS, "run.experiment=stopped", "logger.tags=[mine,mace]")
    first = run(compose(overrides(tmp_path, *words)), stop=stop)
    assert first.state == "interrupted"
    wandb_id = (first.directory / "checkpoints" / "wandb_id").read_text()

    second = train(tmp_path, *words)
    assert second.directory == first.directory
    assert (second.directory / "checkpoints" / "wandb_id").read_text() == wandb_id
    about, config, rows, summary = logged(second.directory, wandb_id)
    assert (about.run_id, about.project, about.display_name) == (wandb_id, "scalarfid", second.directory.name)
    assert (about.run_group, about.job_type) == ("stopped", "train")
    assert list(about.tags) == ["mace", "pan+pgs", "ethanol", "mine"]
    whole = yaml.safe_load((second.directory / "config.yaml").read_text(encoding="utf-8"))
    assert {key: value for key, value in config.items() if key != "_wandb"} == whole
    assert_same_rows(rows, second.directory / "metrics.csv")
    assert_whole_summary(summary, read_json(second.directory / "summary.json"))
    assert importlib.import_module("wandb").run is None


def assert_same_rows(rows, path):
    with path.open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert len(rows) == len(expected)
    for row, written in zip(rows, expected, strict=True):
        assert {name: row[name] for name, text in written.items() if text} == {
            name: float(text) for name, text in written.items() if text
        }


def assert_whole_summary(found, summary):
    for split in ("train", "val", "test"):
        for name, value in summary["metrics"][split].items():
            assert found[f"{split}/{name}"] == value
            assert found[f"mean_predictor/{split}/{name}"] == summary["mean_predictor"][split][name]
    for part in ("parameters", "flops", "n_frames", "e0"):
        assert {name: found[f"{part}/{name}"] for name in summary[part]} == summary[part]
    for by, rows in summary["binned"]["test"].items():
        for row in rows:
            place = f"binned/test/{by}/{row['bin']}".replace(".", "_")
            assert [found[f"{place}/{name}"] for name in ("atoms", "forces_mae", "forces_rmse")] == [
                row["atoms"], row["forces_mae"], row["forces_rmse"]
            ]  # fmt: skip
    single = {name for name, value in summary.items() if not isinstance(value, (dict, list))}
    assert single >= {
        "name", "hash", "code", "commit", "fingerprint", "seed", "cutoff", "scale", "peak_memory_MB",
        "training_time_s", "evaluation_time_s", "epochs", "best_epoch", "stopped_early",
    }  # fmt: skip
    assert {name: found[name] for name in single} == {name: summary[name] for name in single}
    assert not any("." in name for name in found if not name.startswith("_"))


def test_a_molecule_is_a_tag_of_its_own():
    config = to_plain(compose(["dataset=rmd17", "dataset.molecule=aspirin", "logger=wandb", "logger.tags=[a,a]"]))
    assert tags(config) == ["mace", "pan+pgs", "rmd17", "aspirin", "a"]


@needs_wandb
def test_online_without_an_account_is_one_line_before_training(tmp_path, no_account):
    with pytest.raises(ScalarFidError, match=r"`wandb login`, or logger\.offline=true") as caught:
        train(tmp_path, "logger=wandb", "training.max_epochs=1")
    assert "\n" not in str(caught.value)


def test_without_wandb_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ScalarFidError, match=r"scalarfid\[wandb\]"):
        train(tmp_path, *OPTIONS)
