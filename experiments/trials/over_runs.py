"""A page with a table over trained runs: what the scripts beside this file share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch_geometric.data import Data

from scalarfid.data import load
from scalarfid.files import write_text
from scalarfid.log import progress
from scalarfid.potential import Potential
from scalarfid.potential import load as load_potential
from scalarfid.results.tables import markdown

TEXT = """# {title}

{doc}
{table}"""


def read(run: Path) -> tuple[dict[str, Any], Potential, list[Data]]:
    """Configuration, frozen potential and validation graphs of a run."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    potential = load_potential(run).eval().requires_grad_(False)
    return config, potential, load(config["dataset"], cutoff=potential.cutoff).val


def write_page(
    script: str, title: str, doc: str, header: Sequence[str], rows: Callable[[Path], list[list[str]]]
) -> None:
    """Write the table of the runs that the command line names, by default beside the script.

    The page says what the docstring of the script says after its first paragraph and its usage.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path(script).with_suffix(".md"))
    options = parser.parse_args()
    lines = [line for run in progress(options.runs, "reading", total=len(options.runs)) for line in rows(run)]
    text = TEXT.format(title=title, doc=doc.split("\n\n", 2)[2], table=markdown(header, lines))
    write_text(options.output, text)
