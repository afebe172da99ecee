"""Whether PGS-readout still tells atoms apart after training: a table over trained runs, on their validation frames.

python experiments/trials/saturation.py runs/ablation/mace-pan+pgs-*     (writes saturation.md beside itself)

For each readout: the rate at which the modules were trained, the RMS of its features s, the share of z beyond ±0.9,
where tanh is nearly flat, and how much the correction q·V(ψ(z) − ψ(0)) differs between atoms: the RMS of its
deviation from the mean atom over its RMS. A readout whose z are all at ±1 adds the same numbers to every atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from over_runs import read, write_page
from torch import Tensor
from torch_geometric.data import Data

from scalarfid.potential import Potential
from scalarfid.probes.pgs_readout import ESReadout
from scalarfid.results.predictions import predict

HEADER = ("run", "rate", "readout", "RMS of s", "z beyond ±0.9 (%)", "RMS of the correction", "differs between atoms")
TITLE = "Does PGS-readout still tell atoms apart?"


def seen(potential: Potential, graphs: Sequence[Data]) -> list[tuple[Tensor, ...]]:
    """Features s [M,C], projections z [M,D] and corrections [M,C] of every PGS-readout over all graphs."""
    found = {module: [] for module in potential.modules() if isinstance(module, ESReadout)}
    projected = {}

    def keep(module: ESReadout, inputs: tuple[Tensor, Tensor], out: Tensor) -> None:
        found[module].append((inputs[0], torch.tanh(projected[module.project]), out - inputs[0]))

    for module in found:
        module.project.register_forward_hook(lambda project, _, out: projected.update({project: out}))
        module.register_forward_hook(keep)
    predict(potential, graphs)
    return [tuple(torch.cat(part).detach() for part in zip(*parts, strict=True)) for parts in found.values()]


def rows(run: Path) -> list[list[str]]:
    """One line a readout."""
    config, potential, graphs = read(run)
    lines = []
    for i, (s, z, change) in enumerate(seen(potential, graphs)):
        spread = (change - change.mean(dim=0)).square().mean().sqrt() / change.square().mean().sqrt()
        flat = 100 * (z.abs() > 0.9).double().mean()
        lines.append([
            run.name, str(config["training"]["probe_lr"]), str(i), f"{s.square().mean().sqrt():.3g}", f"{flat:.0f}",
            f"{change.square().mean().sqrt():.2f}", f"{spread:.2f}",
        ])  # fmt: skip
    return lines


if __name__ == "__main__":
    write_page(__file__, TITLE, __doc__, HEADER, rows)
