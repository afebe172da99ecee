"""Figures show the numbers of the summaries: every point, mean and interval that is drawn, against numpy and scipy."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from matplotlib.figure import Figure
from results.sweeps import ARMS, SEEDS, cell, copy_sweep, edit, invent
from scipy import stats

from scalarfid.results import writing
from scalarfid.results.cells import read_cells
from scalarfid.results.comparison import comparisons
from scalarfid.results.content import overview
from scalarfid.results.figures import pictures
from scalarfid.results.forest import FURTHEST, forests
from scalarfid.results.groups import groups
from scalarfid.results.pooled import pooled_rows

TIMES = {"none": [100.0, 110.0, 90.0], "pan+pgs": [112.0, 120.0, 900.0], "mlp": [105.0, 104.0, 99.0]}
PAIRS = [("pan+pgs", "none"), ("pan+pgs", "mlp"), ("mlp", "none")]


@dataclass
class Points:
    """One arm in one place: values of the seeds and where they stand, mean, interval, whether the marker is open."""

    values: np.ndarray
    places: np.ndarray
    mean: float
    place: float
    interval: np.ndarray | None
    open: bool


@pytest.fixture(scope="module")
def folder(sweep, tmp_path_factory):
    """The sweep with times of our own."""
    made = copy_sweep(sweep, tmp_path_factory.mktemp("figures") / "runs")
    for arm, found in TIMES.items():
        for seed, seconds in zip(SEEDS, found, strict=True):
            edit(cell(made, arm, seed), {"training_time_s": seconds})
    return made


@pytest.fixture(scope="module")
def records(folder):
    """Summaries by arm, in the order of seeds."""
    return {arm: [json.loads(cell(folder, arm, seed).read_text()) for seed in SEEDS] for arm in ARMS}


def axes_of(folder):
    """Axes by name of the picture, drawn without the page."""
    (group,) = groups(read_cells([folder])[0])
    found = {}
    for picture in pictures(group, comparisons(group)):
        found[picture.name] = axes_with(picture)
    return found


def axes_with(picture):
    """Axes with the only panel of a picture."""
    axes, (panel,) = Figure().subplots(), picture.panels
    panel(axes)
    return axes


def rows_of(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


@pytest.fixture(scope="module")
def drawn(folder):
    return axes_of(folder)


def points(axes, *, upright):
    """What was drawn, in order: small markers, an interval, a large marker."""
    found, small, interval = [], None, None
    for line in axes.lines:
        where, values = line.get_data() if upright else line.get_data()[::-1]
        where, values = np.asarray(where, dtype=float), np.asarray(values, dtype=float)
        if line.get_markersize() == 3.5:
            small, interval = (values, where), None
        elif line.get_linestyle() == "-" and line.get_linewidth() == 1.3:
            interval = values
        elif small is not None and len(values) == 1 and line.get_marker() != "*":
            is_open = line.get_markerfacecolor() == "white"
            found.append(Points(*small, values[0], where[0], interval, is_open))
            small = None
    return found


def check(shown, values, place, *, control=False, beside=0.2):
    """That these values were drawn at this place, and their mean with scipy's interval."""
    values = np.array(values)
    assert shown.values == pytest.approx(values)
    assert shown.places == pytest.approx(np.broadcast_to(place, values.shape) + beside)
    assert shown.mean == pytest.approx(values.mean())
    assert shown.place == pytest.approx(np.median(place))
    assert shown.interval == pytest.approx(np.array(stats.ttest_1samp(values, 0.0).confidence_interval(0.95)))
    assert shown.open == control


def mae(records, arm, metric="forces"):
    return [1000 * record["metrics"]["test"][f"{metric}_mae"] for record in records[arm]]


def test_all_pictures_are_looked_at_here(drawn):
    kinds = ["cost-flops", "cost-time", "by-coordination", "by-element", "by-nearest_neighbour"]
    kinds += [f"{kind}-{label}" for kind in ("change", "error") for label in ("forces", "energy")]
    assert sorted(drawn) == sorted([*(f"test-{kind}" for kind in kinds), "curve-energy", "curve-forces"])


@pytest.mark.parametrize(("label", "metric"), [("forces", "forces"), ("energy", "energy_per_atom")])
def test_errors_by_arm(drawn, records, label, metric):
    axes = drawn[f"test-error-{label}"]
    shown = points(axes, upright=False)
    assert rows_of(axes) == list(ARMS)
    for i, (arm, one) in enumerate(zip(ARMS, shown, strict=True)):
        check(one, mae(records, arm, metric), i, control=arm == "mlp")


