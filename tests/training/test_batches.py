"""The order of batches depends on the seed and the epoch, and on nothing else."""

from __future__ import annotations

import torch
from torch_geometric.data import Data

from scalarfid.training.batches import EpochBatches, loader


def test_every_epoch_has_every_frame_once_in_an_order_of_its_own():
    batches = EpochBatches(10, 4, seed=1)
    first, second = batches.order(0), batches.order(1)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != EpochBatches(10, 4, seed=2).order(0)
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_an_epoch_does_not_depend_on_those_before_it_or_on_the_process():
    walked = EpochBatches(10, 3, seed=5)
    for epoch in range(3):
        walked.load_state_dict({"epoch": epoch, "batch": 0})
        torch.rand(7)
        list(walked)
    jumped = EpochBatches(10, 3, seed=5)
    jumped.load_state_dict({"epoch": 2, "batch": 0})
    assert list(jumped) == list(walked)


def test_a_kept_place_goes_on_with_the_next_batch():
    whole = list(EpochBatches(10, 3, seed=5))
    rest = EpochBatches(10, 3, seed=5)
    rest.load_state_dict({"epoch": 0, "batch": 1})
    assert list(rest) == whole[1:]
    assert len(rest) == rest.remaining == 3
    assert rest.state_dict() == {"epoch": 0, "batch": 1}


def test_loading_leaves_the_generator_of_the_process_alone():
    graphs = [Data(x=torch.tensor([float(i)])) for i in range(6)]
    before = torch.get_rng_state()
    batches = EpochBatches(6, 2, seed=0)
    seen = [batch.x.tolist() for batch in loader(graphs, batches, batch_size=2, workers=0)]
    assert seen == [[float(i) for i in batch] for batch in EpochBatches(6, 2, seed=0)]
    assert torch.equal(torch.get_rng_state(), before)
