"""Try settings on validation frames, the same number of trials for every arm, and keep the table.

python scripts/trials.py experiments/trials/rates.yaml --output experiments/trials/rates.md

A trial is a list of overrides, trained once per seed; one that says probe= itself tries a part of its arm. Finished
cells are skipped and interrupted ones go on, so the command can be given again at any time; the table is rewritten
after every cell. Test frames are held back: the file sets dataset.hide_test=true, and without that nothing is trained.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from scalarfid.config import compose
from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.log import log, setup_logging
from scalarfid.results.tables import markdown
from scalarfid.training import StopRequest, run

HEADER = (
    "arm", "overrides", "F MAE (meV/Å)", "E MAE (meV/atom)", "n", "F MAE by seed", "parameters", "FLOPs", "hashes",
)  # fmt: skip
TEXT = """# Trials on validation frames

{title}
Errors of the averaged weights of the best epoch on the {n_val} validation frames; no test frame was read. F MAE is the
mean over the seeds ({seeds}); FLOPs are those of one frame, energy and forces. Every arm has the same number of trials.
Made by `python scripts/trials.py {source} --output {output}`, common settings: {common}.

{table}"""


def cells(plan: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Arm, overrides and seed of every cell; one seed of everything before the next."""
    for seed in plan["seeds"]:
        for arm, trials in plan["arms"].items():
            for trial in trials:
                yield arm, tuple(trial), seed


def checked(plan: dict[str, Any]) -> dict[str, Any]:
    """Refuse a plan that does not hold test frames back or gives one arm more trials than another."""
    counts = {arm: len(trials) for arm, trials in plan["arms"].items()}
    if len(set(counts.values())) != 1:
        raise ScalarFidError(f"Trials by arm are {counts}; give every arm the same number.")
    if "dataset.hide_test=true" not in plan["common"]:
        raise ScalarFidError("Trials are decided on validation frames; add dataset.hide_test=true to common.")
    return plan


def row(arm: str, trial: tuple[str, ...], found: list[dict[str, Any]]) -> list[str]:
    """One line of the table, from the summaries of its seeds."""
    forces, energies = (
        [1e3 * one["metrics"]["val"][name] for one in found] for name in ("forces_mae", "energy_per_atom_mae")
    )
    parameters = found[0]["parameters"]
    return [
        arm,
        " ".join(trial) or "(default)",
        f"{statistics.mean(forces):.2f}",
        f"{statistics.mean(energies):.2f}",
        str(len(found)),
        ", ".join(f"{value:.1f}" for value in forces),
        f"{parameters['backbone']} + {parameters['probe']}",
        f"{found[0]['flops']['total'] / 1e6:.2f} M",
        ", ".join(one["hash"] for one in found),
    ]


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="YAML file with seeds, common, arms, title")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file for the table")
    parser.add_argument("--root", default="runs", help="run.root")
    options = parser.parse_args()
    setup_logging()
    torch.set_num_threads(1)
    plan, stop = checked(yaml.safe_load(options.plan.read_text())), StopRequest()
    found: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
    with stop.listening():
        for arm, trial, seed in cells(plan):
            probe = [] if any(word.startswith("probe=") for word in trial) else [f"probe={arm}"]
            words = [*plan["common"], *probe, *trial, f"seed={seed}"]
            words += [f"run.root={options.root}", "run.experiment=trials", "run.threads=1", "run.progress=false"]
            result = run(compose(words), stop=stop)
            if result.summary is None:
                log.warning("Stopped; the same command goes on.")
                return
            found.setdefault((arm, trial), []).append(result.summary)
            write_text(options.output, text(plan, found, options))


def text(plan: dict[str, Any], found: dict[tuple[str, tuple[str, ...]], list], options: argparse.Namespace) -> str:
    """The Markdown file."""
    table = markdown(HEADER, [row(arm, trial, summaries) for (arm, trial), summaries in found.items()])
    one = next(iter(found.values()))[0]
    return TEXT.format(
        title=plan["title"], n_val=one["n_frames"]["val"], seeds=", ".join(map(str, plan["seeds"])),
        source=options.plan, output=options.output, common=" ".join(plan["common"]), table=table,
    )  # fmt: skip


if __name__ == "__main__":
    main()
