"""What a probe costs: parameters, FLOPs and wall time of probed against bare potentials, and how well controls match.

python benchmarks/cost.py --output benchmarks/cost
python benchmarks/cost.py --backbones mace --probes pan+pgs mlp --graphs Ag64 --steps 60

FLOPs are those of energy and forces at inference, as scalarfid/flops.py counts them, on two graphs: 64 atoms of rattled
fcc Ag, and aspirin. Times are medians over steps in which every arm takes its turn in a new order, so that a machine's
other work falls on all arms alike; beside them the ratio to the bare backbone with its 95 % interval (bootstrap over
steps). Wall time is what a user waits; processor time, of all threads, suffers less from what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from ase.io import read
from rich.console import Console
from rich.table import Table
from torch_geometric.data import Batch

import scalarfid
from scalarfid.bench.steps import evaluation, silver, step
from scalarfid.bench.timing import CLOCKS, interleaved, ratios
from scalarfid.config import compose
from scalarfid.data import build_graph
from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.flops import Flops, count_flops
from scalarfid.log import console
from scalarfid.potential import Potential
from scalarfid.results.tables import markdown

HERE = Path(__file__).resolve().parent
BACKBONES = ("mace_small", "nequip_small", "allegro_small")
PROBES = ("pan", "pgs_edge", "pgs_readout", "pgs", "pan+pgs", "mlp", "mlp_pan", "mlp_pgs")
SITES = {
    "message": ("pan", "mlp_message"),
    "edge": ("pgs_edge", "mlp_edge"),
    "readout": ("pgs_readout", "mlp_readout"),
}


def graphs(cutoff: float) -> dict[str, Batch]:
    """Return the two named graphs, each as a batch of one."""
    frames = {"Ag64": silver(4), "aspirin": read(HERE / "aspirin.xyz")}
    return {name: Batch.from_data_list([build_graph(atoms, cutoff)]) for name, atoms in frames.items()}


def potential(
    backbone: str, probe: str, graph: Batch, options: argparse.Namespace, parts: dict | None = None
) -> Potential:
    """Build an arm for a graph's elements; ``parts`` takes the place of what the probe's configuration names."""
    built = scalarfid.build(
        backbone,
        probe,
        elements=sorted(set(graph.z.tolist())),
        cutoff=options.cutoff,
        dtype=options.dtype,
        mean_neighbours=graph.num_edges / graph.num_nodes,
    )
    return built if parts is None else Potential.from_config({**built.config, "probe": {"name": probe, **parts}})


def cost(arm: Potential, graph: Batch) -> dict[str, int]:
    """Parameters and FLOPs of energy and forces."""
    flops: Flops = count_flops(lambda: arm.eval()(graph))
    return {
        "parameters": sum(p.numel() for _, p in arm.named_backbone_parameters()),
        "probe_parameters": sum(p.numel() for _, p in arm.named_probe_parameters()),
        "matmul": flops.matmul,
        "elementwise": flops.elementwise,
        "flops": flops.total,
    }


def measure(backbone: str, name: str, graph: Batch, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per probe, the bare backbone first."""
    probes = ["none", *options.probes]
    arms = {probe: potential(backbone, probe, graph, options) for probe in probes}
    rows = [{"graph": name, "backbone": backbone, "probe": probe, **cost(arms[probe], graph)} for probe in probes]
    for kind, build in (("inference", evaluation), ("training", step)) if options.steps else ():
        calls = {probe: build(arm, graph) for probe, arm in arms.items()}
        times = interleaved(calls, options.steps, f"{backbone}, {name}, {kind}")
        for row in rows:
            probed, bare = times[row["probe"]], times["none"]
            row[kind] = ratios(probed, bare)
    return rows


