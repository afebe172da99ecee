"""How long the 31 molecules hold at 2000 K, by arm: every model of ../ablation that was asked, beside GFN2-xTB itself.

python experiments/physics/survival.py     (seconds; writes survival.png beside itself)

Thin: models (seeds), from the stability.json beside each; thick: the runs of all seeds of an arm together.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scalarfid.files import read_json, replacing
from scalarfid.physics.stability import survival_curve
from scalarfid.results.looks import STYLES

FOLDER = Path(__file__).parent
CELLS = FOLDER.parent / "ablation" / "cells"
MOLECULES, END = 31, ".2000K.first_failure"


def lifetimes(answer: dict[str, Any], *, reference: bool) -> list[float]:
    """When the one run of every molecule failed, in ps; infinite where it came to its end."""
    found = answer["numbers"].items()
    times = [number["value"] for name, number in found if name.endswith(END) and (".reference" in name) == reference]
    return [np.inf if time is None else time for time in times]


def draw(axes: Axes, times: list[float], duration: float, **look: Any) -> None:
    """Fraction of runs that go on, a step down at every failure."""
    axes.step(*survival_curve(np.array(times), duration), where="post", **look)


def main() -> None:
    """Draw what is there."""
    answers = [read_json(path) for path in sorted(CELLS.glob("**/*-mol31-*/diagnostics/stability.json"))]
    duration, figure = answers[0]["settings"]["duration"], Figure(figsize=(5.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes, arms = figure.subplots(), defaultdict(list)
    for answer in answers:
        arm = answer["model"].split("-")[1]
        times = lifetimes(answer, reference=False)
        draw(axes, times, duration, color=STYLES[arm].color, linewidth=0.6, alpha=0.5)
        arms[arm] += times
    for arm in ("none", "mlp", "pan+pgs"):
        look = {"color": STYLES[arm].color, "linestyle": STYLES[arm].line, "linewidth": 2}
        draw(axes, arms[arm], duration, label=f"{arm} ({len(arms[arm]) // MOLECULES} seeds)", **look)
    draw(axes, lifetimes(answers[0], reference=True), duration, color="0.5", linestyle=":", label="GFN2-xTB")
    axes.set(xlabel="t (ps)", ylabel="fraction of the molecules that hold", ylim=(0, 1.03))
    axes.legend(fontsize="small")
    with replacing(FOLDER / "survival.png") as temporary:
        figure.savefig(temporary, dpi=150)


if __name__ == "__main__":
    main()
