"""Every trainable tensor is reached by the gradient; upstream has none that never moves."""

from __future__ import annotations

import checks
import pytest
import structures
from potentials import cases, fresh, tiny


@pytest.mark.parametrize(("backbone", "probe"), cases())
def test_two_adam_steps_move_every_trainable_tensor(backbone, probe):
    potential = fresh(backbone, probe)
    before = {name: p.detach().clone() for name, p in potential.named_parameters() if p.requires_grad}
    checks.step(potential, structures.mixed())
    still = [name for name, p in potential.named_parameters() if p.requires_grad and p.equal(before[name])]
    assert not still


@pytest.mark.parametrize("backbone", ["mace", "nequip", "allegro"])
def test_only_one_factor_of_a_probe_starts_at_zero(backbone):
    potential = tiny(backbone, "pan+pgs")
    zero = [name for name, p in potential.named_probe_parameters() if not p.any()]
    assert zero
    assert all(".last." in name for name in zero)
