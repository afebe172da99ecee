"""The pages state what the kept reports say, and a kept report is what its code makes of the kept cells."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
ABLATIONS = ("ablation", "ablation_longer", "ablation_low_data", "ablation_low_data_gain_1")
REPORTS = [ROOT / "experiments" / name / "report" for name in ABLATIONS]
PAGES = ["README.md", *(f"experiments/{name}/README.md" for name in (*ABLATIONS, "physics"))]
WRITTEN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/*/*.md")])
COMPARISONS = sorted(ROOT.glob("experiments/*/compare.yaml"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
NUMBER = r"[+−]?\d+(?:\.\d+)?"
INTERVAL = re.compile(rf"\(({NUMBER}) … ({NUMBER})\)(?: [\w ’']+)?(?:, p = ({NUMBER}))?")
TABLES = ["comparisons.csv", "pooled.csv", "physics.csv"]


def value(text: str) -> float:
    return float(text.replace("−", "-"))


def rounds_to(number: float, text: str) -> bool:
    """Whether ``number``, or 100 times it (points of a fraction), is printed as ``text``."""
    half = 0.5000001 * 10.0 ** -len(text.partition(".")[2])
    return any(abs(scale * number - value(text)) <= half for scale in (1, 100))


def known() -> list[tuple[float, float, float]]:
    """Low end, high end and corrected p of every comparison of the reports, and of rank correlations (no p)."""
    found = []
    for report in REPORTS:
        for file in tables(report):
            table = pd.read_csv(file).rename(columns=lambda column: column.removesuffix("_percent"))
            found += list(table[["low", "high", "p_holm"]].dropna().itertuples(index=False, name=None))
        correlations = (report / "report.md").read_text().partition("foretells")[2]
        ends = re.findall(rf"({NUMBER}) … ({NUMBER})", correlations)
        found += [(value(low), value(high), float("nan")) for low, high in ends]
    return found


def tables(report: Path) -> list[Path]:
    """Those of comparisons; a report without diagnostics or with one set has fewer."""
    return [report / name for name in TABLES if (report / name).exists()]


def stands(found: tuple[str, ...], rows: list[tuple[float, float, float]]) -> bool:
    """Whether some row has these ends and, where the page states one, this p."""
    return any(all(rounds_to(of, text) for of, text in zip(row, found, strict=True) if text) for row in rows)


@pytest.mark.parametrize("page", PAGES)
def test_every_interval_of_a_page_stands_in_the_report(page):
    text = re.sub(r"\s+", " ", (ROOT / page).read_text())
    found, rows = INTERVAL.findall(text), known()
    assert len(found) >= 5
    assert [each for each in found if not stands(each, rows)] == []
    assert not stands(("−99.9", "+99.9", ""), rows)


@pytest.mark.parametrize("plan", COMPARISONS, ids=lambda plan: plan.parent.name)
def test_a_comparison_gives_what_its_page_says(plan):
    made = runpy.run_path(str(ROOT / "scripts" / "compare.py"))["page"](plan)
    assert plan.with_suffix(".md").read_text() == made
    said = [ends for *ends, _ in INTERVAL.findall((plan.parent / "README.md").read_text())]
    forces = [line.split(" | ")[6].split(" … ") for line in made.splitlines() if "| F (meV/Å) |" in line]
    assert len(forces) >= 4
    assert [ends for ends in forces if ends not in said] == [], "the page says every change of forces"
    assert [(low, high) for low, high in said if f"| {low} … {high} |" not in made] == []


def test_what_pages_link_to_is_there():
    links = [(page, link) for page in WRITTEN for link in LINK.findall(page.read_text()) if "://" not in link]
    assert len(links) > 20
    assert [(page, link) for page, link in links if not (page.parent / link.partition("#")[0]).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.parent.name)
def test_the_kept_report_is_what_its_code_makes_of_the_kept_cells(report, tmp_path):
    cells = report.parent / "cells"
    subprocess.run([sys.executable, "-m", "scalarfid.report", str(cells), f"out={tmp_path}"], check=True, cwd=ROOT)
    assert [file.name for file in tables(tmp_path)] == [file.name for file in tables(report)]
    for file in tables(report):
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / file.name), pd.read_csv(file))
