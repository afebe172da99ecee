"""Summaries of runs become one table, and tables are written whole."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from scalarfid.errors import ScalarFidError
from scalarfid.results import read_summaries, write_table


@pytest.fixture
def runs(tmp_path):
    for i, probe in enumerate(["none", "pan"]):
        folder = tmp_path / "default" / f"run{i}"
        folder.mkdir(parents=True)
        summary = {"probe": probe, "seed": i, "metrics": {"test": {"forces_mae": 0.02 / (i + 1)}}}
        (folder / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def test_every_summary_below_a_folder_is_a_row_with_dotted_columns(runs):
    table = read_summaries(runs)
    assert list(table["probe"]) == ["none", "pan"]
    assert list(table["metrics.test.forces_mae"]) == [0.02, 0.01]
    assert list(table["path"]) == [str(runs / "default" / f"run{i}") for i in range(2)]


def test_runs_may_be_named_one_by_one_and_count_once(runs):
    run = runs / "default" / "run1"
    assert list(read_summaries([run, run / "summary.json"])["probe"]) == ["pan"]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_written_table_reads_back_equal(runs, suffix):
    table = read_summaries(runs)
    path = write_table(table, runs / f"table{suffix}")
    back = pd.read_csv(path) if suffix == ".csv" else pd.read_json(path)
    pd.testing.assert_frame_equal(back, table)
    assert [p.name for p in runs.iterdir() if p.is_file()] == [path.name]


def test_a_place_without_runs_is_an_error(tmp_path):
    with pytest.raises(ScalarFidError, match="no run there has finished"):
        read_summaries(tmp_path)
    with pytest.raises(ScalarFidError, match="does not exist"):
        read_summaries(tmp_path / "nowhere")


def test_a_broken_summary_is_named(tmp_path):
    (tmp_path / "summary.json").write_text('{"probe": ')
    with pytest.raises(ScalarFidError, match=r"summary\.json is not JSON"):
        read_summaries(tmp_path)


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ScalarFidError, match=r"\.csv or \.json"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "table.xlsx")
