"""Whether a trained MACE still uses its last readout: a table over runs, on their validation frames.

python experiments/trials/last_readout.py runs/ablation/mace-*     (writes last_readout.md beside itself)

Upstream's last readout is W₂ SiLU(W₁ s), without biases. The table has, over all atoms, the RMS of the s that enter it
(after the probe), the mean of z = W₁ s over atoms and hidden units, how many of the hidden units are flat
(|SiLU′(z)| < 0.1 in the mean over atoms), and the force MAE with the readout and without it (its energies set to zero).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from torch import Tensor
from torch_geometric.data import Data

from scalarfid.data import load
from scalarfid.files import write_text
from scalarfid.log import progress
from scalarfid.potential import Potential
from scalarfid.potential import load as load_potential
from scalarfid.results.predictions import predict
from scalarfid.results.tables import markdown

HEADER = ("run", "rate of modules", "RMS of s", "mean z", "flat units", "F MAE (meV/Å)", "without it (meV/Å)")
TEXT = """# Does a trained MACE still use its last readout?

{doc}
{table}"""


def force_error(potential: Potential, graphs: Sequence[Data]) -> float:
    """Force MAE in meV/Å."""
    found = predict(potential, graphs)
    return 1e3 * float(abs(found.predicted["forces"] - found.reference["forces"]).mean())


def slope(z: Tensor) -> Tensor:
    """SiLU′(z) = σ(z)(1 + z(1 − σ(z)))."""
    sigmoid = torch.sigmoid(z)
    return sigmoid * (1 + z * (1 - sigmoid))


def row(run: Path) -> list[str]:
    """One line of the table."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    potential = load_potential(run).eval().requires_grad_(False)
    graphs = load(config["dataset"], cutoff=potential.cutoff).val
    readout, seen = potential.backbone.model.readouts[-1], []
    hook = readout.linear_1.register_forward_hook(lambda _, inputs, z: seen.append((inputs[0], z)))
    error = force_error(potential, graphs)
    hook.remove()
    readout.register_forward_hook(lambda _, __, energies: 0 * energies)
    s, z = (torch.cat(part).detach() for part in zip(*seen, strict=True))
    flat = slope(z).abs().mean(0) < 0.1
    rate = config["training"]["probe_lr"] or config["training"]["lr"]
    return [
        run.name, str(rate) if config["probe"]["name"] != "none" else "", f"{s.square().mean().sqrt():.2f}",
        f"{z.mean():.2f}", f"{int(flat.sum())} of {len(flat)}", f"{error:.1f}", f"{force_error(potential, graphs):.1f}",
    ]  # fmt: skip


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    lines = [row(run) for run in progress(options.runs, "reading", total=len(options.runs))]
    write_text(options.output, TEXT.format(doc=__doc__.split("\n\n", 2)[2], table=markdown(HEADER, lines)))


if __name__ == "__main__":
    main()
