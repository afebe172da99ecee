"""The controls have as many parameters as what they control, per kind of site."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter

import pytest
import torch
from omegaconf import DictConfig

import scalarfid
from scalarfid.config import compose
from scalarfid.errors import ScalarFidError
from scalarfid.probes import build_attachment
from scalarfid.results.groups import CONTROLS
from scalarfid.sites import MessageSite, Sites

KINDS = {
    "SpectralBasis": "edge",
    "RadialFeatures": "edge",
    "MessageResidual": "edge",
    "FeatureResidual": "edge",
    "MessageAmplitude": "message",
    "ESReadout": "readout",
    "ReadoutMLP": "readout",
}


@functools.cache
def sites(backbone: str) -> Sites:
    return scalarfid.build(backbone, elements=["H", "C", "O"]).backbone.sites


@functools.cache
def probe_config(*words: str) -> DictConfig:
    return compose(words).probe


def sizes(backbone: str, probe: str, *options: str) -> Counter:
    """Probe parameters per kind of site."""
    parts = build_attachment(probe_config(f"probe={probe}", *options), sites(backbone), dtype=torch.float32, seed=0)
    counts = Counter()
    for module in (parts.edge, *parts.readouts, *(m for layer in parts.messages for m in layer)):
        if module is not None:
            counts[KINDS[type(module).__name__]] += sum(p.numel() for p in module.parameters())
    return counts


@pytest.mark.parametrize(("probe", "control"), CONTROLS.items())
@pytest.mark.parametrize(
    "backbone",
    ["mace_small", "nequip_small", "allegro_small"]
    + [pytest.param(b, marks=pytest.mark.slow) for b in ("mace", "nequip", "allegro")],
)
def test_controls_match_their_probe_within_a_percent_per_site(backbone, control, probe):
    ours, theirs = sizes(backbone, probe), sizes(backbone, control)
    assert ours.keys() == theirs.keys()
    for kind, count in ours.items():
        assert theirs[kind] == pytest.approx(count, rel=0.01), kind


@pytest.mark.parametrize("paths", ["tensor", "weights", "all"])
@pytest.mark.parametrize("backbone", ["mace_small", "nequip_small", "allegro_small"])
def test_the_control_follows_its_probe_to_other_paths_and_is_off_by_the_frequencies_at_most(backbone, paths):
    ours = sizes(backbone, "pgs_edge", f"probe.pgs_edge.paths={paths}")["edge"]
    theirs = sizes(backbone, "mlp_edge", f"probe.mlp_edge.paths={paths}")["edge"]
    assert theirs != sizes(backbone, "mlp_edge")["edge"]
    assert abs(ours - theirs) <= compose(["probe=pgs_edge"]).probe.pgs_edge.num_fourier


def test_the_form_of_the_snapshot_has_no_control():
    config = probe_config("probe=mlp_edge", "probe.mlp_edge.form=public2025")
    with pytest.raises(ScalarFidError, match="form='public2025' is not one of residual"):
        build_attachment(config, sites("mace_small"), dtype=torch.float32, seed=0)


def test_paths_that_a_backbone_does_not_have_are_refused():
    site = MessageSite(layer=0, mask=(True,) * 8, paths=(8,))
    scalar_only = dataclasses.replace(sites("mace_small"), messages=(site,))
    config = probe_config("probe=pgs_edge", "probe.pgs_edge.paths=tensor")
    with pytest.raises(ScalarFidError, match="paths=tensor adds to messages that this backbone does not have"):
        build_attachment(config, scalar_only, dtype=torch.float32, seed=0)
