"""The cost benchmark runs and its numbers hang together; the times themselves are nobody's promise."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "cost.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("cost", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def record(benchmark, tmp_path_factory):
    output = tmp_path_factory.mktemp("cost") / "cost"
    words = ["--backbones", "mace_tiny", "--probes", "pan+pgs", "mlp", "--graphs", "aspirin", "--steps", "3"]
    assert benchmark.main([*words, "--output", str(output)]) == 0
    return json.loads(output.with_suffix(".json").read_text()) | {"markdown": output.with_suffix(".md").read_text()}


def test_every_arm_has_parameters_flops_and_both_times(record):
    bare, probed, control = record["cost"]
    assert [row["probe"] for row in record["cost"]] == ["none", "pan+pgs", "mlp"]
    assert bare["probe_parameters"] == 0
    assert probed["probe_parameters"] == pytest.approx(control["probe_parameters"], rel=0.01)
    assert bare["parameters"] == probed["parameters"] == control["parameters"]
    for row in (probed, control):
        assert row["flops"] == row["matmul"] + row["elementwise"] > bare["flops"]
        for clock in ("wall", "processor"):
            assert min(row[kind][clock]["seconds"] for kind in ("inference", "training")) > 0


@pytest.mark.parametrize("backbone", ["mace_small", "nequip_small", "allegro_small"])
def test_controls_add_the_flops_of_their_probes_within_a_tenth_at_every_kind_of_site(benchmark, backbone):
    options = benchmark.parsed(["--graphs", "Ag64"])
    for row in benchmark.matching(backbone, "Ag64", benchmark.graphs(options.cutoff)["Ag64"], options):
        assert abs(row["d_flops"]) <= 0.1, row["site"]


def test_controls_have_the_parameters_of_their_probes_at_every_kind_of_site(record):
    assert {row["site"] for row in record["controls"]} == {"message", "edge", "readout"}
    assert all(abs(row["d_parameters"]) <= 0.01 for row in record["controls"])


def test_the_written_table_shows_every_arm(record):
    assert all(f"| {probe} |" in record["markdown"] for probe in ("none", "pan+pgs", "mlp"))


def test_graphs_are_those_of_the_definition(benchmark):
    graphs = benchmark.graphs(5.0)
    assert graphs["Ag64"].z.tolist() == [47] * 64
    assert sorted(graphs["aspirin"].z.tolist()) == [1] * 8 + [6] * 9 + [8] * 4
    assert bool(graphs["Ag64"].pbc.all())
    assert not bool(graphs["aspirin"].pbc.any())


def test_an_unknown_backbone_is_one_line(benchmark, capfd):
    assert benchmark.main(["--backbones", "maze"]) == 2
    assert capfd.readouterr().err.count("error: ") == 1
