"""The controls have as many parameters as what they control, per kind of site."""

from __future__ import annotations

from collections import Counter

import pytest

import scalarfid

KINDS = {
    "SpectralBasis": "edge",
    "RadialFeatures": "edge",
    "MessageResidual": "edge",
    "MessageAmplitude": "message",
    "ESReadout": "readout",
    "ReadoutMLP": "readout",
}


def sizes(backbone: str, probe: str) -> Counter:
    """Probe parameters per kind of site."""
    potential = scalarfid.build(backbone, probe, elements=["H", "C", "O"])
    counts = Counter()
    for module in potential.modules():
        if type(module).__name__ in KINDS:
            counts[KINDS[type(module).__name__]] += sum(p.numel() for p in module.parameters())
    assert counts.total() == sum(p.numel() for _, p in potential.named_probe_parameters()), "a part was not counted"
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