def matching(backbone: str, name: str, graph: Batch, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Parameters and added FLOPs of each probe part beside its control's, one row per kind of site."""
    bare = cost(potential(backbone, "none", graph, options), graph)
    rows = []
    for site, names in SITES.items():
        found = [cost(potential(backbone, "none", graph, options, {n: part_options(n)}), graph) for n in names]
        parameters = [c["probe_parameters"] for c in found]
        flops = [c["flops"] - bare["flops"] for c in found]
        row = {"graph": name, "backbone": backbone, "site": site, "parameters": parameters, "added_flops": flops}
        rows.append(row | {key: b / a - 1 for key, (a, b) in (("d_parameters", parameters), ("d_flops", flops))})
    return rows


def part_options(part: str) -> dict[str, Any]:
    """Options of one part, from the probe sets that hold it."""
    for probe in ("pan+pgs", "mlp"):
        config = compose([f"probe={probe}"]).probe
        if part in config:
            return dict(config[part])
    raise ScalarFidError(f"No probe set has the part {part!r}.")


def cost_cells(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the cost table."""
    header = ["backbone, graph", "probe", "parameters", "MFLOP matmul", "elementwise", "FLOPs"]
    timed = [kind for kind in ("inference", "training") if kind in rows[0]]
    bare = {(r["backbone"], r["graph"]): r for r in rows if r["probe"] == "none"}
    cells = []
    for r in rows:
        base = bare[r["backbone"], r["graph"]]
        added = f"+ {r['probe_parameters']:,}" if r["probe_parameters"] else f"{r['parameters']:,}"
        line = [f"{r['backbone']}, {r['graph']}", r["probe"], added, f"{r['matmul'] / 1e6:.1f}"]
        line += [f"{r['elementwise'] / 1e6:.1f}", f"{100 * (r['flops'] / base['flops'] - 1):+.1f} %"]
        cells.append(line + [_time(r, kind, clock) for kind in timed for clock in CLOCKS])
    return header + [f"{kind}, {clock} time" for kind in timed for clock in CLOCKS], cells


def _time(row: dict[str, Any], kind: str, clock: str) -> str:
    t = row[kind][clock]
    if row["probe"] == "none":
        return f"{1e3 * t['seconds']:.1f} ms"
    return f"×{t['ratio']:.3f} ({t['low']:.3f}–{t['high']:.3f})"


def matching_cells(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of controls."""
    header = [
        "backbone, graph",
        "site",
        "parameters: probe, control",
        "difference",
        "added MFLOP: probe, control",
        "difference",
    ]
    cells = [
        [
            f"{r['backbone']}, {r['graph']}",
            r["site"],
            ", ".join(f"{n:,}" for n in r["parameters"]),
            f"{100 * r['d_parameters']:+.2f} %",
            ", ".join(f"{n / 1e6:.2f}" for n in r["added_flops"]),
            f"{100 * r['d_flops']:+.1f} %",
        ]
        for r in rows
    ]
    return header, cells


def rich_table(header: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> Table:
    """Table for a console."""
    table = Table(title=title)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i > 1 else "left", no_wrap=i < 2)
    for line in cells:
        table.add_row(*line)
    return table


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=BACKBONES, help="files of conf/backbone")
    parser.add_argument("--probes", nargs="+", default=PROBES, help="files of conf/probe")
    parser.add_argument("--graphs", nargs="+", default=("Ag64", "aspirin"), choices=("Ag64", "aspirin"))
    parser.add_argument(
        "--steps", type=int, default=40, help="timed steps; 0 for no timing, else at least 30 for a table"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--cutoff", type=float, default=5.0, help="r_c in Å")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--output", type=Path, help="write OUTPUT.json and OUTPUT.md")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status is 0, or 2 after bad input."""
    options = parsed(arguments)
    torch.set_num_threads(options.threads)
    try:
        named = graphs(options.cutoff)
        pairs = [(backbone, name) for name in options.graphs for backbone in options.backbones]
        rows = [row for b, n in pairs for row in measure(b, n, named[n], options)]
        controls = [row for b, n in pairs for row in matching(b, n, named[n], options)]
        setting = {key: str(value) for key, value in vars(options).items()}
        setting |= {"torch": version("torch"), "machine": platform.machine(), "python": platform.python_version()}
        out = Console(width=None if Console().is_terminal else 160)
        tables = {"Cost of probes": cost_cells(rows), "Controls beside their probes": matching_cells(controls)}
        for title, table in tables.items():
            out.print(rich_table(*table, title))
        if options.output is not None:
            text = "\n".join(f"## {title}\n\n{markdown(*table)}" for title, table in tables.items())
            record = {"setting": setting, "cost": rows, "controls": controls}
            write_text(options.output.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
            path = write_text(options.output.with_suffix(".md"), f"{_preamble(setting)}\n{text}")
            out.print(f"written: {path} and .json")
    except ScalarFidError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    return 0


def _preamble(setting: dict[str, str]) -> str:
    lines, options = __doc__.split("\n\n")[2], ", ".join(f"{key} {value}" for key, value in setting.items())
    return f"# Cost\n\n{lines}\nMade by `python benchmarks/cost.py`: {options}.\n"


if __name__ == "__main__":
    sys.exit(main())
