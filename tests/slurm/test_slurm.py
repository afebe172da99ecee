"""Grids on a real SLURM, disturbed in every way, end as they would have ended undisturbed, to the last bit."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slurm.cluster import wait_for
from training.runs import assert_same_record, overrides, train

from scalarfid.files import read_json, write_json
from scalarfid.training.directory import RunDirectory, job_gone, state_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LONG = ("training.max_epochs=40", "training.validate_every=3", "run.threads=1")
JOBS = ("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1")
SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Run directories by seed."""
    root = tmp_path_factory.mktemp("undisturbed")
    return {seed: train(root, *LONG, f"seed={seed}").directory for seed in SEEDS}


@pytest.fixture
def grid():
    """The class below; commands that a failed test leaves are ended."""
    started = []

    def start(*words):
        started.append(Grid(*words))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()


class Grid:
    """The command for a grid over seeds, in another process."""

    def __init__(self, root, launcher, *more):
        self.root, self.out = root, root / f"out-{time.monotonic_ns()}"
        root.mkdir(exist_ok=True)
        words = ["-m", *overrides(root, *LONG), f"hydra/launcher={launcher}", *JOBS, *more]
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scalarfid.train", *words], stdout=out, stderr=out,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def array(self):
        """Number of the array that was submitted."""
        said = re.compile(r"SLURM has \d+ jobs, (\d+)_")
        wait_for(lambda: said.search(self.out.read_text()), self.out.read_text)
        return said.search(self.out.read_text())[1]

    def end(self, seconds=300):
        """Exit status, and what was said on one line."""
        code = self.process.wait(seconds)
        return code, " ".join(self.out.read_text().split())


