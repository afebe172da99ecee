"""Error tables show what the metrics hold, in meV, with the mean predictor beneath."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from scalarfid.results import error_table, markdown_table
from scalarfid.results.units import in_mev

ERRORS = {
    "val": {"energy_per_atom_mae": 0.00123, "energy_per_atom_rmse": 0.002, "forces_mae": 0.0213, "forces_rmse": 0.03},
    "test": {"energy_per_atom_mae": 0.005, "energy_per_atom_rmse": 0.006, "forces_mae": 0.05, "forces_rmse": 0.06},
}
MEAN = {"val": {"energy_per_atom_mae": 0.1, "energy_per_atom_rmse": 0.2, "forces_mae": 1.0, "forces_rmse": 1.5}}
STRESS = {"stress_mae": 0.0004, "stress_rmse": 0.0005}


def rows(table):
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]


def rendered(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0000213, "0.021"), (0.00123, "1.23"), (0.0213, "21.3"), (1.5, "1500"), (0.0, "0.000"), (None, "–")],
)
def test_errors_are_shown_in_mev_with_digits_that_matter(value, shown):
    assert in_mev(value) == shown


def test_each_split_has_a_row_and_the_mean_predictor_stands_beneath_it():
    header, _, *body = rows(markdown_table(ERRORS, MEAN))
    assert header == ["split", "E MAE (meV/atom)", "E RMSE (meV/atom)", "F MAE (meV/Å)", "F RMSE (meV/Å)"]
    assert [row[0] for row in body] == ["val", "mean predictor", "test"]
    assert body[0][1:] == ["1.23", "2.00", "21.3", "30.0"]
    assert body[1][1:] == ["100.0", "200.0", "1000", "1500"]


def test_stress_has_columns_only_where_some_split_has_it():
    assert "S MAE" not in markdown_table(ERRORS)
    header, _, *body = rows(markdown_table({**ERRORS, "bulk": {**ERRORS["test"], **STRESS}}))
    assert header[5:] == ["S MAE (meV/Å³)", "S RMSE (meV/Å³)"]
    assert body[0][5:] == ["–", "–"]
    assert body[2][5:] == ["0.40", "0.50"]


def test_console_and_markdown_show_the_same_numbers():
    text = rendered(error_table(ERRORS, MEAN, title="ethanol"))
    assert "ethanol" in text
    for row in rows(markdown_table(ERRORS, MEAN))[2:]:
        assert all(cell in text for cell in row)
