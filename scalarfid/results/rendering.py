"""A report's sheets and figures as Markdown, LaTeX and one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from scalarfid.results.content import Section
from scalarfid.results.looks import Style
from scalarfid.results.sheets import Sheet
from scalarfid.results.tables import markdown

TEXT = {
    "arm", "against", "group", "split", "MAE of", "verdict", "change by seed (%)", "quantity", "hash", "seeds", "what",
    "cell", "probe", "what differs", "its value", "the group's value", "run directory", "state", "artefact", "better",
    "reference", "against none", "against the control", "reduced", "by seed", "change by seed", "diagnostic",
    "the others'", "measure", "file", "why", "remedy", "dataset", "backbone",
    "last line of the error", "clock",
}  # fmt: skip
"""Columns of words, set to the left."""
LONG = {"group", "cell", "run directory", "artefact", "measure", "file", "why", "last line of the error"}
"""Those of them that are broken into lines on a narrow screen."""
VERDICTS = ("improves", "worse", "cannot tell", "reduces", "increases", "yes", "no")
TEX = {
    "\\": r"\textbackslash{}", "%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": "$-$", "±": r"$\pm$", "…": r"\,\ldots{}\,", "·": r"$\cdot$", "–": "--", "Δ": r"$\Delta$", "Å": r"\AA{}",
    "³": r"\textsuperscript{3}", "⁶": r"\textsuperscript{6}", "“": "``", "”": "''", "×": r"$\times$",
}  # fmt: skip
TEX_DELIMITERS = {
    "block_start_string": "<%", "block_end_string": "%>", "variable_start_string": "<<", "variable_end_string": ">>",
}  # fmt: skip
"""Of Jinja in a template whose own braces and percent signs are LaTeX's."""


@dataclass(frozen=True)
class Drawn:
    """A figure that has been drawn: file name, title, description, and its SVG."""

    name: str
    title: str
    description: str
    svg: bytes

    @property
    def address(self) -> str:
        """The figure itself as an address, for a page without other files."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True)
class Part:
    """A section with its figures and the style of each arm."""

    section: Section
    figures: list[Drawn]
    styles: Mapping[str, Style]


def html(title: str, parts: Sequence[Part], **more: Any) -> str:
    """One page with everything in it; see ``templates/report.html.jinja``."""
    return _environment().get_template("report.html.jinja").render(title=title, parts=parts, **more)


def markdown_text(title: str, parts: Sequence[Part], **more: Any) -> str:
    """The same in Markdown; figures are linked from the folder ``figures``."""
    return _environment().get_template("report.md.jinja").render(title=title, parts=parts, **more)


def latex(title: str, parts: Sequence[Part], **more: Any) -> str:
    """The tables for a LaTeX document that uses booktabs and graphicx, in plain ASCII."""
    return _environment(**TEX_DELIMITERS).get_template("report.tex.jinja").render(title=title, parts=parts, **more)


def tex(text: str) -> str:
    """Text as LaTeX source: special characters escaped, those outside ASCII as commands, unknown ones as ``?``."""
    return re.sub(r"[^A-Za-z0-9 ]", lambda found: TEX.get(found[0], found[0] if found[0].isascii() else "?"), text)


def verdict(text: str) -> str:
    """Name of the verdict that a cell of a table shows, for its colour; empty for other cells."""
    return next((name.replace(" ", "-") for name in VERDICTS if text == name or text.startswith(f"{name} (")), "")


def _environment(**delimiters: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("scalarfid.results"),
        autoescape=select_autoescape(("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **delimiters,
    )
    environment.filters |= {"tex": tex, "sheet": _sheet}
    environment.globals |= {"verdict": verdict, "kind": _kind}
    return environment


def _kind(column: str) -> str:
    """Class of the cells of a column."""
    return "text long" if column in LONG else "text" if column in TEXT else "number"


def _sheet(sheet: Sheet) -> str:
    return markdown(sheet.header, [[cell.replace("|", "\\|") for cell in row] for row in sheet.rows])
