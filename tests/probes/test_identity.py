"""Probes start as the identity, act once moved, and the published forms do neither."""

from __future__ import annotations

import checks
import pytest
import structures
import torch
from potentials import BACKBONES, PROBES, build, cases, tiny


@pytest.mark.parametrize(("backbone", "probe"), cases(PROBES[1:]))
def test_a_probe_at_initialisation_is_bit_equal_to_none(backbone, probe):
    bare, probed = tiny(backbone), tiny(backbone, probe)
    assert probed.strict
    checks.check_equal(checks.evaluate(probed, *structures.mixed()), checks.evaluate(bare, *structures.mixed()))


@pytest.mark.parametrize("probe", ["pan+pgs", "mlp"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_so_it_is_in_float32(backbone, probe):
    bare, probed = tiny(backbone, dtype="float32"), tiny(backbone, probe, dtype="float32")
    checks.check_equal(checks.evaluate(probed, *structures.mixed()), checks.evaluate(bare, *structures.mixed()))


@pytest.mark.parametrize(("backbone", "probe"), cases(PROBES[1:]))
def test_a_probe_that_has_moved_changes_energy_and_forces(backbone, probe):
    bare = checks.evaluate(tiny(backbone), *structures.mixed())
    moved = checks.evaluate(tiny(backbone, probe, perturbed=True), *structures.mixed())
    for key in bare:
        assert checks.largest(moved[key] - bare[key]) > 1e-3 * checks.largest(bare[key])


@pytest.mark.parametrize("override", ["probe.pan.gate=sigmoid", "probe.pgs_edge.form=public2025"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_published_forms_are_not_the_identity_and_say_so(backbone, override, caplog):
    potential = build(f"{backbone}_tiny", "pan+pgs", overrides=(override,))
    assert not potential.strict
    assert "not the identity at the start" in caplog.text
    with pytest.raises(AssertionError, match="energy differs"):
        checks.check_equal(
            checks.evaluate(potential, structures.crystal()), checks.evaluate(tiny(backbone), structures.crystal())
        )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_published_edge_form_jumps_at_the_cutoff(backbone):
    potential = tiny(backbone, "pgs_edge", overrides=("probe.pgs_edge.form=public2025",))
    with pytest.raises(AssertionError, match="the energy jumps by"):
        checks.check_cutoff(potential, structures.leaving_pair)
    jump, _ = checks.crossing(potential, structures.leaving_pair)
    assert jump > 1e-5, "expected a jump of some 0.1 to 100 meV"


def test_the_published_gate_halves_the_messages_at_the_start():
    potential = tiny("mace", "pan", overrides=("probe.pan.gate=sigmoid",))
    ratio = []
    for bare, gated in zip(*(first_messages(p)[0] for p in (tiny("mace"), potential)), strict=True):
        ratio.append((gated / bare)[bare.abs() > 1e-6])
    ratio = torch.cat(ratio)
    assert float(ratio.min()) > 0.2
    assert float(ratio.max()) < 0.8


def first_messages(potential):
    """Messages of the first layer on the crystal, as ([l = 0 blocks], [l > 0 blocks]), before the sum."""
    model, seen = potential.backbone.model, []
    name = potential.config["backbone"]["name"]
    if name == "mace":
        module = model.interactions[0].conv_tp
    elif name == "nequip":
        module = potential.backbone.layers[0].tp_scatter.tp
    else:
        module = potential.backbone.sequence.allegro._env_weighter
    handle = module.register_forward_hook(lambda _module, _args, output: seen.append(output.detach()))
    checks.evaluate(potential, structures.crystal())
    handle.remove()
    if name == "allegro":  # [edges, channels, (l_max + 1)²]
        return [seen[0][:, :, 0]], [seen[0][:, :, 1:]]
    blocks = [
        (seen[0][:, span], ir.l) for span, (_, ir) in zip(module.irreps_out.slices(), module.irreps_out, strict=True)
    ]
    return [m for m, degree in blocks if degree == 0], [m for m, degree in blocks if degree > 0]


@pytest.mark.parametrize("probe", ["pan", "pgs_edge", "mlp_pan", "pan+pgs", "mlp"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_messages_of_higher_degree_are_bitwise_untouched(backbone, probe):
    bare_scalar, bare_tensor = first_messages(tiny(backbone))
    scalar, tensor = first_messages(tiny(backbone, probe, perturbed=True))
    assert bare_tensor
    assert all(torch.equal(a, b) for a, b in zip(tensor, bare_tensor, strict=True))
    assert all(checks.largest(a - b) > 1e-3 * checks.largest(b) for a, b in zip(scalar, bare_scalar, strict=True))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("part", ["pgs_edge", "mlp_edge"])
def test_of_tensor_paths_it_changes_messages_of_higher_degree_alone(backbone, part):
    bare_scalar, bare_tensor = first_messages(tiny(backbone))
    overrides = (f"probe.{part}.paths=tensor",)
    scalar, tensor = first_messages(tiny(backbone, part, perturbed=True, overrides=overrides))
    assert all(torch.equal(a, b) for a, b in zip(scalar, bare_scalar, strict=True))
    assert all(checks.largest(a - b) > 0 for a, b in zip(tensor, bare_tensor, strict=True))


@pytest.mark.parametrize("paths", ["weights", "all"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_spectral_features_for_all_paths_change_messages_of_every_degree(backbone, paths):
    potential = tiny(backbone, "pgs_edge", perturbed=True, overrides=(f"probe.pgs_edge.paths={paths}",))
    for bare, probed in zip(first_messages(tiny(backbone)), first_messages(potential), strict=True):
        assert all(checks.largest(a - b) > 0 for a, b in zip(bare, probed, strict=True))
