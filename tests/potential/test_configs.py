"""Every configuration file builds, and what cannot be built says so in one line."""

from __future__ import annotations

from pathlib import Path

import checks
import pytest
import structures
from potentials import BACKBONES, PROBES, build, tiny

import scalarfid
from scalarfid import Potential, ScalarFidError

CONF = Path(__file__).parents[2] / "conf"
SIZES = tuple(path.stem for path in sorted((CONF / "backbone").glob("*.yaml")))


def test_these_tests_know_every_configuration_file():
    assert set(SIZES) == {f"{name}{size}" for name in BACKBONES for size in ("", "_small", "_tiny")}
    assert {path.stem for path in (CONF / "probe").glob("*.yaml")} == set(PROBES)


def default(backbone: str, probe: str) -> bool:
    return backbone.endswith("_small") and probe == "pan+pgs"


PRODUCT = [
    pytest.param(b, p, id=f"{b}-{p}", marks=() if default(b, p) else pytest.mark.slow) for b in SIZES for p in PROBES
]


@pytest.mark.parametrize(("backbone", "probe"), PRODUCT)
def test_every_backbone_and_probe_file_builds_and_runs(backbone, probe):
    potential = scalarfid.build(backbone, probe, ["C", "H", "O"])
    assert potential.config["backbone"]["name"] == backbone.split("_")[0]
    assert potential.config["probe"]["name"] == probe
    assert potential.elements == [1, 6, 8]
    assert potential.zbl is not None
    forces = checks.evaluate(potential, structures.molecule(5.0))["forces"]
    assert forces.any()


def test_e0_scale_and_coordination_reach_the_potential_by_symbol_or_number():
    potential = build("mace_tiny", "pan", e0={"C": -3.0, 8: -4.0}, scale=2.0, mean_coordination={"C": 3.0})
    assert potential.e0.tolist() == [0, -3, -4, 0]
    assert float(potential.scale) == 2
    assert potential.backbone.edge_slot.coordination.mean.tolist() == [1, 3, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "mase_tiny"}, "mase_tiny"),
        ({"probe": "plan"}, "plan"),
        ({"elements": []}, "No elements given"),
        ({"elements": ["Xy"]}, "Unknown element 'Xy'"),
        ({"e0": {"Qq": 1.0}}, "Unknown element 'Qq'"),
        ({"dtype": "float16"}, "float16"),
        ({"overrides": ("probe.pan.hiden=3",), "probe": "pan"}, "hiden"),
        ({"overrides": ("backbone.chanels=3",)}, "chanels"),
        ({"overrides": ("+backbone.chanels=3",)}, "chanels"),
        ({"overrides": ("+probe.pann={}",)}, "pann"),
        ({"overrides": ("backbone.channels=-3",)}, "backbone.channels=-3 is not a size; give a whole number from 1"),
        ({"overrides": ("backbone.num_layers=0",)}, "num_layers=0"),
        ({"overrides": ("backbone.radial_mlp=64",)}, "radial_mlp=64"),
        ({"backbone": "nequip_tiny", "overrides": ("backbone.parity=3",)}, "parity=3"),
        (
            {"overrides": ("probe.pan.hidden=0",), "probe": "pan"},
            "hidden=0 is out of range; give a whole number from 1",
        ),
        ({"overrides": ("probe.pgs_edge.num_bessel=-3",), "probe": "pgs"}, "num_bessel=-3"),
        ({"overrides": ("probe.pan.coordination=7",), "probe": "pan"}, "coordination=7"),
        ({"overrides": ("probe.pgs_readout.beta=0",), "probe": "pgs"}, "beta=0"),
        ({"overrides": ("probe.pgs_readout.atom=3",), "probe": "pgs"}, "atom=3"),
        ({"overrides": ("probe.pgs_readout.atom={channels: 0, centres: 4}",), "probe": "pgs"}, "channels (at least 1)"),
        ({"overrides": ("model.coordination.switch=bonds",), "probe": "pan"}, "bonds"),
        ({"overrides": ("model.coordination.of=neighbours",), "probe": "pan"}, "neighbours"),
        ({"cutoff": -1.0}, "cutoff"),
        ({"elements": [0]}, "0"),
        ({"elements": [500]}, "500"),
        ({"mean_neighbours": 0.0}, "mean_neighbours"),
        ({"scale": float("nan")}, "scale=nan must be positive and finite"),
        ({"seed": -1}, "seed=-1"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_one_line_with_the_value(change, message):
    with pytest.raises(ScalarFidError) as caught:
        build(**{"backbone": "mace_tiny", "probe": "none", **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["backbone", "elements", "seed"])
def test_an_incomplete_configuration_names_what_is_missing(key):
    config = dict(tiny("mace").config)
    config.pop(key)
    with pytest.raises(ScalarFidError, match=f"misses {key}"):
        Potential.from_config(config)


@pytest.mark.parametrize("part", ["pgs_readout", "mlp_readout"])
def test_a_potential_saved_before_readouts_had_a_gain_is_what_it_was(part):
    probe = {"pgs_readout": "pgs", "mlp_readout": "mlp_pgs"}[part]
    potential = build(probe=probe)
    checks.step(potential, [structures.molecule()])
    options = potential.config["probe"]
    before = {key: value for key, value in options[part].items() if key != "gain"}
    old = Potential.from_config({**potential.config, "probe": {**options, part: before}})
    old.load_state_dict(potential.state_dict())
    checks.check_equal(checks.evaluate(old, structures.molecule()), checks.evaluate(potential, structures.molecule()))
