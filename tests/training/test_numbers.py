"""Metrics, loss, schedule and average against values worked out by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch_ema import ExponentialMovingAverage
from torch_geometric.data import Batch, Data
from training.runs import assert_equal

import scalarfid
from scalarfid.config import compose
from scalarfid.config.messages import to_plain
from scalarfid.errors import ScalarFidError
from scalarfid.training.averaging import Average
from scalarfid.training.loss import penalties, total_loss, weighted, weights
from scalarfid.training.metrics import Errors, ErrorSums, MeanPredictor, residuals
from scalarfid.training.schedule import Patience, factor, peak_rates


def settings(*overrides):
    return to_plain(compose([f"training.{word}" for word in overrides]).training)


def frame(z, energy=0.0, forces=0.0, stress=0.0, has=(True, True, True)):
    n = len(z)
    return Data(
        z=torch.tensor(z),
        pos=torch.zeros(n, 3, dtype=torch.float64),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        energy=torch.tensor([energy], dtype=torch.float64),
        forces=torch.full((n, 3), forces, dtype=torch.float64),
        stress=torch.full((1, 3, 3), stress, dtype=torch.float64),
        **{f"has_{label}": torch.tensor([has[i]]) for i, label in enumerate(("energy", "forces", "stress"))},
    )


def zeros(batch):
    b, n = batch.num_graphs, batch.num_nodes
    shapes = {"energy": (b,), "forces": (n, 3), "stress": (b, 3, 3)}
    return {label: torch.zeros(shape, dtype=torch.float64) for label, shape in shapes.items()}


def test_only_labelled_frames_count_and_energies_count_per_atom():
    batch = Batch.from_data_list(
        [
            frame([1, 1], energy=-3.0, forces=0.5, has=(True, True, False)),
            frame([6] * 4, energy=99.0, has=(False, False, True)),
        ]
    )
    deltas = residuals(zeros(batch), batch)
    assert deltas["energy"].tolist() == [1.5]
    assert deltas["forces"].tolist() == [-0.5] * 6
    assert deltas["stress"].tolist() == [0.0] * 9


def test_errors_of_uneven_batches_are_those_of_all_values_together():
    values = torch.randn(11, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    errors = Errors(("energy",))
    for part in values.split([1, 7, 3]):
        errors.update({"energy": part})
    assert errors.metrics() == pytest.approx(
        {
            "energy_per_atom_mae": float(values.abs().mean()),
            "energy_per_atom_rmse": float(values.square().mean().sqrt()),
        }
    )


def test_sums_of_two_processes_reduce_to_those_of_one():
    halves = torch.arange(6, dtype=torch.float64).split(2)
    one, parts = ErrorSums(), [ErrorSums() for _ in halves]
    for half, part in zip(halves, parts, strict=True):
        one.update(half)
        part.update(half)
    reduced = ErrorSums()
    for name, reduction in reduced._reductions.items():
        setattr(reduced, name, reduction(torch.stack([getattr(part, name) for part in parts])))
    reduced.update(torch.zeros(0))
    assert reduced.compute() == one.compute()


def test_a_label_that_never_occurs_has_no_error():
    assert Errors(("stress",)).metrics() == {}


def test_the_mean_predictor_takes_means_of_the_training_frames():
    train = [frame([1, 1], energy=-4.0, stress=0.1), frame([1], energy=-1.0, stress=0.3)]
    mean = MeanPredictor.of(train, {1: -1.0})  # (E − ΣE0)/N = −1 and 0
    errors = mean.errors([frame([1, 1], energy=-4.0, forces=0.2, stress=0.25)], stress=True)
    assert errors["energy_per_atom_mae"] == pytest.approx(0.5)
    assert errors["forces_rmse"] == pytest.approx(0.2)
    assert errors["stress_mae"] == pytest.approx(0.05)


def test_huber_is_quadratic_to_delta_and_linear_beyond():
    deltas = {"energy": torch.tensor([0.05, -0.3], dtype=torch.float64)}
    found = penalties(deltas, settings("loss=huber", "huber_delta=0.1"))["energy"]
    assert found.tolist() == pytest.approx([0.5 * 0.05**2, 0.1 * (0.3 - 0.05)])
    assert penalties(deltas, settings("loss=mse"))["energy"].tolist() == pytest.approx([0.0025, 0.09])


def test_weights_sum_to_one_and_a_stage_two_replaces_what_it_names():
    chosen = settings("energy_weight=1", "forces_weight=3", "stage_two={from_epoch: 5, energy_weight: 7}")
    assert weights(chosen, 4) == {"energy": 0.25, "forces": 0.75, "stress": 0.0}
    assert weights(chosen, 5) == {"energy": 0.7, "forces": 0.3, "stress": 0.0}
    with pytest.raises(ScalarFidError, match=r"training\.energy_weight"):
        weights(settings("energy_weight=0", "forces_weight=0"), 0)


def test_the_loss_is_the_weighted_sum_of_means_and_a_batch_without_a_label_adds_nothing():
    elements = {"energy": torch.tensor([1.0, 3.0]), "forces": torch.tensor([])}
    assert float(total_loss(elements, {"energy": 0.25, "forces": 0.75, "stress": 0.0})) == 0.5
    columns = weighted({"energy": 2.0, "forces": 4.0}, {"energy": 0.25, "forces": 0.75})
    assert columns["loss"] == columns["loss_energy_weighted"] + columns["loss_forces_weighted"] == 3.5


def test_rates_warm_up_linearly_and_end_at_the_floor_of_the_cosine():
    chosen = settings("warmup_steps=3", "schedule=cosine", "min_lr_ratio=0.1")
    rates = [factor(chosen, step, 10) for step in range(10)]
    assert rates[:3] == [0.25, 0.5, 0.75]
    assert rates[3] == 1.0
    assert rates[6] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert factor(settings("schedule=constant", "warmup_steps=0"), 7, 10) == 1.0


def test_the_probe_may_have_a_rate_of_its_own_and_stage_two_scales_both():
    chosen = settings("lr=0.01", "probe_lr=0.002", "stage_two={from_epoch: 2, lr: 0.001}")
    assert peak_rates(chosen, 1) == {"backbone": 0.01, "probe": 0.002}
    assert peak_rates(chosen, 2) == pytest.approx({"backbone": 0.001, "probe": 0.0002})


def test_patience_runs_out_after_more_than_its_limit_without_a_better_value():
    patience = Patience()
    assert [patience.update(value, 1) for value in (3.0, 4.0, 4.0, 4.0, 2.0)] == [False, False, True, False, False]
    assert (patience.best, patience.spent) == (2.0, 1)
    assert Patience(**patience.state_dict()) == patience


def test_the_average_is_that_of_torch_ema_and_takes_no_gradients():
    model = nn.Linear(1, 1, bias=False)
    mean, theirs = Average(model, 0.5), ExponentialMovingAverage(model.parameters(), 0.5)
    for value in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
        with torch.no_grad():
            model.weight.fill_(value)
        mean.update_parameters(model)
        theirs.update()
    assert mean.module.weight.item() == pytest.approx(theirs.shadow_params[0].item())
    assert math.isclose(model.weight.item(), 32.0)
    assert not mean.module.weight.requires_grad


def test_the_average_of_a_large_mace_has_the_names_of_its_model():
    # From 64 channels with l = 3 on, a module of torch.fx holds constants that become buffers when it is copied.
    sizes = ["backbone.channels=64", "backbone.l_max=3"]
    model = scalarfid.build("mace_tiny", elements=["H"], overrides=sizes)
    mean = Average(model, 0.5)
    assert len(list(copy.deepcopy(model).buffers())) > len(list(model.buffers()))
    assert list(mean.module.state_dict()) == list(model.state_dict())
    mean.update_parameters(model)
    assert_equal(dict(mean.module.state_dict()), dict(model.state_dict()))
