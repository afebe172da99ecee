"""One arm over several sets: the row that a report shows, against Welch's test as scipy has it."""

from __future__ import annotations

import pytest
from results.sweeps import cell, invent
from scipy import stats

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
    assert [row[1:5] for row in table] == [
        ["pan+pgs", "none", "F", "2"],
        ["pan+pgs", "mlp", "F", "2"],
        ["mlp", "none", "F", "2"],
    ]
    for row in table:
        one, other = (
            [100 * (x / ref - 1) for x, ref in zip(errors[row[1]], errors[row[2]], strict=True)]
            for errors in (SILVER, SALT)
        )
        oracle = stats.ttest_ind(one, [-x for x in other], equal_var=False)  # the sum of both means, and twice ours
        ends = oracle.confidence_interval(0.95)
        low, high = map(number, row[6].split(" … "))
        assert number(row[5]) == pytest.approx((sum(one) / 4 + sum(other) / 3) / 2, abs=0.051)
        assert (low, high) == pytest.approx((ends.low / 2, ends.high / 2), abs=0.051)
        assert row[7] == "7"
        assert row[10] == f"salt {sum(other) / 3:+.1f}; silver {sum(one) / 4:+.1f}".replace("-", "−")


def test_one_set_one_seed_or_another_size_is_not_pooled(sets):
    alone = {probe: values[:1] for probe, values in SALT.items()}
    other = {"config.backbone": {"name": "mace", "num_channels": 7}}
    assert sets(silver=(SILVER, {}), salt=(alone, {}), large=(SALT, other)) == []
