"""What is asked of SLURM, with clients that only note it; tests/slurm has real ones."""

from __future__ import annotations

import os
import signal

import pytest

from scalarfid.sweep.slurm import queue, requeue


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Clients that answer what a test says; returns their folder, ``asked`` holds the calls."""
    for name in ("squeue", "scontrol"):
        client = tmp_path / name
        client.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/asked\n. {tmp_path}/{name}.says\n')
        client.chmod(0o755)
        (tmp_path / f"{name}.says").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "40")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    return tmp_path


def requeued(folder):
    asked = folder / "asked"
    return "scontrol requeue 12_3" in (asked.read_text() if asked.is_file() else "")


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_ahead_of_the_end_puts_the_job_back_by_its_name_in_the_array(slurm, signum):
    requeue(signum)
    assert requeued(slurm)


@pytest.mark.parametrize(("state", "back"), [("RUNNING", True), ("COMPLETING", False), ("", False)])
def test_term_puts_back_only_a_job_that_was_not_cancelled(slurm, state, back):
    (slurm / "squeue.says").write_text(f"echo 12_3 {state}\n" if state else "")
    requeue(signal.SIGTERM)
    assert requeued(slurm) is back


def test_ctrl_c_and_processes_outside_slurm_ask_nothing(slurm, monkeypatch):
    requeue(signal.SIGINT)
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name)
    requeue(signal.SIGUSR2)
    assert not (slurm / "asked").exists()


def test_a_handler_that_was_there_first_does_it_instead(slurm):
    """As submitit's, which counts time-outs and exits."""
    seen = []

    def theirs(signum, frame):
        seen.append(signum)
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, theirs)
    try:
        with pytest.raises(SystemExit):
            requeue(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [signal.SIGUSR2]
    assert not requeued(slurm)


def test_a_job_that_slurm_does_not_take_back_is_said(slurm, caplog, monkeypatch):
    monkeypatch.setattr("scalarfid.sweep.slurm.log.propagate", True)
    (slurm / "scontrol.says").write_text("echo 'Requested operation is presently disabled' >&2; exit 1\n")
    requeue(signal.SIGUSR2)
    assert "12_3 back: Requested operation is presently disabled" in caplog.text


def test_the_queue_tells_states_by_name_and_an_unknown_job_from_a_silent_slurm(slurm):
    (slurm / "squeue.says").write_text("echo 12_3 RUNNING; echo 13 PENDING\n")
    assert queue(["12", "13"]) == {"12_3": "RUNNING", "13": "PENDING"}
    (slurm / "squeue.says").write_text("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1\n")
    assert queue(["12"]) == {}
    (slurm / "squeue.says").write_text("echo 'Unable to contact slurm controller' >&2; exit 1\n")
    with pytest.raises(ConnectionError, match="Unable to contact"):
        queue(["12"])
