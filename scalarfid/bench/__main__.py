"""``python -m scalarfid.bench``: how long things take here, beside the trainers and calculators that users come from.

python -m scalarfid.bench
python -m scalarfid.bench rows=epoch,calculator backbones=mace_small turns=11

Times are medians over turns that both sides take alternately in the same run, ratios ours by theirs with the 95 %
interval of a bootstrap over turns; processor time suffers less than wall time from what else the machine does. Both
sides have the same model, frames, batches, precision, one thread, averaged weights and a validation after every epoch.
Our trainer also sums the errors of its training batches, which the others do not.

Words are key=value:

rows        of epoch (with start and memory), answer, probes, compiled (steps; with epoch and calculator those compiled
            too: a minute or more for each), calculator, atoms, frames (all)
backbones   presets of conf/backbone (mace_small,nequip_small,allegro_small)
probed      presets for the rows of probes (mace,nequip,allegro)
turns       timed turns of every arm; 3 starts of every trainer (11)
dtype       float32 or float64, of all rows but epoch, which is float32 (float32)
device      cpu or cuda; rows of a GPU stand beside those of the processor, the peak of memory is the GPU's (cpu)
out         file without its ending; rows that are not measured now are kept (benchmarks/bench)
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from scalarfid.errors import ScalarFidError
from scalarfid.words import command, options_of, show_path

if TYPE_CHECKING:
    from scalarfid.bench.timing import How

DEFAULTS = {
    "rows": "epoch,answer,probes,compiled,calculator,atoms,frames",
    "backbones": "mace_small,nequip_small,allegro_small",
    "probed": "mace,nequip,allegro",
    "turns": "11",
    "dtype": "float32",
    "device": "cpu",
    "out": "benchmarks/bench",
}
STARTS = 3
TITLES = {
    "epoch": "Training, one epoch",
    "start": "From the command to the end of the first step",
    "memory": "Peak of memory in training",
    "answer": "Answers",
    "inference": "Probes on, energy + forces",
    "step": "Probes on, training step",
    "flops": "Probes on, operations of energy + forces",
    "compiled": "Compiled training step",
    "calculator": "ASE calculator, energy + forces",
    "per atom": "Time per atom",
    "frames": "Many frames in batches, energy + forces",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit status is 0, or 2 after bad input."""
    return command(__doc__, arguments, _show)


def _show(words: list[str], out: Console) -> None:
    options, others = options_of(words, DEFAULTS)
    if others:
        raise ScalarFidError(f"Cannot use {others[0]!r}: give {', '.join(DEFAULTS)} as key=value.")
    path = Path(options["out"]).with_suffix(".json")
    before = {_key(row): row for row in _last_committed(path)}
    found = []
    for row in measured(options):
        found.append(row | taken())
        out.print("  ".join(cells(found[-1], before)), markup=False, highlight=False, soft_wrap=True)
        write(path, found, " ".join(words))
    show_path(out, path.with_suffix(".md"))


