"""Trainings by the trainers of MACE and NequIP alone: their neighbour lists, batches, losses, optimisers, clipping."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import torch
from backbones.upstream import E0, build_upstream
from torch_geometric.data import Data

from scalarfid.backbones.isolation import isolated
from scalarfid.bench.trainers import frame
from scalarfid.potential import Potential

State = dict[str, torch.Tensor]
MACE_LOSSES = {"mse": "WeightedEnergyForcesStressLoss", "huber": "WeightedHuberEnergyForcesStressLoss"}


def network(start: Potential) -> torch.nn.Module:
    """Upstream's own with the weights, E0 and scale of a potential over the elements of ``E0``."""
    config = start.config
    model = build_upstream(config["backbone"]["name"], config["dtype"], neighbours=config["mean_neighbours"])
    model.load_state_dict(start.native_state())
    return model.train()


def mace(start: Potential, batches: Sequence[list[Data]], settings) -> tuple[list[float], State, State]:
    """Norms of the gradients that were stepped along, the last weights, and their average."""
    model, norms = network(start), []
    with isolated(dtype=torch.float64, seed=0):
        from mace import modules
        from mace.tools.train import take_step
        from torch_ema import ExponentialMovingAverage

        options = weights(settings, "energy_weight", "forces_weight", "stress_weight")
        if settings["loss"] == "huber":
            options["huber_delta"] = settings["huber_delta"]
        loss = getattr(modules, MACE_LOSSES[settings["loss"]])(**options)
        optimizer = torch.optim.Adam(model.parameters(), lr=settings["lr"], amsgrad=True)
        ema = ExponentialMovingAverage(model.parameters(), decay=settings["ema_decay"])
        wanted = {"forces": True, "virials": False, "stress": True}
        for graphs in batches:
            batch = mace_batch(graphs, start.config["cutoff"])
            take_step(model, loss, batch, optimizer, ema, wanted, settings["clip"], torch.device("cpu"))
            norms.append(norm(model))
        trained = {name: value.clone() for name, value in model.state_dict().items()}
        ema.copy_to(model.parameters())
    return norms, trained, model.state_dict()


def mace_batch(graphs: Sequence[Data], cutoff: float):
    from mace import data
    from mace.tools import AtomicNumberTable, torch_geometric

    table = AtomicNumberTable(sorted(ase.data.atomic_numbers[symbol] for symbol in E0))
    info = {"energy": "REF_energy", "stress": "REF_stress"}
    keys = data.KeySpecification(info_keys=info, arrays_keys={"forces": "REF_forces"})
    read = [data.config_from_atoms(frame(graph), key_specification=keys) for graph in graphs]
    found = [data.AtomicData.from_config(one, z_table=table, cutoff=cutoff) for one in read]
    return next(iter(torch_geometric.dataloader.DataLoader(found, batch_size=len(found), shuffle=False)))


def nequip(start: Potential, batches: Sequence[list[Data]], settings) -> tuple[list[float], State, State]:
    """The same by the module that ``nequip-train`` trains NequIP and Allegro with."""
    model, norms = network(start), []
    with isolated(dtype=torch.float64, seed=0):
        import lightning
        from nequip.train import EMALightningModule

        class Given(EMALightningModule):
            def _build_model(self, _):
                return torch.nn.ModuleDict({"sole_model": model})

            def on_train_batch_end(self, *_):
                norms.append(norm(model))

        coefficients = weights(settings, "total_energy", "forces", "stress")
        loss = {"_target_": "nequip.train.EnergyForceStressLoss", "coeffs": coefficients}
        adam = {"_target_": "torch.optim.Adam", "lr": settings["lr"], "amsgrad": True}
        sets = {"train": 1, "val": 0, "test": 0}
        module = Given(settings["ema_decay"], model={}, num_datasets=sets, optimizer=adam, loss=loss)
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", gradient_clip_val=settings["clip"], **quiet)
        data = [nequip_batch(graphs, start.config["cutoff"]) for graphs in batches]
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))
        trained = {name: value.clone() for name, value in model.state_dict().items()}
        module.ema.swap_parameters(module.model)
    return norms, trained, model.state_dict()


def nequip_batch(graphs: Sequence[Data], cutoff: float):
    from nequip.data import AtomicDataDict, from_ase
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform

    types, neighbours = ChemicalSpeciesToAtomTypeMapper(model_type_names=list(E0)), NeighborListTransform(r_max=cutoff)
    return AtomicDataDict.batched_from_list([neighbours(types(from_ase(frame(graph)))) for graph in graphs])


def weights(settings, *names: str) -> dict[str, float]:
    """Weights of the loss with sum 1, under upstream's names for energy, forces and stress."""
    given = [settings[f"{label}_weight"] for label in ("energy", "forces", "stress")]
    return {name: weight / sum(given) for name, weight in zip(names, given, strict=True)}


def norm(model: torch.nn.Module) -> float:
    """Of all gradients together."""
    return float(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm())


TRAINERS = {"mace": mace, "nequip": nequip, "allegro": nequip}
