"""The controls have as many parameters as what they control, per kind of site."""

from __future__ import annotations

import functools
from collections import Counter

import pytest
import torch
from omegaconf import DictConfig

import scalarfid
from scalarfid.config import compose
from scalarfid.probes import build_attachment
from scalarfid.sites import Sites

KINDS = {
    "SpectralBasis": "edge",
    "RadialFeatures": "edge",
    "MessageResidual": "edge",
    "MessageAmplitude": "message",
    "ESReadout": "readout",
    "ReadoutMLP": "readout",
}


@functools.cache
def sites(backbone: str) -> Sites:
    return scalarfid.build(backbone, elements=["H", "C", "O"]).backbone.sites


@functools.cache
def probe_config(probe: str) -> DictConfig:
    return compose([f"probe={probe}"]).probe


def sizes(backbone: str, probe: str) -> Counter:
    """Probe parameters per kind of site."""
    parts = build_attachment(probe_config(probe), sites(backbone), dtype=torch.float32, seed=0)
    counts = Counter()
    for module in (parts.edge, *parts.readouts, *(m for layer in parts.messages for m in layer)):
        if module is not None:
            counts[KINDS[type(module).__name__]] += sum(p.numel() for p in module.parameters())
    return counts


@pytest.mark.parametrize(("control", "probe"), [("mlp", "pan+pgs"), ("mlp_pan", "pan"), ("mlp_pgs", "pgs")])
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
