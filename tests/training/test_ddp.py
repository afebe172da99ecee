"""Two processes that share a batch, with torch's DistributedDataParallel over gloo, have one process's gradients."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch
from training.ranks import RANKS, fitting, gradients, work
from training.runs import PROCESSES


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mace_tiny", "nequip_tiny", "allegro_tiny"])
def test_gradients_and_errors_of_two_processes_are_those_of_one(backbone, tmp_path):
    module, graphs = fitting(tmp_path, backbone)
    expected, errors = gradients(module, module.training_step(Batch.from_data_list(graphs)))
    ranks = [PROCESSES.Process(target=work, args=(rank, tmp_path, backbone), daemon=True) for rank in range(RANKS)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
        assert process.exitcode == 0
    found = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(RANKS)]
    used = {name for name, gradient in expected.items() if gradient is not None and gradient.abs().max() > 0}
    assert len(used) > len(expected) / 2
    for gradient, metrics in found:
        assert metrics == pytest.approx(errors, rel=1e-12)
        for name in used:
            torch.testing.assert_close(gradient[name], expected[name], rtol=1e-9, atol=1e-12)
