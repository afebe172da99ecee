"""The spectral edge features and the tapered ES expansion."""

from __future__ import annotations

import math

import checks
import numpy as np
import pytest
import structures
import torch
from potentials import BACKBONES, build, perturb, tiny

import scalarfid.backbones.nequip_family
from scalarfid import ScalarFidError
from scalarfid.backbones.nequip_family import ReadoutModule
from scalarfid.probes.pgs_edge import PGSEdgeOptions, SpectralBasis
from scalarfid.probes.pgs_readout import ESReadout, es_window
from scalarfid.sites import EdgeSite, EdgeState, window


def psi(x: torch.Tensor, beta: float = 9.2) -> torch.Tensor:
    """ψ(x) by the window."""
    return es_window(beta**2 * (1 - x**2)) * math.exp(-beta) / beta**8


def derivatives(x: float, order: int, beta: float = 9.2) -> list[float]:
    """ψ and its derivatives at x by automatic differentiation."""
    value = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y, out = psi(value, beta), []
    for _ in range(order):
        out.append(y.item())
        (y,) = torch.autograd.grad(y, value, create_graph=True)
    return [*out, y.item()]


def test_the_window_is_the_formula_inside_and_zero_outside():
    x = torch.linspace(-1.5, 1.5, 301, dtype=torch.float64)
    inside = np.abs(x.numpy()) < 1
    root = np.sqrt(np.where(inside, 1 - x.numpy() ** 2, 0))
    assert np.allclose(psi(x), np.where(inside, np.exp(9.2 * (root - 1)) * root**8, 0), atol=1e-15)


def test_the_window_is_three_times_continuously_differentiable_at_its_ends():
    for side in (-1, 1):
        inside, outside = derivatives(side * (1 - 1e-9), 3), derivatives(side * (1 + 1e-9), 3)
        assert outside == [0, 0, 0, 0]
        assert inside == pytest.approx(outside, abs=1e-6)
    # One derivative more jumps: the statement is sharp.
    assert abs(derivatives(1 - 1e-9, 4)[4]) > 1e-2


