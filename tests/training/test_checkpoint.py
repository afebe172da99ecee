"""Checkpoints hold tensors and plain Python, and a damaged one is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
import yaml

from scalarfid.errors import ScalarFidError
from scalarfid.training.checkpoint import read

PLAIN = (torch.Tensor, str, bytes, int, float, bool, type(None))


def leaves(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def test_it_is_read_by_torch_alone_in_a_fresh_process_without_unpickling_code(uninterrupted):
    path = uninterrupted() / "checkpoints" / "last.ckpt"
    environment = {k: v for k, v in os.environ.items() if k != "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"}
    code = f"import torch; print(torch.load({str(path)!r}, weights_only=True)['epoch'])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6"


def test_it_holds_all_that_a_run_needs_and_nothing_but_tensors_and_plain_python(uninterrupted):
    directory = uninterrupted()
    state = read(directory / "checkpoints" / "last.ckpt")
    assert all(isinstance(leaf, PLAIN) for leaf in leaves(state))
    assert yaml.safe_load(state["config"])["backbone"]["channels"] == 8
    assert isinstance(state["rng"]["cpu"], torch.Tensor)
    assert {"epoch", "batch", "model", "ema", "optimizer", "plateau", "early_stopping", "best", "sums"} <= set(state)
    assert read(directory / "checkpoints" / "best.ckpt")["best"]["epoch"] == state["best"]["epoch"]


def cut(path):
    path.write_bytes(path.read_bytes()[:2000])


def cut_later(path):
    path.write_bytes(path.read_bytes()[:5000])


def of_text(path):
    path.write_text("hello\n")


def of_bytes(path):
    path.write_bytes(b"\x80\x02R")


def of_another_kind(path):
    torch.save({"state_dict": {}}, path)


def with_code(path):
    torch.save({"format": os.system}, path)


@pytest.mark.parametrize("spoil", [cut, cut_later, of_text, of_bytes, of_another_kind, with_code])
def test_a_spoilt_checkpoint_is_refused_in_one_line(uninterrupted, tmp_path, spoil):
    path = tmp_path / "last.ckpt"
    path.write_bytes((uninterrupted() / "checkpoints" / "last.ckpt").read_bytes())
    spoil(path)
    with pytest.raises(ScalarFidError) as caught:
        read(path)
    assert "run.force=true" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "remedy"), [("last.ckpt", "remove it to start its run again"), ("best.ckpt", "start")]
)
def test_a_damaged_checkpoint_says_where_its_run_begins_again_and_not_what_torch_says(tmp_path, name, remedy):
    of_text(tmp_path / name)
    with pytest.raises(ScalarFidError, match=rf"{name} is damaged; {remedy} .*at epoch 0") as caught:
        read(tmp_path / name)
    assert "weights_only" not in str(caught.value)


def test_a_missing_checkpoint_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ScalarFidError, match="nowhere"):
        read(tmp_path / "nowhere.ckpt")
    of_text(tmp_path / "file")
    with pytest.raises(ScalarFidError, match="No checkpoint at"):
        read(tmp_path / "file" / "last.ckpt")
