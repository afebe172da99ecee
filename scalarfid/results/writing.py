"""The files of a report, from the summaries of a sweep."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from scalarfid.files import replacing, write_text
from scalarfid.log import progress
from scalarfid.results.artefacts import Physics, physics
from scalarfid.results.cells import read_cells
from scalarfid.results.comparison import Comparison, comparisons
from scalarfid.results.content import not_begun, overview, section, unfinished, unreadable
from scalarfid.results.correlation import foretold_sheets
from scalarfid.results.figures import pictures
from scalarfid.results.forest import forests
from scalarfid.results.groups import Group, groups
from scalarfid.results.long import cells_table, comparisons_table, physics_table, pooled_table
from scalarfid.results.looks import styles
from scalarfid.results.panels import Picture
from scalarfid.results.pending import Planned, Unfinished, read_not_begun, read_unfinished, recorded_state
from scalarfid.results.physics_figures import physics_pictures
from scalarfid.results.physics_sheets import physics_overview, physics_section
from scalarfid.results.pooled import Pooled, pooled_rows, pooled_sheet
from scalarfid.results.rendering import Drawn, Part, html, latex, markdown_text
from scalarfid.results.sheets import Sheet
from scalarfid.results.summary import UnreadableError, write_table

POOLED = "pooled.csv"
PHYSICS = "physics.csv"
LINES = (
    "Every number comes from the summary.json files of finished runs and the diagnostics beside them; cells.csv has "
    "each. A cell of another "
    "split, budget, configuration, code or package version than its group is listed under “Not compared” and enters "
    "no mean.",
    "PAN and PGS are this project's implementation of what is public about arXiv 2606.15892. mlp, and what begins with "
    "mlp_, are their controls: the same places and sizes, without coordination or spectral basis.",
)


@dataclass(frozen=True)
class Report:
    """Groups with their comparisons and their physics, what is in none of them, and where the page is.

    Attributes:
        groups: with the rows of their tables.
        pooled: rows over all groups of a backbone.
        physics: of each group.
        unreadable: damaged files.
        unfinished: runs that have not ended.
        not_begun: cells of the grids without a run directory.
        page: ``report.html``.
    """

    groups: list[tuple[Group, list[Comparison]]]
    pooled: list[Pooled]
    physics: list[Physics]
    unreadable: list[UnreadableError]
    unfinished: list[Unfinished]
    not_begun: list[Planned]
    page: Path

    @property
    def overview(self) -> Sheet:
        """The table to begin with."""
        return overview(self.groups)

    @property
    def pooled_overview(self) -> Sheet:
        """What all sets say together, in few columns; without rows where no arm was compared on two."""
        return pooled_sheet(self.pooled, by_set=False)

    @property
    def physics_overview(self) -> Sheet:
        """Whether arms reduce artefacts; without rows where no cell was asked."""
        return physics_overview(self.physics)


def write_report(
    places: Sequence[str | Path], folder: str | Path, state_of: Callable[[Path], str] = recorded_state
) -> Report:
    """Compare the finished runs in or below the places given and write what came out.

    Files: ``report.html`` (with everything in it), ``report.md``, ``report.tex``, ``cells.csv``, ``comparisons.csv``,
    ``figures/``, ``pooled.csv`` where arms are compared on several sets, and ``physics.csv`` where their answers of
    diagnostics are.

    Args:
        places: folders of run directories, or summaries.
        folder: for the files; made if missing.
        state_of: state of a run directory that has not ended.

    Raises:
        ScalarFidError: a place without finished runs, no summary that can be read, or a folder that cannot be written.
    """
    folder = Path(folder)
    report = _read(places, state_of, folder / "report.html")
    write_table(cells_table(report.physics), folder / "cells.csv")
    write_table(
        comparisons_table((group, row) for group, rows in report.groups for row in rows), folder / "comparisons.csv"
    )
    for name, table in ((POOLED, pooled_table(report.pooled)), (PHYSICS, physics_table(report.physics))):
        if table.empty:
            (folder / name).unlink(missing_ok=True)  # of an earlier report
        else:
            write_table(table, folder / name)
    parts = _parts(report)
    figures = [_drawn(f"0-{picture.name}", picture) for picture in forests(report.groups, report.pooled)]
    every = chain(figures, *(part.figures for part in parts))
    _write_figures({f"{figure.name}.svg": figure.svg for figure in every}, folder / "figures")
    content = {"title": _title(places), "parts": parts, "lines": LINES, "sheets": _sheets(report), "figures": figures}
    write_text(folder / "report.md", re.sub(r"\n{3,}", "\n\n", markdown_text(**content)))
    write_text(folder / "report.tex", latex(**content))
    write_text(report.page, html(**content))
    return report


def _read(places: Sequence[str | Path], state_of: Callable[[Path], str], page: Path) -> Report:
    cells, damaged = read_cells(places)
    planned, damaged_grids = read_not_begun(places, [cell.name for cell in cells])
    found = [(group, comparisons(group)) for group in groups(cells)]
    about = [physics(group) for group, _ in found]
    return Report(
        found, pooled_rows(found), about, damaged + damaged_grids, read_unfinished(places, state_of), planned, page
    )


def _write_figures(drawn: Mapping[str, bytes], folder: Path) -> None:
    """Write these, and remove those of an earlier report of other cells: all are called <number>-<what>.svg."""
    for name, svg in drawn.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(svg)
    for path in folder.glob("[0-9]*-*.svg"):
        if path.name not in drawn:
            path.unlink()


def _sheets(report: Report) -> list[Sheet]:
    foretold = foretold_sheets([group for group, _ in report.groups])
    sheets = [report.overview, pooled_sheet(report.pooled), report.physics_overview, *foretold]
    sheets += [unreadable(report.unreadable), unfinished(report.unfinished), not_begun(report.not_begun)]
    return [sheet for sheet in sheets if sheet.rows]


def _title(places: Iterable[str | Path]) -> str:
    return f"scalarfid: {', '.join(dict.fromkeys(Path(place).resolve().name for place in places))}"


def _parts(report: Report) -> list[Part]:
    """Sections with their figures, drawn under a progress bar; those of physics only where its cells were asked."""
    sections = []
    for (group, rows), found in zip(report.groups, report.physics, strict=True):
        sections.append((group, section(group, rows), pictures(group, rows)))
        if found.asked:
            sections.append((group, physics_section(found), physics_pictures(found)))
    planned = [(i, picture) for i, (_, _, planned) in enumerate(sections) for picture in planned]
    drawn: list[list[Drawn]] = [[] for _ in sections]
    for i, picture in progress(planned, "drawing", total=len(planned)):
        drawn[i].append(_drawn(f"{i + 1}-{picture.name}", picture))
    return [Part(said, figures, styles(group)) for (group, said, _), figures in zip(sections, drawn, strict=True)]


def _drawn(name: str, picture: Picture) -> Drawn:
    return Drawn(name, picture.title, picture.description, picture.svg())