def test_finite_differences_cross_the_end_of_the_window():
    h = 1e-3
    x = 1 + h * torch.arange(-3, 4, dtype=torch.float64)
    third = torch.diff(psi(x), n=3) / h**3
    assert float(third.abs().max()) < 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_derivative_is_nan_at_exactly_one_or_next_to_it(dtype):
    one = torch.tensor(1.0, dtype=dtype)
    points = [one, -one, torch.nextafter(one, one * 0), torch.nextafter(one, one * 2), one * 0, one * 1e6]
    x = torch.stack(points).requires_grad_()
    (first,) = torch.autograd.grad(psi(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    for y in (first, second, third):
        assert torch.isfinite(y).all()


def perturbed_readout(gain: float = 1.0) -> ESReadout:
    from scalarfid.sites import ReadoutSite

    torch.manual_seed(0)
    module = ESReadout(ReadoutSite(6, "atom"), channels=3, centres=5, beta=9.2, gain=gain).double()
    torch.nn.init.normal_(module.last.weight)
    return module


def test_the_expansion_vanishes_where_the_features_do():
    s, q = torch.zeros(4, 6, dtype=torch.float64), torch.full((4, 1), 0.7, dtype=torch.float64)
    module = perturbed_readout()
    assert torch.allclose(module(s, q), s, rtol=0, atol=1e-15)
    assert not torch.allclose(module(s + 0.3, q), s + 0.3)


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_the_expansion_is_the_published_sum_times_the_window_and_the_gain(gain):
    module = perturbed_readout(gain=gain)
    s, q = torch.randn(4, 6, dtype=torch.float64), torch.rand(4, 1, dtype=torch.float64)
    z = np.tanh(s.numpy() @ module.project.weight.detach().numpy().T)
    mu, w = np.linspace(-1, 1, 5), 1.0  # two grid steps of ½

    def expanded(z: np.ndarray) -> np.ndarray:
        x = (z[..., None] - mu) / w
        root = np.sqrt(np.clip(1 - x**2, 0, None))
        return (np.exp(9.2 * (root - 1)) * root**8 * (np.abs(x) < 1)).reshape(len(z), -1)

    delta = (expanded(z) - expanded(0 * z)) @ module.last.weight.detach().numpy().T
    assert np.allclose(module(s, q).detach(), s + gain * q * delta, atol=1e-12)
    assert torch.equal(module(s, 0 * q), s)


def spectral_columns(r: torch.Tensor) -> tuple[SpectralBasis, torch.Tensor]:
    torch.manual_seed(0)
    site = EdgeSite(num_features=8, num_bessel=8, num_species=1, cutoff=4.0, envelope_power=5.0)
    basis = SpectralBasis(site, PGSEdgeOptions(num_bessel=3, num_fourier=2, paths="l0", form="residual")).double()
    e, u = torch.ones(len(r), 8, dtype=torch.float64), r[:, None] / 4.0
    envelope = (1 - 21 * u**5 + 35 * u**6 - 15 * u**7) * (u < 1)
    return basis, basis(EdgeState(e, e, r[:, None], envelope, e[:, :0])).detach()


def test_the_spectral_columns_continue_the_backbones_bessels():
    r = torch.linspace(0.5, 3.9, 18, dtype=torch.float64)
    basis, found = spectral_columns(r)
    u, x = r.numpy() / 4.0, r.numpy()
    envelope = 1 - 21 * u**5 + 35 * u**6 - 15 * u**7
    phi = [math.sqrt(0.5) * np.sin(n * math.pi * u) / x for n in (9, 10, 11)]
    phi += [np.cos((k - 0.5) * math.pi * u) for k in (1, 2)] + [np.sin((k - 0.5) * math.pi * u) for k in (1, 2)]
    gate = 1 / (1 + np.exp(-basis.gate.weight.detach().numpy().sum(1)))
    assert np.allclose(found, gate * envelope[:, None] * np.stack(phi, axis=1), atol=1e-6)


def test_the_spectral_columns_end_at_the_cutoff():
    _, found = spectral_columns(torch.tensor([4.0 - 1e-4, 4.0, 4.5], dtype=torch.float64))
    assert found[0].abs().max() < 1e-11
    assert not found[1:].any()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_its_envelope_has_the_backbones_own_power(backbone):
    sites = tiny(backbone).backbone.sites.edge
    assert sites.envelope_power == {"mace": 5.0, "nequip": 6.0, "allegro": 6.0}[backbone]
    assert sites.num_bessel == 8
    assert sites.cutoff == structures.CUTOFF


@pytest.mark.parametrize("size", ["{channels: 2, centres: 1}", "{channels: 2, centers: 4}"])
def test_a_wrong_readout_size_is_refused(size):
    with pytest.raises(ScalarFidError):
        build("mace_tiny", "pgs_readout", overrides=(f"probe.pgs_readout.atom={size}",))


def without_zero(self, s, q):
    """The expansion without −ψ(0)."""
    return s + self.norm * q * self.last(self.psi(torch.tanh(self.project(s))))


class CentreWindow(ReadoutModule):
    """The window of the centre, κ(c_i), on an edge's readout."""

    def forward(self, data):
        centre = data["edge_index"][0]
        q = window(data[self.q_key].detach(), centre, data["pos"].shape[0])
        return super().forward({**data, self.q_key: q[centre]})


def test_without_zero_and_with_the_centres_window_allegro_jumps_where_a_dimer_shows_nothing(monkeypatch):
    monkeypatch.setattr(ESReadout, "forward", without_zero)
    monkeypatch.setattr(scalarfid.backbones.nequip_family, "ReadoutModule", CentreWindow)
    potential = perturb(build("allegro_tiny", "pgs_readout"))
    assert checks.crossing(potential, structures.leaving_dimer)[0] < 1e-9
    assert checks.crossing(potential, structures.leaving_pair)[0] > 1e-4
