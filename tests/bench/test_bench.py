"""The bench runs and its numbers hang together; the times themselves are nobody's promise."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from scalarfid.bench import __main__ as bench
from scalarfid.bench.timing import WARM_UP, interleaved, ratio

FOUND = {"wall": {"seconds": 1.5, "ratio": 0.9, "low": 0.8, "high": 1.0}, "taken": "2026-01-01 00:00", "load": 2.0}


def row(kind, case, **more):
    return {"row": kind, "case": case, "against": "upstream", "target": 1.0, **FOUND, **more}


def test_an_interval_holds_the_ratio_and_narrows_with_turns():
    rng = np.random.default_rng(1)
    few, many = (ratio(1.1 + 0.05 * rng.random(n), 1.0 + 0.05 * rng.random(n)) for n in (10, 1000))
    for found in (few, many):
        assert found["low"] <= found["ratio"] <= found["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]
    assert many["ratio"] == pytest.approx(1.098, abs=0.005)


def test_arms_take_turns():
    calls = []
    interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, 5, "")
    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert len(rounds) == 5 + WARM_UP
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds)
    assert len({tuple(turn) for turn in rounds}) > 1


def test_rows_that_are_not_measured_again_are_kept(tmp_path):
    path = tmp_path / "bench.json"
    bench.write(path, [row("epoch", "a"), row("calculator", "b")], "rows=epoch,calculator")
    bench.write(path, [row("calculator", "b", load=7.0), row("start", "a")], "rows=calculator")
    rows = json.loads(path.read_text())["rows"]
    assert [(r["row"], r["case"], r["load"]) for r in rows] == [
        ("epoch", "a", 2.0),
        ("start", "a", 2.0),
        ("calculator", "b", 7.0),
    ]
    table = path.with_suffix(".md").read_text()
    assert "×0.900 (0.800–1.000)" in table
    assert "rows=calculator" in table


def test_the_last_committed_ratio_stands_beside_the_new_one(tmp_path):
    path = tmp_path / "bench.json"
    bench.write(path, [row("epoch", "a")], "")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    bench.write(path, [row("epoch", "a", wall=FOUND["wall"] | {"ratio": 0.7})], "")
    (committed,) = bench._last_committed(path)
    new = bench.cells(row("epoch", "a"), {("epoch", "a"): committed})
    assert new[-1] == "committed: ×0.900 (0.800–1.000)"
    assert bench.cells(row("start", "a"), {})[-1] == "new"
    assert bench._last_committed(tmp_path / "elsewhere" / "bench.json") == []


@pytest.mark.parametrize("word", ["rows=epochs", "turn=3", "turns=many", "turns=0", "device=tpu", "device=cuda:99"])
def test_bad_words_are_one_line(word, tmp_path, capfd):
    assert bench.main([word, f"out={tmp_path / 'bench'}"]) == 2
    assert capfd.readouterr().err.count("error: ") == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("backbone", "compiled"), [("mace", False), ("nequip", True), ("allegro", False)])
def test_every_row_is_measured_and_written(backbone, compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "STARTS", 1)
    kinds = bench.DEFAULTS["rows"] if compiled else bench.DEFAULTS["rows"].replace("compiled,", "")
    words = [f"backbones={backbone}_tiny", f"probed={backbone}_tiny", "turns=2", f"out={tmp_path / 'bench'}"]
    words.append(f"rows={kinds}")
    assert bench.main(words) == 0
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert {r["row"] for r in rows} == set(bench.TITLES) - (set() if compiled else {"compiled"})
    assert any("compiled" in r["case"] for r in rows) == compiled
    assert all(r["wall"]["low"] <= r["wall"]["ratio"] <= r["wall"]["high"] for r in rows)
    (memory,) = (r["wall"]["bytes"] for r in rows if r["row"] == "memory")
    assert 1e8 < memory < 1e10
