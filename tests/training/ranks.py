"""A batch shared by processes; of a module that a new process can import by its name."""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch_geometric.data import Batch
from training.runs import overrides

from scalarfid.config import compose
from scalarfid.config.messages import to_plain
from scalarfid.data import load
from scalarfid.potential import Potential, model_config
from scalarfid.training.batches import EpochBatches
from scalarfid.training.module import Fitting

RANKS = 2


class Loss(nn.Module):
    """What DistributedDataParallel calls: the loss of a batch."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, batch):
        return self.module.training_step(batch)


def fitting(root, backbone):
    """A perturbed potential in float64 and three frames, which two processes cannot divide evenly."""
    words = overrides(root, f"backbone={backbone}", "training.loss=mse", "model.dtype=float64")
    config = to_plain(compose(words))
    dataset = load(config["dataset"], cutoff=config["model"]["cutoff"])
    potential = Potential.from_config(model_config(config, dataset))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    batches = EpochBatches(dataset.train, config["seed"], 4)
    return Fitting(potential, config["training"], batches, dataset.labels), dataset.train[:3]


def gradients(module, loss):
    loss.backward()
    found = {name: parameter.grad for name, parameter in module.potential.named_parameters()}
    return found, module.sums.metrics()


def work(rank, root, backbone):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{root}/meeting", rank=rank, world_size=RANKS)
    module, graphs = fitting(root, backbone)
    parallel = DistributedDataParallel(Loss(module), find_unused_parameters=True)
    found = gradients(module, parallel(Batch.from_data_list(graphs[rank::RANKS])))
    torch.save(found, root / f"rank-{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
