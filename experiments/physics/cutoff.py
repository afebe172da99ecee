"""What happens when an edge crosses the cutoff: the public snapshot's PGS-edge beside ours and the bare backbones.

python experiments/physics/cutoff.py     (under a minute of one core; writes cutoff.{json,md,png} beside itself)

Untrained potentials of silver in float64, s = 1 eV/Å, r_c = 5 Å. Ours starts as the identity, so its parameters are
moved by half of a usual initialisation; the snapshot's form needs no such help. Two scenes: a dimer that parts, and a
third atom that leaves one of two bonded ones. A jump is E, or the largest |F| of an atom, at r_c − δ less that at
r_c + δ, δ = 1e-6 Å, over which a smooth surface changes by less than 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import scalarfid
from scalarfid.files import replacing, write_json, write_text
from scalarfid.log import progress
from scalarfid.physics import surface
from scalarfid.potential import Potential

FOLDER = Path(__file__).parent
CUTOFF, GAP, BOND = 5.0, 1e-6, 2.9  # Å
BACKBONES = {"mace_small": "MACE", "nequip_small": "NequIP", "allegro_small": "Allegro"}
FORMS = {
    "none": ("none", []),
    "PGS-edge, ours": ("pgs_edge", []),
    "PGS-edge, snapshot": ("pgs_edge", ["probe.pgs_edge.form=public2025"]),
}
SEEDS = range(5)
MOVED = 0.5  # of 1/√(fan-in), normal


def dimer(r: float) -> Atoms:
    """Two atoms alone."""
    return Atoms("Ag2", [[0, 0, 0], [r, 0, 0]])


def third(r: float) -> Atoms:
    """A third atom on the far side of one of two bonded ones, which alone it can reach."""
    return Atoms("Ag3", [[0, 0, 0], [-BOND, 0, 0], [r, 0, 0]])


SCENES: dict[str, Callable[[float], Atoms]] = {"dimer": dimer, "third atom": third}


def potential(backbone: str, form: str, seed: int) -> Potential:
    """Untrained; the parameters of our probe are moved away from the identity."""
    probe, words = FORMS[form]
    found = scalarfid.build(
        backbone, probe, ["Ag"], cutoff=CUTOFF, dtype="float64", mean_neighbours=12.0, mean_coordination={"Ag": 12.0},
        seed=seed, overrides=words,
    )  # fmt: skip
    if form == "PGS-edge, ours":
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for _, parameter in found.named_probe_parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(MOVED * parameter.shape[-1] ** -0.5 * noise)
    return found


def jump(of: Potential, scene: Callable[[float], Atoms]) -> tuple[float, float]:
    """Of the energy in eV and of the forces in eV/Å, at the cutoff."""
    answers = surface(of)([scene(CUTOFF - GAP), scene(CUTOFF + GAP)])
    (inside, outside), (pull, left) = answers.energy, answers.forces
    return float(abs(inside - outside)), float(np.linalg.norm(pull - left, axis=1).max())


def curve(of: Potential, scene: Callable[[float], Atoms], r: np.ndarray) -> np.ndarray:
    """Energy in eV less that beyond the cutoff."""
    energy = surface(of)([scene(x) for x in r]).energy
    return energy - energy[-1]


def main() -> None:
    """Measure, tabulate and draw."""
    r = np.linspace(CUTOFF - 0.5, CUTOFF + 0.1, 121)
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(SCENES), len(BACKBONES), sharex=True)
    rows = []
    for column, backbone in enumerate(progress(BACKBONES, "backbones")):
        for form in FORMS:
            models = [potential(backbone, form, seed) for seed in SEEDS]
            for axes, (name, scene) in zip(panels[:, column], SCENES.items(), strict=True):
                jumps = [jump(model, scene) for model in models]
                rows.append({"backbone": backbone, "form": form, "scene": name, "jumps_eV_and_eV_per_A": jumps})
                axes.plot(r, 1e3 * curve(models[0], scene, r), label=form)
                axes.axvline(CUTOFF, color="0.8", zorder=0)
                axes.set(title=f"{BACKBONES[backbone]}, {name}", xlabel="r (Å)", ylabel="E − E(r > r_c) (meV)")
    panels[0, 0].legend(fontsize="small")
    settings = {
        "elements": ["Ag"], "cutoff_A": CUTOFF, "gap_A": GAP, "dtype": "float64", "scale_eV_per_A": 1.0, "bond_A": BOND,
        "mean_neighbours": 12.0, "seeds": list(SEEDS), "trained": False, "ours_moved_by": MOVED,
        "jumps": "of one row, those of the seeds in order",
    }  # fmt: skip
    write_json(FOLDER / "cutoff.json", {"settings": settings, "rows": rows})
    write_text(FOLDER / "cutoff.md", table(rows))
    with replacing(FOLDER / "cutoff.png") as temporary:
        figure.savefig(temporary, dpi=150)


def shown(value: float) -> str:
    """Three digits; what is only rounding is not shown as a number."""
    return f"{value:.3g}" if value > 1e-6 else "< 1e-6"


def table(rows: list[dict]) -> str:
    """Largest jump over the seeds, as Markdown."""
    lines = [
        "Jump at r_c of an untrained potential (s = 1 eV/Å): largest of five seeds; `cutoff.json` has all.\n",
        "| backbone | probe | scene | energy (meV) | force (meV/Å) |",
        "|:--|:--|:--|--:|--:|",
    ]
    for row in rows:
        energy, force = 1e3 * np.array(row["jumps_eV_and_eV_per_A"]).max(axis=0)
        lines.append(
            f"| {BACKBONES[row['backbone']]} | {row['form']} | {row['scene']} | {shown(energy)} | {shown(force)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
