"""Predictions as arrays agree with the potential frame by frame, and their errors with the metrics of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalarfid.evaluate import errors_of
from scalarfid.results import predict
from scalarfid.training.metrics import errors_of as errors_in_training


@pytest.fixture(scope="module")
def graphs(dataset):
    return [*dataset.train, *dataset.test["test"]]


@pytest.fixture(scope="module")
def predictions(potential, graphs):
    return predict(potential, graphs, batch_edges=200, stress=True)


def test_the_size_of_batches_changes_nothing(potential, graphs, predictions):
    one_by_one = predict(potential, graphs, batch_edges=1, stress=True)
    for label, values in predictions.predicted.items():
        np.testing.assert_allclose(one_by_one.predicted[label], values, atol=1e-12)


def test_each_frame_is_what_the_potential_gives_for_it(potential, graphs, predictions):
    start = 0
    for i, graph in enumerate(graphs):
        out = potential(graph, stress=True)
        stop = start + graph.num_nodes
        assert predictions.predicted["energy"][i] == pytest.approx(float(out["energy"][0]), abs=1e-11)
        np.testing.assert_allclose(predictions.predicted["forces"][start:stop], out["forces"], atol=1e-11)
        np.testing.assert_allclose(predictions.reference["forces"][start:stop], graph.forces)
        start = stop


def test_errors_are_those_of_the_metrics_of_training(potential, graphs, predictions):
    expected = errors_in_training(potential, graphs, stress=True)
    assert errors_of(predictions) == pytest.approx(expected, rel=1e-10)
    assert {"energy_per_atom_mae", "forces_rmse", "stress_mae"} <= set(expected)


def test_energies_are_plotted_per_atom_without_the_isolated_atoms(potential, graphs, predictions):
    reference, _ = predictions.points()["energy"]
    isolated = [sum(float(potential.e0[potential.elements.index(int(z))]) for z in graph.z) for graph in graphs]
    expected = [(float(g.energy) - e) / g.num_nodes for g, e in zip(graphs, isolated, strict=True)]
    np.testing.assert_allclose(reference, expected, atol=1e-12)


def test_only_labelled_values_are_points(predictions, graphs):
    points = predictions.points()
    periodic = sum(bool(graph.has_stress) for graph in graphs)
    assert 0 < periodic < len(graphs)
    assert points["stress"][0].shape == (periodic, 3, 3)
    assert points["energy"][0].shape == (len(graphs),)


def test_the_table_of_frames_repeats_the_errors(predictions, graphs):
    table, errors = predictions.frames(), errors_of(predictions)
    assert list(table["frame"]) == [int(graph.frame) for graph in graphs]
    assert table["energy_error_eV_per_atom"].abs().mean() == pytest.approx(errors["energy_per_atom_mae"])
    square = (3 * table["num_atoms"] * table["forces_rmse_eV_per_A"] ** 2).sum() / (3 * table["num_atoms"].sum())
    assert np.sqrt(square) == pytest.approx(errors["forces_rmse"])
    assert table["stress_rmse_eV_per_A3"].isna().sum() == sum(not bool(graph.has_stress) for graph in graphs)
    assert (table["forces_max_error_eV_per_A"] >= table["forces_rmse_eV_per_A"]).all()


def test_frames_without_labels_are_left_out_of_errors_and_empty_in_the_table(potential, graphs):
    bare = [graph.clone() for graph in graphs[:3]]
    bare[1].has_energy = torch.tensor([False])
    bare[1].has_forces = torch.tensor([False])
    predictions = predict(potential, bare)
    table = predictions.frames()
    assert table["energy_error_eV_per_atom"].isna().tolist() == [False, True, False]
    assert table["forces_rmse_eV_per_A"].isna().tolist() == [False, True, False]
    assert predictions.residuals()["forces"].size == 3 * (bare[0].num_nodes + bare[2].num_nodes)