def measured(options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows, as they are measured; those of a GPU name it, so that they do not replace the processor's."""
    chosen, turns = options["rows"].split(","), options["turns"]
    unknown = set(chosen) - set(DEFAULTS["rows"].split(","))
    if unknown:
        raise ScalarFidError(f"No rows {sorted(unknown)[0]!r}; there are {DEFAULTS['rows']}.")
    if not turns.isdecimal() or int(turns) == 0:
        raise ScalarFidError(f"turns={turns} is not a number of turns; give turns=11, say.")
    if options["device"] not in ("cpu", "cuda"):
        raise ScalarFidError(f"device={options['device']} is not a choice; there are cpu and the first GPU, cuda.")
    import torch  # noqa: PLC0415 - --help does without

    from scalarfid.bench.timing import How  # noqa: PLC0415
    from scalarfid.potential import device_of  # noqa: PLC0415

    how = How(int(turns), options["dtype"], device_of(options["device"]))
    torch.set_num_threads(1)
    gpu = f", {torch.cuda.get_device_name(how.device)}" if how.device.type == "cuda" else ""
    for row in _rows(chosen, options, how):
        yield row | {"case": row["case"] + gpu}


def _rows(chosen: Sequence[str], options: Mapping[str, str], how: How) -> Iterator[dict[str, Any]]:
    from scalarfid.bench import calculators, steps, training  # noqa: PLC0415 - import upstream packages

    quick = "compiled" in chosen
    if "answer" in chosen:
        yield from training.answers(how.turns)
    for preset in options["backbones"].split(","):
        if "epoch" in chosen:
            yield from training.measured(preset, how, STARTS, quick=quick)
        if quick:
            yield from steps.compiled(preset, how)
        if "calculator" in chosen:
            yield from calculators.calculators(preset, how, quick=quick)
        if "atoms" in chosen:
            yield from calculators.atoms(preset, how)
        if "frames" in chosen:
            yield from calculators.frames(preset, how)
    for preset in options["probed"].split(",") if "probes" in chosen else ():
        yield from steps.probes(preset, how)


def taken() -> dict[str, Any]:
    """When and by what code a row was measured, and the processes that wanted a core in the last five minutes."""
    from scalarfid.training.provenance import commit  # noqa: PLC0415 - not for --help

    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    return {"taken": now, "load": round(os.getloadavg()[1], 1), "commit": (commit() or "")[:7]}


def write(path: Path, rows: Sequence[Mapping[str, Any]], words: str) -> None:
    """Write the table, with rows of the file that were not measured now."""
    from scalarfid.files import read_json, write_json, write_text  # noqa: PLC0415
    from scalarfid.results.tables import markdown  # noqa: PLC0415 - not for --help

    kept = {_key(row): row for row in (read_json(path) or {}).get("rows", ())}
    kept |= {_key(row): row for row in rows}
    order = list(TITLES)
    record = {
        "command": f"python -m scalarfid.bench {words}".strip(),
        "machine": machine(),
        "rows": list(kept.values()),
    }
    record["rows"].sort(key=lambda row: order.index(row["row"]))
    write_json(path, record)
    facts = ", ".join(f"{key} {value}" for key, value in record["machine"].items())
    how = __doc__.split("\n\n")[2]
    head = f"# Bench\n\n{how}\n\nLast command: `{record['command']}`. {facts}.\n"
    head += "The load is the mean number of processes that wanted a core while a row was measured.\n\n"
    lines = [cells(row, {}, written=True) for row in record["rows"]]
    write_text(path.with_suffix(".md"), head + markdown(HEADER, lines))


HEADER = [
    "what",
    "case",
    "ours",
    "against",
    "ratio",
    "processor time",
    "target",
    "taken (UTC)",
    "commit",
    "load",
    "note",
]


def cells(row: Mapping[str, Any], before: Mapping[tuple, Mapping[str, Any]], *, written: bool = False) -> list[str]:
    """A row of the table, or of the console with the last committed ratio."""
    found = row["wall"]
    amounts = {"seconds": lambda x: f"{x:.3g} s", "bytes": lambda x: f"{x / 1e6:.0f} MB", "operations": "{:.3g}".format}
    (amount,) = (show(found[key]) for key, show in amounts.items() if key in found)
    processor = _interval(row["processor"]) if "processor" in row else ""
    line = [TITLES[row["row"]], row["case"], amount, row["against"], _interval(found), processor]
    line.append(f"≤ {row['target']:g}")
    if written:
        return [*line, row["taken"], row.get("commit", ""), f"{row['load']:g}", row.get("note", "")]
    last = before.get(_key(row))
    return [*line, f"committed: {_interval(last['wall'])}" if last else "new"]


def _interval(found: Mapping[str, float]) -> str:
    return f"×{found['ratio']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


def machine() -> dict[str, str]:
    """Processor, cores and the versions of what computes."""
    from scalarfid.training.provenance import versions  # noqa: PLC0415 - not for --help

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": str(os.cpu_count()), **versions()}


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["row"], row["case"]


def _last_committed(path: Path) -> list[dict[str, Any]]:
    """Rows of the file as it was committed; none outside a repository."""
    line = ["git", "show", f"HEAD:./{path.name}"]
    try:
        text = subprocess.run(line, cwd=path.parent, capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return []
    return json.loads(text)["rows"]


if __name__ == "__main__":
    sys.exit(main())
