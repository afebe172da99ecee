"""One arm over several sets: the row that a report shows, against Welch's test as scipy has it."""

from __future__ import annotations

import re

import pytest
from results.sweeps import cell, invent, rows
from scipy import stats

from scalarfid.report import main
from scalarfid.results.writing import write_report

SILVER = {"none": [20.0, 21.0, 22.0, 20.5], "mlp": [19.0, 22.0, 21.0, 20.0], "pan+pgs": [19.5, 20.0, 21.5, 20.4]}
SALT = {"none": [30.0, 31.0, 32.0], "mlp": [30.0, 32.0, 33.0], "pan+pgs": [28.0, 32.0, 31.5]}


def over_all_sets(page):
    """Rows beneath the heading in the Markdown file."""
    _, _, text = page.with_name("report.md").read_text().partition("## Over all sets\n")
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")][2:]
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def number(text):
    return float(text.replace("−", "-"))


@pytest.fixture
def sets(sweep, tmp_path, no_figures):
    """Write a report of sets given by name: errors in meV/Å by arm, and facts."""
    template = cell(sweep, "none", 0)

    def report(**found):
        for name, (errors, facts) in found.items():
            scaled = {probe: [1e-3 * value for value in values] for probe, values in errors.items()}
            invent(template, tmp_path / name, scaled, dataset=name, dataset_title=name, fingerprint=name, **facts)
        return over_all_sets(write_report([tmp_path / name for name in found], tmp_path / "report").page)

    return report


def test_rows_over_two_sets_are_those_of_welchs_test(sets):
    table = sets(silver=(SILVER, {}), salt=(SALT, {}))
    assert [[*row[1:4], row[9]] for row in table] == [
        ["F", "pan+pgs", "none", "2"],
        ["F", "pan+pgs", "mlp", "2"],
        ["F", "mlp", "none", "2"],
    ]
    for row in table:
        one, other = (
            [100 * (x / ref - 1) for x, ref in zip(errors[row[2]], errors[row[3]], strict=True)]
            for errors in (SILVER, SALT)
        )
        oracle = stats.ttest_ind(one, [-x for x in other], equal_var=False)  # the sum of both means, and twice ours
        ends = oracle.confidence_interval(0.95)
        low, high = map(number, row[5].split(" … "))
        assert number(row[4]) == pytest.approx((sum(one) / 4 + sum(other) / 3) / 2, abs=0.051)
        assert (low, high) == pytest.approx((ends.low / 2, ends.high / 2), abs=0.051)
        assert row[6] == "7"
        assert row[10] == f"salt {sum(other) / 3:+.1f}; silver {sum(one) / 4:+.1f}".replace("-", "−")


def test_the_file_has_what_the_page_shows(sets, tmp_path):
    table = sets(silver=(SILVER, {}), salt=(SALT, {}))
    for row, shown in zip(rows(tmp_path / "report" / "pooled.csv"), table, strict=True):
        assert [row["arm"], row["reference"], row["sets"]] == [shown[2], shown[3], shown[9]]
        assert (row["backbone"], row["metric"], row["datasets"]) == ("mace", "forces_mae", "salt; silver")
        by_set = [float(change) for change in row["changes_percent"].split()]
        assert float(row["change_percent"]) == pytest.approx(sum(by_set) / 2)
        assert number(shown[4]) == pytest.approx(float(row["change_percent"]), abs=0.051)
        ends = [float(row["low_percent"]), float(row["high_percent"])]
        assert [number(end) for end in shown[5].split(" … ")] == pytest.approx(ends, abs=0.051)


def test_the_command_shows_them_in_few_columns(sets, tmp_path, capsys):
    sets(silver=(SILVER, {}), salt=(SALT, {}))
    assert main([str(tmp_path / "silver"), str(tmp_path / "salt"), f"out={tmp_path / 'again'}"]) == 0
    _, _, shown = capsys.readouterr().out.partition("Over all sets: mace")
    assert len(re.findall(r"pan\+pgs +(?:none|mlp) +[+−]", shown)) == 2
    assert "salt +" not in shown


def test_one_set_one_seed_or_another_size_is_not_pooled(sets, tmp_path):
    alone = {probe: values[:1] for probe, values in SALT.items()}
    other = {"config.backbone": {"name": "mace", "num_channels": 7}}
    assert sets(silver=(SILVER, {}), salt=(alone, {}), large=(SALT, other)) == []
    assert not (tmp_path / "report" / "pooled.csv").exists()


def test_other_forms_of_one_probe_are_not_pooled_but_other_rates_are(sets):
    small, large = ({"config.probe.hidden": width} for width in (16, 256))
    assert sets(silver=(SILVER, small), salt=(SALT, large)) == []
    rates = ({"config.training.probe_lr": rate} for rate in (0.01, 0.001))
    assert len(sets(coin=(SILVER, next(rates)), brine=(SALT, next(rates)))) == 3