@pytest.mark.parametrize(("label", "metric"), [("forces", "forces"), ("energy", "energy_per_atom")])
def test_changes_paired_by_seed(drawn, records, label, metric):
    axes = drawn[f"test-change-{label}"]
    shown = points(axes, upright=False)
    assert rows_of(axes) == [f"{arm} vs {other}" for arm, other in PAIRS]
    for i, ((arm, other), one) in enumerate(zip(PAIRS, shown, strict=True)):
        mine, its = (np.array(mae(records, name, metric)) for name in (arm, other))
        check(one, 100 * (mine / its - 1), i, control=arm == "mlp")
    (band,) = axes.patches
    low, high = {"forces": (-27, -22), "energy": (-22, -19)}[label]
    assert (band.get_x(), band.get_width(), band.get_y()) == pytest.approx((low, high - low, -0.4))


@pytest.mark.parametrize("cost", ["flops", "time"])
def test_errors_against_cost(drawn, records, cost):
    axes = drawn[f"test-cost-{cost}"]
    for arm, one in zip(ARMS, points(axes, upright=True), strict=True):
        prices = {"flops": [record["flops"]["total"] / 1e6 for record in records[arm]], "time": TIMES[arm]}[cost]
        check(one, mae(records, arm), np.array(prices), control=arm == "mlp", beside=0)
    assert axes.get_legend_handles_labels()[1] == [*ARMS, "open: control"]


@pytest.mark.parametrize("kind", ["coordination", "element", "nearest_neighbour"])
def test_errors_by_place_in_the_structure(drawn, records, kind):
    axes = drawn[f"test-by-{kind}"]
    shown, every = iter(points(axes, upright=True)), [record["binned"]["test"][kind] for record in records["none"]]
    bins = sorted({row["bin"]: row["atoms"] for rows in every for row in rows}.items())
    assert [text.get_text() for text in axes.get_xticklabels()] == [f"{where}\n({atoms})" for where, atoms in bins]
    for i, arm in enumerate(ARMS):
        for place, (where, _) in enumerate(bins):
            rows = [row for record in records[arm] for row in record["binned"]["test"][kind] if row["bin"] == where]
            values = [1000 * row["forces_mae"] for row in rows]
            check(next(shown), values, place + 0.3 * (i - 1), control=arm == "mlp", beside=0.2 * 0.6 / 3)
    assert next(shown, None) is None


@pytest.mark.parametrize(("label", "metric"), [("forces", "forces"), ("energy", "energy_per_atom")])
def test_learning_curves(drawn, records, label, metric):
    thin = [line for line in drawn[f"curve-{label}"].lines if line.get_linewidth() == 0.6]
    thick = [line for line in drawn[f"curve-{label}"].lines if line.get_linewidth() == 1.7]
    curves = {arm: [1000 * np.array(r["history"][f"val/{metric}_mae"]) for r in records[arm]] for arm in ARMS}
    for line, values in zip(thin, [curve for arm in ARMS for curve in curves[arm]], strict=True):
        assert line.get_ydata() == pytest.approx(values)
        assert list(line.get_xdata()) == [1, 2, 3]
    for line, arm in zip(thick, ARMS, strict=True):
        assert line.get_ydata() == pytest.approx(stats.gmean(curves[arm], axis=0))
        assert line.get_label() == arm


def test_a_verdict_has_a_sign_of_its_own_and_open_markers_are_controls(sweep, tmp_path):
    reference = np.array([0.100, 0.110, 0.090, 0.105, 0.095])
    factors = {"pan": [0.70, 0.71, 0.69, 0.70, 0.71], "mlp_pan": [1.30, 1.31, 1.29, 1.30, 1.28]}
    errors = {"none": list(reference), "pgs": list(reference[::-1])}
    errors |= {arm: list(reference * changes) for arm, changes in factors.items()}
    axes = axes_of(invent(cell(sweep, "none", 0), tmp_path / "runs", errors))["test-change-forces"]
    assert rows_of(axes) == ["pan vs none", "pan vs mlp_pan", "mlp_pan vs none", "pgs vs none"]
    assert [one.open for one in points(axes, upright=False)] == [False, False, True, False]
    (stars,) = [line for line in axes.lines if line.get_marker() == "*"]
    means = [one.mean for one in points(axes, upright=False)]
    assert stars.get_xdata() == pytest.approx(means[:3])
    assert np.round(stars.get_ydata()).tolist() == [0, 1, 2]
    assert axes.get_legend_handles_labels()[1] == ["verdict holds after Holm", "open: control"]


