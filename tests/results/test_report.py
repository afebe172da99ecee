"""``python -m scalarfid.report``: what it writes follows from the raw numbers, and says what it is made of."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from results.sweeps import ARMS, SEEDS, cell, copy_sweep, edit, rows

from scalarfid.report import main
from scalarfid.results import writing
from scalarfid.results.rendering import tex
from scalarfid.results.writing import write_report

FILES = {"report.html", "report.md", "report.tex", "cells.csv", "comparisons.csv", "figures"}
ROOT = Path(__file__).resolve().parents[2]


def test_the_command_writes_every_file_and_ends_with_the_page(sweep, tmp_path, capsys):
    folder = copy_sweep(sweep, tmp_path / "runs")
    assert main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "pan+pgs" in printed
    assert printed.splitlines()[-1] == str(folder / "report" / "report.html")
    assert {path.name for path in (folder / "report").iterdir()} == FILES


def test_summaries_kept_as_files_in_one_folder_give_the_same_tables(sweep, reported, tmp_path):
    for i, file in enumerate(sorted(sweep.glob("*/summary.json"))):
        (tmp_path / f"{i}.summary.json").write_bytes(file.read_bytes())
    assert main([str(tmp_path), f"out={tmp_path / 'out'}"]) == 0
    for name in ("cells.csv", "comparisons.csv"):
        assert (tmp_path / "out" / name).read_text() == (reported / name).read_text()


def raw(folder):
    """{(arm, metric): values by seed} on the test frames, from cells.csv."""
    values = {}
    for row in rows(folder / "cells.csv"):
        if row["split"] == "test" and row["compared"] == "yes" and not row["bin"]:
            values.setdefault((row["arm"], row["metric"]), {})[int(row["seed"])] = float(row["value"])
    return {key: np.array([found[seed] for seed in sorted(found)]) for key, found in values.items()}


def test_comparisons_follow_from_the_raw_cells_by_an_independent_calculation(reported):
    values, table = raw(reported), rows(reported / "comparisons.csv")
    assert len(table) == 6  # two labels; pan+pgs against none and mlp, mlp against none
    p_values = []
    for row in table:
        arm, reference = values[row["arm"], row["metric"]], values[row["reference"], row["metric"]]
        change = 100 * (arm / reference - 1)
        error = change.std(ddof=1) / math.sqrt(3)
        # Student's t with two degrees of freedom has a closed form: F(t) = (1 + t/√(2 + t²))/2.
        half = 0.95 * math.sqrt(2 / (1 - 0.95**2)) * error
        t = abs(change.mean()) / error
        p_values.append(1 - t / math.sqrt(2 + t * t))
        assert [float(x) for x in row["changes_percent"].split()] == pytest.approx(list(change))
        expected = [change.mean(), change.mean() - half, change.mean() + half, p_values[-1]]
        assert [float(row[k]) for k in ("change_percent", "low_percent", "high_percent", "p")] == pytest.approx(
            expected
        )
        assert float(row["arm_mean"]) == pytest.approx(arm.mean())
    adjusted, largest = {}, 0.0
    for rank, i in enumerate(sorted(range(6), key=p_values.__getitem__)):
        largest = adjusted[i] = max(largest, min(1.0, (6 - rank) * p_values[i]))
    for i, row in enumerate(table):
        told = "improves" if float(row["change_percent"]) < 0 else "worse"
        assert float(row["p_holm"]) == pytest.approx(adjusted[i])
        assert row["verdict"] == (told if adjusted[i] < 0.05 else "cannot tell")


def test_the_tables_show_the_raw_numbers_in_mev(reported):
    values, text = raw(reported), (reported / "report.md").read_text()
    for arm in ARMS:
        mae = 1000 * values[arm, "forces_mae"]
        line = next(line for line in text.splitlines() if line.startswith(f"| test | {arm} |"))
        shown = [float(x) for x in line.split("|")[6].split(" ± ")]
        assert shown == pytest.approx([mae.mean(), mae.std(ddof=1)], abs=0.51)
    mean = 1000 * values["none", "mean_predictor.forces_mae"][0]
    line = next(line for line in text.splitlines() if line.startswith("| test | mean predictor |"))
    assert float(line.split("|")[6]) == pytest.approx(mean, abs=0.51)
    for row in rows(reported / "comparisons.csv"):
        for seed, change in zip(SEEDS, row["changes_percent"].split(), strict=True):
            assert f"s{seed} {float(change):+.1f}".replace("-", "−") in text


def test_the_caption_says_what_varied_and_what_was_fixed(sweep, reported):
    text = (reported / "report.md").read_text()
    record = next(row for row in rows(reported / "cells.csv"))
    assert "Varied: the seed (0, 1, 2)" in text
    for part in (
        record["split_fingerprint"][:12],
        "cutoff 3.5 Å",
        "3 epochs",
        "over the 6 rows",
        "Not flat",
        "torch 2.",
    ):
        assert part in text
    assert "−27.0 … −22.0" in text
    assert "arXiv 2606.15892" in text


def test_figures_are_the_same_for_the_same_summaries_and_older_ones_go(sweep, reported, tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("9-curve-forces.svg", "mine.svg"):
        (tmp_path / "figures" / name).write_text("older")
    assert main([str(sweep), f"out={tmp_path}"]) == 0
    figures = sorted(path.name for path in (reported / "figures").iterdir())
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [*figures, "mine.svg"]
    kinds = ("change", "error", "curve", "cost", "by-coordination", "by-nearest_neighbour", "by-element")
    assert all(any(kind in name for name in figures) for kind in kinds)
    for name in figures:
        assert (tmp_path / "figures" / name).read_bytes() == (reported / "figures" / name).read_bytes()


def test_several_test_splits_have_rows_and_figures_of_their_own(sweep, tmp_path):
    folder = copy_sweep(sweep, tmp_path / "runs")
    for probe in ARMS:
        for seed in SEEDS:
            file = cell(folder, probe, seed)
            errors = {"forces_mae": 0.1 + 0.01 * seed + 0.001 * len(probe) * seed}
            edit(file, {"metrics.test_600K": errors, "mean_predictor.test_600K": {"forces_mae": 1.0}})
    assert main([str(folder)]) == 0
    table = rows(folder / "report" / "comparisons.csv")
    assert [row["split"] for row in table].count("test_600K") == 3
    assert "over the 9 rows" in (folder / "report" / "report.md").read_text()
    assert (folder / "report" / "figures" / "1-test_600K-error-forces.svg").is_file()


def test_latex_is_ascii_with_balanced_braces_and_full_rows(reported):
    text = (reported / "report.tex").read_text(encoding="ascii")
    assert "?" not in text
    plain = re.sub(r"\\[\\{}%&_#$]", "", text)
    assert plain.count("{") == plain.count("}")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\toprule") >= 4
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}


def test_latex_empties_its_list_of_floats_before_it_is_full(reported):
    text = (reported / "report.tex").read_text(encoding="ascii")
    between = [part.count(r"\begin{table}[htbp]") for part in text.split(r"\clearpage")]
    assert sum(between) == text.count(r"\begin{table}")
    assert max(between) < 18  # of older LaTeX
    assert between[-1] == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on PATH")
def test_latex_compiles_a_report_of_many_groups(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "pictures", lambda *_: [])
    for i, title in enumerate(("A_1", "B & C", "Si 50 %", *"DEFGH")):
        copied = copy_sweep(sweep, tmp_path / "runs" / str(i))
        for file in copied.glob("*/summary.json"):
            edit(file, {"dataset_title": title})
    out = write_report([tmp_path / "runs"], tmp_path / "out").page.parent
    packages = r"\usepackage[a4paper,margin=2cm]{geometry}\usepackage{booktabs}\usepackage{graphicx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}\input{{report}}\end{{document}}"
    (out / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "unprocessed floats" not in done.stdout
    assert (out / "paper.pdf").stat().st_size > 10_000


def test_every_compared_row_has_its_hashes(sweep, reported):
    text = (reported / "report.md").read_text()
    table = text.partition("### Configuration hashes by arm and seed\n\n")[2].partition("\n\n")[0]
    cells = [[word.strip() for word in line.split("|")[1:-1]] for line in table.splitlines()]
    found = {arm: hashes for arm, *hashes in cells}
    assert found["arm"] == [f"s{seed}" for seed in SEEDS]
    page = (reported / "report.html").read_text()
    for arm in ARMS:
        hashes = [json.loads(cell(sweep, arm, seed).read_text())["hash"] for seed in SEEDS]
        assert found[arm] == hashes
        assert all(page.count(each) >= 2 for each in hashes)


def test_latex_escapes_what_it_must():
    assert tex("50 % of a_b & c#") == r"50 \% of a\_b \& c\#"
    assert tex("−1 meV/Å³ ± 2") == r"$-$1 meV/\AA{}\textsuperscript{3} $\pm$ 2"


def test_a_wheel_holds_the_templates(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "results/templates" in name}
    assert packed == {"report.html.jinja", "report.md.jinja", "report.tex.jinja", "report.css"}


def test_help_says_what_the_words_mean(capsys):
    assert main(["--help"]) == 0
    assert "comparisons.csv" in capsys.readouterr().out


@pytest.fixture
def places(sweep, tmp_path, monkeypatch):
    """Work where there are a whole sweep, an empty one, a broken one, and one of something else."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("README.md").write_text("# Runs")
    copy_sweep(sweep, Path("whole"))
    for name, text in (("broken", "{"), ("other", "{}")):
        Path(name).mkdir()
        Path(name, "summary.json").write_text(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No runs; give a folder"),
        (["nowhere"], "nowhere: it does not exist"),
        (["runs", "inn=x"], "Cannot use 'inn=x'"),
        (["runs", "out="], "Cannot use 'out='"),
        (["runs"], "no run there has finished"),
        (["whole", "README.md"], "README.md is no summary.json; give run directories or a folder of them"),
        (["broken"], "is not JSON"),
        (["other"], "has no 'backbone'"),
        (["whole", "out=broken/summary.json/x"], "Cannot write"),
    ],
)
def test_bad_input_is_one_line_and_status_two(places, capfd, words, message):
    assert main(words) == 2
    captured = capfd.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert captured.out == ""
