"""Tiny potentials for tests, each built once per session, and the list of cases the contracts run over."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch
from structures import CUTOFF

import scalarfid
from scalarfid.potential import Potential

BACKBONES = ("mace", "nequip", "allegro")
PROBES = (
    "none", "pan", "pgs_edge", "pgs_readout", "pgs", "pan+pgs", "mlp", "mlp_pan", "mlp_edge", "mlp_readout", "mlp_pgs",
)  # fmt: skip
CORE = ("none", "pan+pgs", "mlp")
ELEMENTS = ("H", "C", "O", "Si")
MEAN_COORDINATION = {"H": 1.0, "C": 3.5, "O": 1.7, "Si": 4.2}

# The options that keep every contract; each is proved on MACE.
OPTIONS = {
    "pan-path": ("pan", ("probe.pan.per=path",)),
    "pan-channel": ("pan", ("probe.pan.per=channel",)),
    "pan-alone": ("pan", ("probe.pan.coordination=false",)),
    "pan-wide": ("pan", ("probe.pan.hidden=24",)),
    "pgs-tensor": ("pgs_edge", ("probe.pgs_edge.paths=tensor",)),
    "pgs-weights": ("pgs_edge", ("probe.pgs_edge.paths=weights",)),
    "pgs-all": ("pgs_edge", ("probe.pgs_edge.paths=all",)),
    "mlp-all": ("mlp_edge", ("probe.mlp_edge.paths=all",)),
    "pgs-sizes": ("pgs_edge", ("probe.pgs_edge.num_bessel=3", "probe.pgs_edge.num_fourier=2")),
    "readout-sizes": ("pgs_readout", ("probe.pgs_readout.atom={channels: 3, centres: 5}",)),
    "readout-blunt": ("pgs_readout", ("probe.pgs_readout.beta=5.0",)),
    "readout-gain": ("pgs_readout", ("probe.pgs_readout.gain=0.25",)),
    "count-cutoff": ("pan+pgs", ("model.coordination.switch=cutoff",)),
    "count-both": ("pan+pgs", ("model.coordination.of=both",)),
    "all-parts": ("pan+pgs", ("probe.pgs_edge.paths=all", "probe.pan.per=channel")),
}


def cases(probes: tuple[str, ...] = PROBES) -> list[Any]:
    """(backbone, probe): the core probes on every backbone and all of them on MACE by default, the rest slow."""
    return [
        pytest.param(b, p, id=f"{b}-{p}", marks=() if p in CORE or b == "mace" else pytest.mark.slow)
        for b in BACKBONES
        for p in probes
    ]


def options() -> list[Any]:
    """(probe, overrides) of every option; those that change more than a size run by default."""
    default = {"pan-channel", "pgs-all", "mlp-all", "count-cutoff", "count-both"}
    return [
        pytest.param(*value, id=name, marks=() if name in default else pytest.mark.slow)
        for name, value in OPTIONS.items()
    ]


def build(backbone: str = "mace_tiny", probe: str = "none", **options: Any) -> Potential:
    """A new potential over H, C, O, Si with r_c = 4 Å, float64, without ZBL and with E0 = 0 unless asked."""
    defaults = {
        "elements": ELEMENTS,
        "cutoff": CUTOFF,
        "dtype": "float64",
        "zbl": False,
        "mean_neighbours": 12.0,
        "mean_coordination": MEAN_COORDINATION,
    }
    return scalarfid.build(backbone, probe, **{**defaults, **options})


def tiny(backbone: str, probe: str = "none", **options: Any) -> Potential:
    """The potential of a ``_tiny`` preset, built once; ``perturbed=True`` moves its probe away from the identity."""
    return _once(backbone, probe, tuple(sorted(options.items())))


@functools.cache
def _once(backbone: str, probe: str, options: tuple[tuple[str, Any], ...]) -> Potential:
    if ("perturbed", True) in options:
        return perturb(copy.deepcopy(_once(backbone, probe, tuple(o for o in options if o[0] != "perturbed"))))
    return build(f"{backbone}_tiny", probe, **dict(options))


def fresh(backbone: str, probe: str = "none", **options: Any) -> Potential:
    """A copy of :func:`tiny`'s potential, to change at will; copying is much quicker than building."""
    return copy.deepcopy(tiny(backbone, probe, **options))


def perturb(potential: Potential, amplitude: float = 0.5, seed: int = 7) -> Potential:
    """Add seeded normal noise to every probe parameter, in place: half of a usual initialisation, 1/√(fan-in)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in potential.named_probe_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(amplitude * parameter.shape[-1] ** -0.5 * noise)
    return potential
