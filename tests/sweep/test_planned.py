"""What was asked for is kept beside the runs, whichever launcher has it, whatever becomes of it."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sweep.grids import Runs, ready, seeds, throw, words
from training.runs import overrides, train

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.sweep.cells import expand
from scalarfid.sweep.cluster import Sbatch, Slurm
from scalarfid.sweep.ends import GridError
from scalarfid.sweep.launching import Serial
from scalarfid.sweep.parallel import Parallel
from scalarfid.sweep.planned import note_planned
from scalarfid.sweep.planning import Plan

BATCH = {"name": "grid", "timeout_min": 90, "array_parallelism": 5, "signal_delay_s": 60}


def planned(root, experiment="default"):
    return read_json(root / experiment / ".sweep" / "grid.json")["cells"]


def names(cells):
    return [cell.path.name for cell in cells]


@pytest.mark.parametrize(
    "launcher", [Serial(), Parallel(1, 1), Slurm(), Sbatch(**BATCH)], ids=lambda one: type(one).__name__
)
def test_every_launcher_keeps_its_cells_before_it_starts_the_first(launcher, tmp_path, monkeypatch):
    jobs = seeds(tmp_path, 2)
    if not isinstance(launcher, Sbatch):
        monkeypatch.setattr(type(launcher), "work", lambda *_: iter(()))  # stopped before the first
    with suppress(GridError):
        ready(launcher, tmp_path).launch(jobs, 0)
    assert [cell["name"] for cell in planned(tmp_path)] == names(expand(jobs))


def test_the_words_are_those_of_a_summary(tmp_path):
    summary = train(tmp_path, "training.max_epochs=1", "seed=3").summary
    note_planned(expand([overrides(tmp_path, "training.max_epochs=1", "seed=3")]))
    (kept,) = planned(tmp_path)
    assert list(kept) == ["name", "backbone", "probe", "dataset", "seed"]
    assert kept == {key: summary[key] for key in kept}


def test_commands_add_to_each_other_and_a_deleted_or_failed_cell_stays(tmp_path):
    jobs = seeds(tmp_path, 3)
    with suppress(GridError):
        ready(Serial(), tmp_path, Runs(jobs, early={0: throw(RuntimeError("once"))})).launch(jobs[:2], 0)
    cells = expand(jobs)
    shutil.rmtree(cells[1].path)
    note_planned(cells[1:])
    assert [cell["name"] for cell in planned(tmp_path)] == names(cells)


def test_commands_at_once_lose_nothing(tmp_path):
    cells = expand(seeds(tmp_path, 24))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda cell: note_planned([cell]), cells))
    assert {cell["name"] for cell in planned(tmp_path)} == set(names(cells))


def test_experiments_are_kept_apart_and_a_cell_without_data_has_no_name_to_keep(tmp_path):
    (first,) = expand([words(tmp_path, "run.experiment=a")])
    (second,) = expand([words(tmp_path, "run.experiment=b", "seed=1")])
    absent = [word for word in words(tmp_path, "dataset=file", "dataset.path=absent.xyz") if word != "dataset=ethanol"]
    note_planned([first, second, *expand([absent])])
    assert [cell["name"] for cell in planned(tmp_path, "a")] == [first.path.name]
    assert [cell["name"] for cell in planned(tmp_path, "b")] == [second.path.name]
    assert not (tmp_path / "default").exists()


def test_a_plan_and_a_folder_that_cannot_be_written_keep_nothing(tmp_path):
    ready(Plan(), tmp_path).launch(seeds(tmp_path, 1), 0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "default").write_text("a file")
    with pytest.raises(ScalarFidError, match=r"Cannot write .*grid.json.*choose another folder"):
        note_planned(expand(seeds(tmp_path, 1)))
