"""Whether a trained MACE still uses its last readout: a table over runs, on their validation frames.

python experiments/trials/last_readout.py runs/ablation/mace-*     (writes last_readout.md beside itself)

Upstream's last readout is W₂ SiLU(W₁ s), without biases. The table has, over all atoms, the RMS of the s that enter it
(after the probe), the mean of z = W₁ s over atoms and hidden units, how many of the hidden units are flat
(|SiLU′(z)| < 0.1 in the mean over atoms), and the force MAE with the readout and without it (its energies set to zero).
"""

from __future__ import annotations

from pathlib import Path

import torch
from over_runs import read, write_page
from torch import Tensor

from scalarfid.training.metrics import errors_of

HEADER = ("run", "rate of modules", "RMS of s", "mean z", "flat units", "F MAE (meV/Å)", "without it (meV/Å)")
TITLE = "Does a trained MACE still use its last readout?"


def slope(z: Tensor) -> Tensor:
    """SiLU′(z) = σ(z)(1 + z(1 − σ(z)))."""
    sigmoid = torch.sigmoid(z)
    return sigmoid * (1 + z * (1 - sigmoid))


def rows(run: Path) -> list[list[str]]:
    """One line of the table."""
    config, potential, graphs = read(run)
    readout, seen = potential.backbone.model.readouts[-1], []
    hook = readout.linear_1.register_forward_hook(lambda _, inputs, z: seen.append((inputs[0], z)))
    error = errors_of(potential, graphs)["forces_mae"]
    hook.remove()
    readout.register_forward_hook(lambda _, __, energies: 0 * energies)
    without = errors_of(potential, graphs)["forces_mae"]
    s, z = (torch.cat(part).detach() for part in zip(*seen, strict=True))
    flat = slope(z).abs().mean(0) < 0.1
    rate = config["training"]["probe_lr"] or config["training"]["lr"]
    return [[
        run.name, str(rate) if config["probe"]["name"] != "none" else "", f"{s.square().mean().sqrt():.2f}",
        f"{z.mean():.2f}", f"{int(flat.sum())} of {len(flat)}", f"{1e3 * error:.1f}", f"{1e3 * without:.1f}",
    ]]  # fmt: skip


if __name__ == "__main__":
    write_page(__file__, TITLE, __doc__, HEADER, rows)