def test_without_controls_the_legend_says_nothing_of_them(sweep, tmp_path):
    made = invent(cell(sweep, "none", 0), tmp_path / "runs", {"none": [0.1, 0.11], "pan": [0.2, 0.1]})
    assert axes_of(made)["test-error-forces"].get_legend_handles_labels()[1] == []


SETS = {
    "salt": {"none": [30.0, 31.0, 32.0], "mlp": [30.0, 32.0, 33.0], "pan+pgs": [28.0, 32.0, 31.5]},
    "silver": {"none": [20.0, 21.0, 22.0, 20.5], "mlp": [19.0, 22.0, 21.0, 20.0], "pan+pgs": [10.1, 10.5, 11.0, 10.3]},
}


@pytest.fixture
def two_sets(sweep, tmp_path):
    """Cells of two sets with errors in meV/Å."""
    for name, errors in SETS.items():
        scaled = {probe: [1e-3 * value for value in values] for probe, values in errors.items()}
        facts = {"dataset": name, "dataset_title": name, "fingerprint": name}
        invent(cell(sweep, "none", 0), tmp_path / "runs" / name, scaled, **facts)
    return tmp_path / "runs"


def test_all_groups_have_a_line_in_one_figure_with_both_references_and_the_mean_of_all(two_sets):
    found = [(group, comparisons(group)) for group in groups(read_cells([two_sets])[0])]
    (picture,) = forests(found, together := pooled_rows(found))
    axes = axes_with(picture)
    wholes = ["salt · mace, pan+pgs, n = 3", "silver · mace, pan+pgs, n = 4", "all 2 sets · mace, pan+pgs, n = 7"]
    assert rows_of(axes) == wholes
    drawn = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 1.2]
    expected = []
    for errors in SETS.values():
        for reference in ("none", "mlp"):
            changes = 100 * (np.divide(errors["pan+pgs"], errors[reference]) - 1)
            expected.append(stats.ttest_1samp(changes, 0).confidence_interval(0.95))
    assert drawn[:4] == pytest.approx(np.array(expected))
    assert drawn[4:] == pytest.approx(np.array([[row.result.low, row.result.high] for row in together[:2]]))
    told = [line for line in axes.lines if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in told] == pytest.approx([-49.814], abs=1e-3)
    assert axes.get_xlim()[0] == -FURTHEST
    assert len(axes.patches) == 2  # the claim, beside either set


def test_a_part_that_was_trained_stands_beside_the_whole(two_sets, sweep):
    parts = {"pgs": [0.027, 0.03], "mlp_pgs": [0.031, 0.03]}
    facts = {"dataset": "salt", "dataset_title": "salt", "fingerprint": "salt"}
    invent(cell(sweep, "none", 0), two_sets / "salt", parts, **facts)
    found = [(group, comparisons(group)) for group in groups(read_cells([two_sets])[0])]
    (picture,) = forests(found, [])
    parts_first = ["salt · mace, pgs, n = 2", "salt · mace, pan+pgs, n = 3", "silver · mace, pan+pgs, n = 4"]
    assert rows_of(axes_with(picture)) == parts_first
    told = [(row[1], row[2]) for row in overview(found).rows]
    wholes = [("pan+pgs", "none"), ("pan+pgs", "mlp")]
    assert told == [("pgs", "none"), ("pgs", "mlp_pgs"), *wholes, *wholes]


def test_it_stands_first_on_the_page(two_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "pictures", lambda *_: [])
    out = writing.write_report([two_sets], tmp_path / "report").page.parent
    assert [path.name for path in (out / "figures").iterdir()] == ["0-change-forces.svg"]
    text = (out / "report.md").read_text()
    assert text.index("](figures/0-change-forces.svg)") < text.index("## At a glance")
    page = (out / "report.html").read_text()
    assert page.count("<figure>") == 1
    assert page.index("<figure>") < page.index("At a glance")


def test_one_group_needs_no_figure_of_all(folder):
    found = [(group, comparisons(group)) for group in groups(read_cells([folder])[0])]
    assert forests(found, pooled_rows(found)) == []
