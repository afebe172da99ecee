"""A run that was stopped and started again ends as the one that never stopped, to the last bit."""

from __future__ import annotations

import os
import signal
import time

import pytest
from training.runs import Command, assert_same_record, train, wait_for_rows

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.training.checkpoint import read

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("nequip_tiny", "allegro_tiny")]
BACKBONES = ("mace_tiny", *SLOW)


def stop_in_mid_epoch(root, backbone, signum):
    """Signal the command until it stops between two batches; a stop between epochs is followed by another."""
    epoch = 0
    while epoch < 5:
        command = Command.start(root, f"backbone={backbone}")
        directory = wait_for_rows(root, epoch + 1, command)
        time.sleep(0.02 * epoch)
        code = command.end(signum)
        state = read(directory / "checkpoints" / "last.ckpt")
        if state["batch"] > 0:
            return directory, code, command
        epoch = state["epoch"]
    raise AssertionError("never stopped in the middle of an epoch")


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGUSR2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_after_a_signal_in_mid_epoch(backbone, signum, uninterrupted, tmp_path):
    directory, code, command = stop_in_mid_epoch(tmp_path / "runs", backbone, signum)
    assert code == 128 + signum
    assert "same command continues" in command.err
    assert command.out.splitlines()[-1] == str(directory)
    assert read_json(directory / "status.json")["state"] == "interrupted"

    assert train(tmp_path / "runs", f"backbone={backbone}").directory == directory
    assert_same_record(directory, uninterrupted(backbone))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_after_kill_9_once_replayed(backbone, uninterrupted, tmp_path):
    command = Command.start(tmp_path / "runs", f"backbone={backbone}")
    directory = wait_for_rows(tmp_path / "runs", 3, command)  # epochs 0–2; the last checkpoint is of epoch 1
    os.kill(command.process.pid, signal.SIGSTOP)
    with pytest.raises(ScalarFidError, match=f"is being trained by .*process {command.process.pid}"):
        train(tmp_path / "runs", f"backbone={backbone}")
    command.end(signal.SIGKILL)
    rows = (directory / "metrics.csv").read_text().count("\n") - 1
    assert read(directory / "checkpoints" / "last.ckpt")["epoch"] < rows
    with (directory / "metrics.csv").open("a") as file:
        file.write("5,60,0.00")  # a row cut short
    assert read_json(directory / "status.json")["state"] == "running"

    assert train(tmp_path / "runs", f"backbone={backbone}").state == "finished"
    assert_same_record(directory, uninterrupted(backbone))


@pytest.mark.slow
def test_worker_processes_change_no_number(uninterrupted, tmp_path):
    assert_same_record(train(tmp_path, "run.workers=2").directory, uninterrupted())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_after_a_signal(tmp_path):
    never_stopped = train(tmp_path / "one", "run.compile=true").directory
    command = Command.start(tmp_path / "other", "run.compile=true")
    directory = wait_for_rows(tmp_path / "other", 2, command)
    command.end(signal.SIGINT)
    assert "Compiled in" in command.err
    train(tmp_path / "other", "run.compile=true")
    assert_same_record(directory, never_stopped)
