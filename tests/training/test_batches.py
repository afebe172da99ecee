"""The order of batches depends on the seed and the epoch, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from scalarfid.errors import ScalarFidError
from scalarfid.training.batches import EpochBatches, in_order, loader


def frames_of(edges):
    return [Data(edge_index=torch.zeros(2, count, dtype=torch.long), num_nodes=2) for count in edges]


def test_every_epoch_has_every_frame_once_in_an_order_of_its_own():
    batches = EpochBatches(frames_of([2] * 10), seed=1, batch_size=4)
    first, second = batches.order(0), batches.order(1)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != EpochBatches(frames_of([2] * 10), seed=2, batch_size=4).order(0)
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_an_epoch_does_not_depend_on_those_before_it_or_on_the_process():
    walked = EpochBatches(frames_of([2] * 10), seed=5, batch_size=3)
    for epoch in range(3):
        walked.load_state_dict({"epoch": epoch, "batch": 0})
        torch.rand(7)
        list(walked)
    jumped = EpochBatches(frames_of([2] * 10), seed=5, batch_size=3)
    jumped.load_state_dict({"epoch": 2, "batch": 0})
    assert list(jumped) == list(walked)


def test_a_kept_place_goes_on_with_the_next_batch():
    whole = list(EpochBatches(frames_of([2] * 10), seed=5, batch_size=3))
    rest = EpochBatches(frames_of([2] * 10), seed=5, batch_size=3)
    rest.load_state_dict({"epoch": 0, "batch": 1})
    assert list(rest) == whole[1:]
    assert len(rest) == rest.remaining == 3
    assert rest.state_dict() == {"epoch": 0, "batch": 1}


def test_loading_leaves_the_generator_of_the_process_alone():
    graphs = [Data(x=torch.tensor([float(i)]), edge_index=torch.zeros(2, 0, dtype=torch.long)) for i in range(6)]
    before = torch.get_rng_state()
    batches = EpochBatches(frames_of([2] * 6), seed=0, batch_size=2)
    seen = [batch.x.tolist() for batch in loader(graphs, batches, workers=0)]
    assert seen == [[float(i) for i in batch] for batch in EpochBatches(frames_of([2] * 6), seed=0, batch_size=2)]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("batch_edges", [90, 130, 400, 10**6])
def test_batches_filled_by_edges_cost_alike(batch_edges):
    edges = [*np.random.default_rng(0).integers(0, 91, size=200).tolist(), 90]
    batches = EpochBatches(frames_of(edges), seed=3, batch_size=5, batch_edges=batch_edges)
    for epoch in range(5):
        batches.load_state_dict({"epoch": epoch, "batch": 0})
        found = list(batches)
        assert len(found) == len(batches) == batches.per_epoch == max(1, sum(edges) // batch_edges)
        assert [frame for batch in found for frame in batch] == batches.order(epoch)
        costs = [sum(edges[frame] for frame in batch) for batch in found]
        assert all(batch for batch in found)
        assert all(abs(cost - sum(edges) / len(found)) < 90 for cost in costs)


def test_batches_filled_by_edges_go_on_where_they_were():
    graphs = frames_of([30, 10, 20, 40, 10, 30, 20])
    whole, rest = (EpochBatches(graphs, seed=5, batch_size=1, batch_edges=50) for _ in range(2))
    rest.load_state_dict({"epoch": 0, "batch": 2})
    assert list(rest) == list(whole)[2:]


def test_a_frame_larger_than_a_batch_is_refused():
    with pytest.raises(ScalarFidError, match="batch_edges=50, but one frame has 60 edges"):
        EpochBatches(frames_of([60, 10]), seed=0, batch_size=1, batch_edges=50)


def test_evaluation_takes_frames_in_order_by_their_edges():
    assert in_order(frames_of([30, 30, 50, 200, 10, 90]), 100) == [[0, 1], [2], [3], [4, 5]]


def test_what_the_batches_of_a_run_will_hold_is_known_before():
    batches = EpochBatches(frames_of([2, 4, 6, 8, 10]), seed=1, batch_size=2)
    found = list(batches.counts(3))
    assert found[:3] == [(2 * len(batch), sum(2 + 2 * i for i in batch), len(batch)) for batch in batches]
    assert len(found) == 9
    assert sum(edges for _, edges, _ in found) == 90
