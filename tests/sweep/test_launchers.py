"""Launchers: what fails in one cell stays there, what is finished or held is left alone, and the end is said."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from sweep.grids import Runs, leave, ready, seeds, throw, words

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.sweep.cells import expand
from scalarfid.sweep.cluster import Sbatch, Slurm
from scalarfid.sweep.ends import Attempt, GridError
from scalarfid.sweep.launching import Serial
from scalarfid.train import main


def launch(root, task, jobs):
    return ready(Serial(), root, task).launch(jobs, 0)


def test_an_exception_of_any_kind_stays_in_its_cell_and_is_in_its_status(tmp_path, said):
    jobs = seeds(tmp_path, 4)
    runs = Runs(
        jobs,
        early={0: throw(ScalarFidError("no such label")), 1: throw(KeyError("lost"))},
        late={2: throw(MemoryError("too large"))},
    )
    with pytest.raises(GridError, match="3 of 4"):
        launch(tmp_path, runs, jobs)
    assert runs.seen == [0, 1, 2, 3]
    cells = expand(jobs)
    assert [cell.state for cell in cells] == ["failed", "failed", "failed", "finished"]
    errors = [read_json(cell.path / "status.json").get("error", "") for cell in cells]
    assert ["Traceback" in text for text in errors] == [True, True, True, False]
    assert ["no such label" in errors[0], "lost" in errors[1], "too large" in errors[2]] == [True] * 3
    assert "4 cells: 1 finished; 3 failed." in said()
    for cell, reason in zip(cells, ("no such label", "KeyError: 'lost'", "MemoryError: too large"), strict=False):
        assert f"error: {cell.name}: {reason}" in said()


def test_the_same_command_does_only_what_is_missing(tmp_path, said):
    jobs = seeds(tmp_path, 3)
    with pytest.raises(GridError):
        launch(tmp_path, Runs(jobs, early={1: throw(RuntimeError("once"))}), jobs)
    again = Runs(jobs)
    launch(tmp_path, again, jobs)
    assert again.seen == [1]
    assert "3 cells: 1 finished; 2 skipped, finished before." in said()
    forced = Runs(jobs)
    launch(tmp_path, forced, [[*job, "run.force=true"] for job in jobs])
    assert forced.seen == [0, 1, 2]


def test_a_cell_that_another_process_has_is_left_to_it_and_is_no_failure(tmp_path, said):
    jobs = seeds(tmp_path, 4)
    cells = expand(jobs)
    leave(cells[0].path, state="running", pid=1)
    lock = FileLock(cells[3].path.with_name(f".{cells[3].path.name}.lock"))  # not begun yet
    runs = Runs(jobs, early={1: lambda: leave(cells[1].path, state="running", pid=1), 3: lock.acquire})
    launch(tmp_path, runs, jobs)
    assert runs.seen == [1, 2, 3]
    assert "4 cells: 1 finished; 3 left to another process that has them." in said()
    assert not cells[3].path.exists()


def test_a_cell_that_is_given_twice_is_run_once(tmp_path, said):
    jobs = seeds(tmp_path, 2)
    again = [*jobs, [*jobs[1], "run.threads=1"], jobs[0]]  # threads make no other run
    assert [cell.words for cell in expand(again)] == [tuple(job) for job in jobs]
    runs = Runs(jobs)
    launch(tmp_path, runs, again)
    assert runs.seen == [0, 1]
    assert "2 of 4 cells are given again and count once." in said()
    assert "2 cells: 2 finished." in said()


@pytest.mark.parametrize(
    ("code", "how", "error"),
    [
        (0, "finished", ""),
        (75, "held", ""),
        (143, "interrupted", ""),
        (2, "failed", "bad words"),
        (-9, "failed", "killed by signal 9"),
        (None, "failed", "bad words"),
    ],
)
def test_the_exit_status_of_a_process_tells_how_its_cell_ended(tmp_path, code, how, error):
    (cell,) = expand([words(tmp_path)])
    leave(cell.path, state="failed", error="of another day", token="old")
    end = Attempt.at(cell).ended(code, "error: bad words")
    assert (end.how, error in end.error) == (how, True)
    if how == "failed":
        assert error in read_json(cell.path / "status.json")["error"]


def test_what_a_process_recorded_itself_is_better_than_its_exit_status(tmp_path):
    (cell,) = expand([words(tmp_path)])
    for code, state in ((1, "failed"), (None, "finished"), (None, "interrupted")):
        attempt = Attempt.at(cell)
        leave(cell.path, state=state, error="Traceback: its own", token=state)
        end = attempt.ended(code, "tail of a log")
        assert (end.how, end.error) == (state, "Traceback: its own" if state == "failed" else "")


def test_data_that_cannot_be_used_fail_their_own_cells_and_are_named_once(tmp_path, said):
    good = [words(tmp_path, "seed=7")]
    runs = Runs(good)
    absent = [[*job, "dataset=file", f"dataset.path={tmp_path}/absent.xyz"] for job in seeds(tmp_path, 2)]
    absent = [[word for word in job if word != "dataset=ethanol"] for job in absent]
    with pytest.raises(GridError, match="2 of 3"):
        launch(tmp_path, runs, [*absent, *good])
    assert runs.seen == [7]
    assert said().count("error: ") == 1
    assert "absent.xyz" in said()


def test_a_stop_ends_the_grid_and_says_what_was_not_begun(tmp_path, said):
    jobs = seeds(tmp_path, 4)
    runs = Runs(jobs, late={1: lambda: sys.exit(143)})
    with pytest.raises(SystemExit) as end:
        launch(tmp_path, runs, jobs)
    assert end.value.code == 143
    assert runs.seen == [0, 1]
    assert "4 cells: 1 finished; 3 not begun." in said()


def test_a_configuration_that_does_not_compose_stops_the_grid_before_its_first_cell(tmp_path):
    runs = Runs([words(tmp_path)])
    with pytest.raises(ScalarFidError, match="did you mean 'pan'"):
        launch(tmp_path, runs, [words(tmp_path), ["probe=pn"]])
    assert runs.seen == []


OPTIONS = {
    "name": "grid", "partition": "short", "account": None, "timeout_min": 90, "cpus_per_task": 3, "gpus_per_node": 1,
    "mem_gb": 8, "array_parallelism": 5, "signal_delay_s": 60, "setup": ["module load cuda"],
    "additional_parameters": {"exclude": "node7"},
}  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        "sbatch cpus_per_task=0", "sbatch timeout_min=0", "sbatch mem_gb=-3", "sbatch array_parallelism=0",
        "sbatch signal_delay_s=-9", "slurm nodes=0", "parallel threads=0", "parallel processes=0",
    ],
)  # fmt: skip
def test_a_number_of_a_launcher_that_is_out_of_range_is_refused_before_it_is_made(words, tmp_path, monkeypatch, capsys):
    limit = "≥ 0" if "mem" in words else "> 0"
    said = refused(*words.split(), tmp_path, monkeypatch, capsys)
    assert said == f"error: hydra.launcher.{words.split()[1]} is out of range; it must be {limit}.\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("parallel processes=two", "a whole number"),
        ("parallel threads=1.5", "a whole number"),
        ("sbatch cpus_per_task=True", "a whole number"),
        ("sbatch timeout_min=24h", "a whole number"),
        ("sbatch mem_gb=16G", "a number"),
        ("sbatch setup=module", "a list of shell lines, ['module load cuda']"),
        ("sbatch additional_parameters=node7", "options of sbatch, {exclude: node7}"),
    ],
)
def test_an_option_of_a_launcher_of_another_kind_is_refused_before_it_is_made(
    words, meant, tmp_path, monkeypatch, capsys
):
    said = refused(*words.split(), tmp_path, monkeypatch, capsys)
    assert said == f"error: hydra.launcher.{words.split()[1]} is not {meant}.\n"


def refused(launcher, option, folder, monkeypatch, capsys) -> str:
    """What a grid says that does not begin; it has written nothing."""
    if launcher == "slurm":
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    typed = ["train", "-m", f"run.root={folder}", f"hydra/launcher={launcher}", f"hydra.launcher.{option}"]
    monkeypatch.setattr(sys, "argv", typed)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert list(folder.iterdir()) == []
    return capsys.readouterr().err


def test_an_option_of_a_launcher_may_be_another_one_of_the_configuration(tmp_path, monkeypatch):
    chosen = ["hydra/launcher=sbatch", "hydra.launcher.cpus_per_task=${run.threads}", "run.threads=3"]
    monkeypatch.setattr(sys, "argv", ["train", "-m", "+experiment=smoke", f"run.root={tmp_path}", *chosen])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    (script,) = tmp_path.rglob("array.sbatch")
    assert "#SBATCH --cpus-per-task=3\n" in script.read_text()


def test_a_cluster_that_takes_no_jobs_is_one_line_with_its_message(tmp_path, monkeypatch, capsys):
    pytest.importorskip("submitit")
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(
            "#!/bin/sh\necho 'sbatch: error: no partition' >&2\necho 'sbatch: fatal: no' >&2\nexit 1\n"
        )
        (tmp_path / name).chmod(0o755)
    launcher = Slurm(**OPTIONS, submitit_folder=str(tmp_path / "jobs"), max_num_timeout=1)
    for path, reason in (
        (str(tmp_path), "sbatch: error: no partition; sbatch: fatal: no"),
        ("", 'Could not detect "srun"'),
    ):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(ScalarFidError) as refused:
            ready(launcher, tmp_path).launch([words(tmp_path)], 0)
        assert str(refused.value).startswith(f"sbatch refused: {reason}")
        assert str(refused.value).endswith("hydra/launcher=sbatch writes the script instead.")
    assert "sbatch:" not in capsys.readouterr().err


def test_the_script_for_sbatch_is_an_array_over_the_cells_to_do(tmp_path, capfd, said):
    jobs = seeds(tmp_path, 3, "logger.tags=['two words']")
    leave(expand(jobs)[1].path, state="running", pid=1)
    ready(Sbatch(**OPTIONS), tmp_path).launch(jobs, 0)
    command, script = shlex.split(capfd.readouterr().out)
    assert command == "sbatch"
    text = Path(script).read_text()
    for option in ("array=0-1%5", "partition=short", "time=90", "cpus-per-task=3", "gpus-per-node=1", "mem=8G",
                   "signal=USR2@60", "exclude=node7", "job-name=grid", "open-mode=append"):  # fmt: skip
        assert f"#SBATCH --{option}\n" in text
    assert "account" not in text
    assert text.index("module load cuda") < text.index("exec srun")
    shown = text.replace("exec srun --unbuffered", "printf '%s\\n'")
    for task, job in enumerate((jobs[0], jobs[2])):
        done = subprocess.run(["bash", "-c", f"module() {{ :; }}; SLURM_ARRAY_TASK_ID={task}\n{shown}"],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert done.stdout.splitlines() == [sys.executable, "-m", "scalarfid.train", *job, "run.threads=3"]
