"""A run directory is held by one process, and given up only when that process is gone."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import time

import pytest
from training.runs import PROCESSES, hold

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json, write_json
from scalarfid.training.directory import SILENCE, Interrupted, RunDirectory, job_gone


@pytest.fixture
def holder(tmp_path):
    """A directory that another process holds, and that process."""
    path = tmp_path / "run"
    process = PROCESSES.Process(target=hold, args=(path,), daemon=True)
    process.start()
    while not (path / "status.json").is_file():
        assert process.is_alive()
        time.sleep(0.01)
    yield path, process
    process.kill()
    process.join()


def set_status(path, **facts):
    write_json(path / "status.json", (read_json(path / "status.json") or {}) | facts)


def test_a_second_process_is_told_who_holds_it(holder):
    path, process = holder
    with pytest.raises(ScalarFidError, match=f"process {process.pid}.*last sign of life"), RunDirectory(path):
        pass
    assert read_json(path / "status.json")["state"] == "running"


def test_a_killed_holder_is_succeeded_at_once(holder):
    path, process = holder
    process.kill()
    process.join()
    with RunDirectory(path) as directory:
        directory.begin("seed: 0\n", anew=False)
    status = read_json(path / "status.json")
    assert (status["state"], status["pid"]) == ("finished", os.getpid())


def test_a_holder_that_hangs_is_succeeded_after_five_minutes_of_silence_and_then_writes_nothing(tmp_path):
    path = tmp_path / "run"
    with RunDirectory(path) as hanging:
        hanging.begin("seed: 0\n", anew=False)
        set_status(path, heartbeat=time.time() - SILENCE - 1)
        with RunDirectory(path) as successor:
            successor.begin("seed: 0\n", anew=False)
            hanging.record(epoch=7)
            assert "epoch" not in successor.recorded()
            with pytest.raises(ScalarFidError, match="taken over"):
                hanging.check_ours()
    assert read_json(path / "status.json")["token"] == successor.token


def test_a_directory_deleted_under_a_run_is_named_as_such_and_not_made_again(tmp_path):
    path = tmp_path / "run"
    with RunDirectory(path) as directory:
        directory.begin("seed: 0\n", anew=False)
        shutil.rmtree(path)
        with pytest.raises(ScalarFidError, match="was deleted or moved"):
            directory.check_ours()
    assert not path.exists()


def test_a_holder_on_another_machine_counts_as_long_as_it_gives_signs_of_life(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    set_status(path, state="running", host="elsewhere", pid=1, heartbeat=time.time() - 60)
    with pytest.raises(ScalarFidError, match="elsewhere"), RunDirectory(path):
        pass
    set_status(path, heartbeat=time.time() - SILENCE - 1)
    with RunDirectory(path) as directory:
        assert directory.recorded()["host"] == "elsewhere"


def test_a_holder_whose_slurm_job_is_gone_is_succeeded(tmp_path, monkeypatch):
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text('#!/bin/sh\nif [ "$3" = 7 ]; then echo RUNNING; else echo Invalid job id >&2; exit 1; fi\n')
    squeue.chmod(squeue.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=os.pathsep)
    assert not job_gone("7")
    assert job_gone("8")
    assert not job_gone(None)
    path = tmp_path / "run"
    path.mkdir()
    set_status(path, state="running", host="elsewhere", pid=1, heartbeat=time.time(), slurm_job="8")
    with RunDirectory(path) as directory:
        assert directory.recorded()["slurm_job"] == "8"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, "finished"),
        (Interrupted(15), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (RuntimeError("out of memory"), "failed"),
    ],
)
def test_the_end_is_recorded(tmp_path, error, state):
    def end():
        with RunDirectory(tmp_path / "run") as directory:
            directory.begin("seed: 0\n", anew=False)
            if error is not None:
                raise error

    if error is None:
        end()
    else:
        with pytest.raises(type(error)):
            end()
    status = read_json(tmp_path / "run" / "status.json")
    assert (status["state"], status["host"]) == (state, socket.gethostname())
    assert ("out of memory" in status.get("error", "")) == (state == "failed")


def test_beginning_anew_keeps_the_old_directory_until_the_new_run_has_what_it_needs(tmp_path):
    path = tmp_path / "run"
    with RunDirectory(path) as directory:
        directory.begin("seed: 0\n", anew=False)
        (path / "metrics.csv").write_text("precious")

    def fail():
        with RunDirectory(path) as directory:
            directory.begin("seed: 1\n", anew=True)
            assert not (path / "metrics.csv").exists()
            raise RuntimeError("no account")

    with pytest.raises(RuntimeError):
        fail()
    assert (path / "metrics.csv").read_text() == "precious"
    assert read_json(path / "status.json")["state"] == "finished"
    with RunDirectory(path) as directory:
        directory.begin("seed: 1\n", anew=True)
        directory.settle()
    assert not (path / "metrics.csv").exists()
    assert [entry.name for entry in tmp_path.iterdir() if "old" in entry.name] == []


def test_a_run_that_was_killed_while_beginning_anew_is_put_back(tmp_path):
    path = tmp_path / "run"
    with RunDirectory(path) as directory:
        directory.begin("seed: 0\n", anew=False)
    path.rename(tmp_path / ".run.old")
    (path / "checkpoints").mkdir(parents=True)
    with RunDirectory(path) as directory:
        assert directory.recorded()["state"] == "finished"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ScalarFidError, match=r"run\.root"), RunDirectory(tmp_path / "file" / "run"):
        pass
