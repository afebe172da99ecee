"""Parity plots are pictures with the points and errors they claim, or nothing is written."""

from __future__ import annotations

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from scalarfid.errors import ScalarFidError
from scalarfid.results import parity_plot
from scalarfid.results.plots import MANY

RNG = np.random.default_rng(0)


def pair(count, noise=0.01):
    reference = RNG.normal(size=count)
    return reference, reference + noise * RNG.normal(size=count)


def test_one_panel_per_label_that_has_points(tmp_path):
    points = {"energy": pair(20), "forces": pair(300), "stress": (np.empty(0), np.empty(0))}
    two = matplotlib.image.imread(parity_plot(tmp_path / "two.png", points))
    three = matplotlib.image.imread(parity_plot(tmp_path / "three.png", points | {"stress": pair(90)}))
    assert three.shape[1] / two.shape[1] == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize("count", [1, 50, MANY])
def test_points_are_drawn_few_or_many(tmp_path, count):
    reference, predicted = pair(count)
    drawn = matplotlib.image.imread(parity_plot(tmp_path / "a.png", {"forces": (reference, predicted)}))
    shifted = matplotlib.image.imread(parity_plot(tmp_path / "b.png", {"forces": (reference, predicted + 0.5)}))
    assert drawn.std() > 0.01
    assert not np.array_equal(drawn, shifted)


def test_shapes_of_components_do_not_matter(tmp_path):
    reference, predicted = pair(30)
    flat = parity_plot(tmp_path / "flat.png", {"forces": (reference, predicted)})
    rows = parity_plot(tmp_path / "rows.png", {"forces": (reference.reshape(10, 3), predicted.reshape(10, 3))})
    assert np.array_equal(matplotlib.image.imread(flat), matplotlib.image.imread(rows))


@pytest.mark.parametrize("points", [{}, {"energy": ([], [])}, {"forces": ([1.0, 2.0], [1.0])}])
def test_nothing_to_plot_or_unequal_shapes_is_an_error_and_leaves_no_file(tmp_path, points):
    with pytest.raises(ScalarFidError, match=r"to plot|not equal"):
        parity_plot(tmp_path / "plot.png", points)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScalarFidError, match=r"Cannot write .*choose another folder"):
        parity_plot(tmp_path / "file" / "plot.png", {"energy": pair(5)})


def test_plotting_leaves_the_backend_of_a_session_alone(tmp_path):
    before = matplotlib.rcParams._get("backend")
    parity_plot(tmp_path / "plot.png", {"energy": pair(5)})
    assert matplotlib.rcParams._get("backend") == before