class Cell:
    """A cell on its way, found by its seed."""

    def __init__(self, root, seed):
        self.root, self.seed = root, seed

    @property
    def directory(self):
        return next(iter(self.root.glob(f"default/mace-*-s{self.seed}-*")), None)

    @property
    def status(self):
        return (self.directory and read_json(self.directory / "status.json")) or {}

    def rows(self):
        file = self.directory and self.directory / "metrics.csv"
        return file.read_text().count("\n") - 1 if file and file.is_file() else 0

    @property
    def job(self):
        return self.status["slurm_job"]

    def kill(self, signum):
        os.kill(self.status["pid"], signum)

    def wake(self):
        """Let a held process go on. SLURM may have done so itself, and the process may be gone by now."""
        with contextlib.suppress(ProcessLookupError):
            self.kill(signal.SIGCONT)

    def signalled(self, signum):
        """Whether a signal waits for the process, or has done its work."""
        if self.status["state"] != "running":
            return True
        try:
            lines = Path(f"/proc/{self.status['pid']}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return True
        pending = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd"))]
        return any(mask >> (signum - 1) & 1 for mask in pending)

    def ended(self, state):
        wait_for(lambda: self.status.get("state") == state, self.describe, seconds=120)

    def describe(self):
        return f"seed {self.seed}: {self.rows()} rows, {self.status}"


def catch(*cells):
    """Wait until each of these cells trains, and hold it there until SIGCONT: a fast machine would be done too soon."""
    began, free = [cell.rows() for cell in cells], list(cells)
    until = time.monotonic() + 180
    while free:
        assert time.monotonic() < until, [cell.describe() for cell in cells]
        for cell, rows in zip(cells, began, strict=True):
            if cell in free and cell.rows() > rows and cell.status.get("state") == "running":
                cell.kill(signal.SIGSTOP)
                free.remove(cell)
        time.sleep(0.01)


def start_again(slurm, *jobs):
    """Jobs that were put back into the queue need not wait out SLURM's two minutes.

    A node refuses, with "Job credential revoked", a job that starts in the second in which it was put back.
    """
    for job in jobs:
        wait_for(lambda job=job: slurm.state(job) == "PENDING", lambda job=job: f"{job} is {slurm.state(job)}")
        slurm.ask("scontrol", "update", f"jobid={job}", "starttime=now+3")


def preempt(slurm, cells, signum):
    """An urgent job takes the node of cells that are held; each is sent a signal, saves, and makes room."""
    urgent = slurm.ask("sbatch", "--parsable", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true")
    for cell in cells:
        wait_for(lambda cell=cell: cell.signalled(signum), cell.describe)
        cell.wake()
    for cell in cells:
        cell.ended("interrupted")
    wait_for(lambda: slurm.state(urgent) == "", lambda: f"urgent job: {slurm.state(urgent)}")


def assert_undisturbed(cell, expected):
    assert cell.status["state"] == "finished"
    assert_same_record(cell.directory, expected)
    one, other = (read_json(path / "summary.json") for path in (cell.directory, expected))
    assert one["metrics"] == other["metrics"]


def test_an_array_with_a_requeued_a_killed_and_a_cancelled_cell(slurm, undisturbed, grid, tmp_path):
    first = grid(tmp_path / "runs", "slurm", "seed=0,1,2,3")
    cells = [Cell(first.root, seed) for seed in SEEDS]

    catch(*cells[:2])
    requeued = cells[0].job
    slurm.signal(requeued, "USR2")
    cells[0].wake()
    cells[1].kill(signal.SIGKILL)
    catch(*cells[2:])
    slurm.ask("scancel", cells[2].job)
    again = cells[3].job
    slurm.signal(again, "TERM")  # preemption on a cluster that knows no other signal
    for cell in cells[2:]:
        cell.wake()
    start_again(slurm, requeued, again)

    code, said = first.end()
    assert code == 2, said
    assert "4 cells: 2 finished; 1 interrupted, the same command goes on; 1 failed." in said
    assert cells[1].directory.name in said
    assert [cell.status["state"] for cell in cells] == ["finished", "failed", "interrupted", "finished"]
    assert cells[1].status["error"]

    tokens = [cell.status["token"] for cell in cells]
    code, said = grid(tmp_path / "runs", "slurm", "seed=0,1,2,3").end()
    assert code == 0, said
    assert "4 cells: 2 finished; 2 skipped, finished before." in said
    assert [cell.status["token"] == token for cell, token in zip(cells, tokens, strict=True)] == [
        True, False, False, True
    ]  # fmt: skip
    for cell in cells:
        assert_undisturbed(cell, undisturbed[cell.seed])


def test_a_plain_array_on_a_drained_node_and_preempted_by_an_urgent_job(slurm, undisturbed, grid, tmp_path):
    logger = ("logger=wandb", "logger.offline=true")
    root, node = tmp_path / "runs", f"nodename={slurm.host}"
    code, said = grid(root, "sbatch", "seed=0,1", *logger).end()
    assert code == 0, said
    (script,) = root.glob("default/.sweep/sbatch-*/array.sbatch")
    assert f"sbatch {script}" in said

    slurm.ask("scontrol", "update", node, "state=drain", "reason=test")
    array = slurm.ask("sbatch", "--parsable", str(script))
    time.sleep(3)
    assert set(slurm.state(array).split()) == {"PENDING"}
    slurm.ask("scontrol", "update", node, "state=resume")

    cells = [Cell(root, seed) for seed in (0, 1)]
    catch(*cells)
    jobs = [cell.job for cell in cells]
    slurm.ask("scontrol", "update", node, "state=drain", "reason=test")
    for cell in cells:
        cell.wake()
    catch(*cells)  # what runs there goes on
    assert jobs == [cell.job for cell in cells]
    slurm.ask("scontrol", "update", node, "state=resume")
    wandb_ids = [(cell.directory / "checkpoints" / "wandb_id").read_text() for cell in cells]

    preempt(slurm, cells, signal.SIGUSR2)
    start_again(slurm, *jobs)
    for cell, job, wandb_id in zip(cells, jobs, wandb_ids, strict=True):
        cell.ended("finished")
        assert cell.status["slurm_job"] == job
        assert_undisturbed(cell, undisturbed[cell.seed])
        assert len(list(cell.directory.glob(f"wandb/offline-run-*-{wandb_id}"))) == 2
        assert len(list(cell.directory.glob("wandb/offline-run-*"))) == 2


def test_an_array_by_submitit_preempted_where_the_cluster_sends_term(slurm, undisturbed, grid, tmp_path):
    with slurm.term_at_preemption():
        first = grid(tmp_path / "runs", "slurm", "seed=0,1")
        cells = [Cell(first.root, seed) for seed in (0, 1)]
        catch(*cells)
        jobs, tokens = [cell.job for cell in cells], [cell.status["token"] for cell in cells]
        preempt(slurm, cells, signal.SIGTERM)
        start_again(slurm, *jobs)
        code, said = first.end()
    assert code == 0, said
    assert "2 cells: 2 finished." in said
    for cell, job, token in zip(cells, jobs, tokens, strict=True):
        assert (cell.job, cell.status["token"] == token) == (job, False)  # the same job, another process
        (log,) = first.root.glob(f"default/.sweep/submitit/{job}/*_log.err")
        assert f"SLURM job {job} is back in the queue" in log.read_text()  # at USR2 submitit says otherwise
        assert_undisturbed(cell, undisturbed[cell.seed])


def test_a_cell_cancelled_while_it_waits_is_reported_and_the_launcher_ends(slurm, undisturbed, grid, tmp_path):
    node = f"nodename={slurm.host}"
    slurm.ask("scontrol", "update", node, "state=drain", "reason=test")
    try:
        first = grid(tmp_path / "runs", "slurm", "seed=0,1")
        array = first.array()
        assert set(slurm.state(array).split()) == {"PENDING"}
        slurm.ask("scancel", f"{array}_1")
    finally:
        slurm.ask("scontrol", "update", node, "state=resume")
    code, said = first.end()
    assert code == 2, said
    assert "2 cells: 1 finished; 1 failed." in said
    reason = f"SLURM job {array}_1 left the queue before it began"
    cells = [Cell(first.root, seed) for seed in (0, 1)]
    assert f"error: {cells[1].directory.name}: {reason}" in said
    assert (cells[1].status["state"], cells[1].status["error"]) == ("failed", reason)
    assert_undisturbed(cells[0], undisturbed[0])


def test_a_holder_counts_as_long_as_its_job_is_in_the_queue_and_runs(slurm, tmp_path):
    path = tmp_path / "run"
    job = slurm.ask("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 300")
    wait_for(lambda: slurm.state(job) == "RUNNING", lambda: slurm.state(job))
    path.mkdir()
    status = {"state": "running", "host": "elsewhere", "pid": 1, "slurm_job": job, "heartbeat": time.time()}
    write_json(path / "status.json", status)
    assert state_of(path) == "running"
    assert not job_gone(job)
    slurm.ask("scancel", job)
    wait_for(lambda: job_gone(job), lambda: slurm.state(job))
    assert state_of(path) == "interrupted"
    with RunDirectory(path) as directory:
        directory.begin("seed: 0\n", anew=False)
    assert state_of(path) == "finished"
