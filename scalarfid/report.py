"""Report of a sweep: arms paired by seed, with intervals and verdicts, from the summaries and diagnostics of its runs.

python -m scalarfid.report runs/ablation
python -m scalarfid.report runs/ablation runs/more out=comparison

Words without = are folders of runs (or summaries of runs); the others are key=value:

out         folder for the results (report/ in the first folder)

Written there: report.html (one page that needs nothing beside it), report.md, report.tex, cells.csv (every number of
every cell), comparisons.csv, figures/, pooled.csv where arms are compared on several sets, and physics.csv where
their answers of scalarfid.diagnose are. Cells of another split, budget, code or package version than the others of
their dataset and backbone, and answers with other settings or of another model, are listed, and enter no mean. The last
line on stdout is the path of report.html.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from scalarfid.errors import ScalarFidError
from scalarfid.log import log
from scalarfid.results.sheets import Sheet
from scalarfid.results.writing import Report, write_report
from scalarfid.training.directory import state_of
from scalarfid.words import command, show_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Report as the command line says; the exit status is 0, or 2 after bad input."""
    return command(__doc__, arguments, _write)


def _write(words: list[str], out: Console) -> None:
    report = write_report(*_parsed(words), state_of)
    for table in (*_tables(report.overview), *_tables(report.pooled_overview), *_tables(report.physics_overview)):
        out.print(table)
    _log_what_is_left_out(report)
    show_path(out, report.page)


def _parsed(words: Sequence[str]) -> tuple[list[str], Path]:
    """Places of runs, and the folder for the results."""
    places, out = [], None
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or Path(word).exists():
            places.append(word)
        elif key == "out" and value:
            out = Path(value)
        else:
            raise ScalarFidError(f"Cannot use {word!r}: give folders of runs, and out=<folder>.")
    if not places:
        raise ScalarFidError("No runs; give a folder of them, as in runs/ablation.")
    first = Path(places[0])
    return places, out or (first if first.is_dir() else first.parent) / "report"


def _tables(sheet: Sheet) -> list[Table]:
    """One for each group, which the first column names."""
    found: dict[str, Table] = {}
    for group, *cells in sheet.rows:
        if group not in found:
            found[group] = Table(title=f"{sheet.title}: {group}", box=box.SIMPLE_HEAD, title_justify="left")
            for i, name in enumerate(sheet.header[1:]):
                found[group].add_column(name, justify="right" if i > 1 else "left", overflow="fold")
        found[group].add_row(*cells)
    return list(found.values())


def _log_what_is_left_out(report: Report) -> None:
    for group, _ in report.groups:
        missing = sum(len(seeds) for _, seeds in group.missing)
        log.info(
            "%s: %d cells compared, %d not, %d missing", group.title, len(group.cells), len(group.unequal), missing
        )
    for error in report.unreadable:
        log.warning("%s It enters no number.", error)
    if report.unfinished:
        log.info("%d runs have not ended; report.html lists them", len(report.unfinished))
    if report.not_begun:
        log.info("%d cells of the grid have not begun; report.html counts them", len(report.not_begun))


if __name__ == "__main__":
    sys.exit(main())
