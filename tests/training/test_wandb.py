"""Weights & Biases, offline: the same rows, one run id over a resume, and a finished run at the end."""

from __future__ import annotations

import importlib.util
import struct
import sys

import pytest
from training.runs import overrides, train

from scalarfid.config import compose
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.training import StopRequest, run

OPTIONS = ("logger=wandb", "logger.offline=true", "training.max_epochs=2", "training.validate_every=1")


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


def logged(directory, wandb_id):
    """Rows and summary of a run's offline files."""
    rows, summary = [], {}
    for file in sorted(directory.glob(f"wandb/offline-run-*-{wandb_id}/*.wandb")):
        for record in records(file):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                rows.append({item.key or ".".join(item.nested_key): item.value_json for item in record.history.item})
            if kind == "summary":
                summary |= {item.key or ".".join(item.nested_key): item.value_json for item in record.summary.update}
    return rows, summary


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_offline_run_survives_a_stop_under_one_id(tmp_path):
    stop = StopRequest()
    stop.signum = 15  # as if the signal had come with the first batch
    first = run(compose(overrides(tmp_path, *OPTIONS)), stop=stop)
    assert first.state == "interrupted"
    wandb_id = (first.directory / "checkpoints" / "wandb_id").read_text()

    second = train(tmp_path, *OPTIONS)
    assert second.directory == first.directory
    assert (second.directory / "checkpoints" / "wandb_id").read_text() == wandb_id
    rows, summary = logged(second.directory, wandb_id)
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    assert (
        float(summary["test/forces_mae"])
        == read_json(second.directory / "summary.json")["metrics"]["test"]["forces_mae"]
    )
    assert importlib.import_module("wandb").run is None


def test_without_wandb_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ScalarFidError, match=r"scalarfid\[wandb\]"):
        train(tmp_path, *OPTIONS)
