"""At one seed every arm has the same backbone, and building leaves no trace in the process."""

from __future__ import annotations

import os
import random

import e3nn
import numpy as np
import pytest
import torch
from potentials import BACKBONES, PROBES, build, tiny

from scalarfid.potential import is_probe


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_arm_has_bit_equal_backbone_weights(backbone):
    bare = tiny(backbone).native_state()
    probes = PROBES[1:] if backbone == "mace" else ("pan+pgs", "mlp")
    for probe in probes:
        state = tiny(backbone, probe).native_state()
        assert list(state) == list(bare)
        assert all(torch.equal(state[key], bare[key]) for key in bare)


PARTS = {
    "ESReadout": ("pgs_readout", "pgs", "pan+pgs"),
    "SpectralBasis": ("pgs_edge", "pgs", "pan+pgs"),
    "MessageAmplitude": ("pan", "pan+pgs"),
    "ReadoutMLP": ("mlp_readout", "mlp_pgs", "mlp"),
    "RadialFeatures": ("mlp_edge", "mlp_pgs", "mlp"),
}


@pytest.mark.parametrize(("part", "sets"), PARTS.items(), ids=PARTS)
def test_a_part_starts_equal_in_every_set_that_has_it(part, sets):
    states = []
    for probe in sets:
        modules = [m for m in tiny("mace", probe).modules() if type(m).__name__ == part]
        states.append([value for m in modules for value in m.state_dict().values()])
    assert states[0]
    for other in states[1:]:
        assert all(torch.equal(a, b) for a, b in zip(states[0], other, strict=True))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_seeds_differ_and_a_seed_repeats(backbone):
    first = tiny(backbone, "pan+pgs").state_dict()
    again, other = (build(f"{backbone}_tiny", "pan+pgs", seed=seed).state_dict() for seed in (0, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    changed = {is_probe(key) for key in first if not torch.equal(first[key], other[key])}
    assert changed == {True, False}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_weights_do_not_depend_on_the_default_dtype_of_the_process(backbone):
    expected = tiny(backbone, "pan+pgs")
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        found = build(f"{backbone}_tiny", "pan+pgs")
    finally:
        torch.set_default_dtype(before)
    for (name, a), (_, b) in zip(expected.named_parameters(), found.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    for (name, a), (_, b) in zip(expected.named_buffers(), found.named_buffers(), strict=True):
        assert torch.equal(a, b), name


def snapshot():
    """Everything of the process that upstream is known to change."""
    return {
        "dtype": torch.get_default_dtype(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002 - the global generator is meant
        "python": random.getstate(),
        "environment": dict(os.environ),
        "e3nn": e3nn.get_optimization_defaults(),
        "sharing": torch.multiprocessing.get_sharing_strategy(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
    }


@pytest.mark.parametrize("backbone", BACKBONES)
def test_building_leaves_the_process_as_it_was(backbone):
    random.seed(11)
    np.random.seed(12)  # noqa: NPY002
    torch.manual_seed(13)
    before = snapshot()
    build(f"{backbone}_tiny", "pan+pgs")
    assert snapshot() == before
