"""The contracts of a potential as functions: each takes a built potential and asserts one of them.

They know nothing of the backbone or the probe inside; a new one is covered by naming it in ``potentials.py``. Each
returns the largest error it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation
from structures import STEP, clear
from torch import Tensor
from torch_geometric.data import Batch, Data

from scalarfid.backbones import Inputs
from scalarfid.data.graphs import build_graph
from scalarfid.potential import Potential

Outputs = dict[str, Tensor]
STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))  # fourth order, f' ≈ Σ w f(k h)/h


def batch(frames: Sequence[Atoms], cutoff: float) -> Batch:
    """One batch of the frames' graphs."""
    return Batch.from_data_list([build_graph(atoms, cutoff) for atoms in frames])


def evaluate(potential: Potential, *frames: Atoms) -> Outputs:
    """Energies, forces and stress of the frames as one batch."""
    return potential(batch(frames, potential.cutoff), stress=True)


def inputs(potential: Potential, graph: Data) -> Inputs:
    """What the backbone sees of one graph, differentiable in the positions."""
    n = graph.pos.shape[0]
    return Inputs(
        pos=graph.pos.clone().requires_grad_(),
        species=potential.species(graph.z),
        cell=graph.cell,
        edge_index=graph.edge_index,
        unit_shifts=graph.unit_shifts,
        batch=torch.zeros(n, dtype=torch.int64),
        ptr=torch.tensor([0, n]),
    )


def largest(x: Tensor) -> float:
    """max |x|, 0 for nothing."""
    return float(x.abs().max()) if x.numel() else 0.0


def check_equal(a: Outputs, b: Outputs) -> None:
    """Bit-equal in every output."""
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), f"{key} differs by {largest(a[key] - b[key]):.3g}"


def check_close(a: Outputs, b: Outputs, rtol: float) -> float:
    """Equal in every output, relative to its largest entry."""
    worst = 0.0
    for key in a:
        error = largest(a[key] - b[key]) / max(largest(b[key]), 1e-3)
        assert error <= rtol, f"{key} differs by {error:.3g} relative"
        worst = max(worst, error)
    return worst


def check_forces(potential: Potential, atoms: Atoms, tolerance: float = 1e-9) -> float:
    """Forces equal a fourth-order finite difference of the energy, in every component."""
    assert clear(atoms, potential.cutoff), "this structure has an edge where the energy is not analytic"
    numeric = torch.zeros(len(atoms), 3, dtype=torch.float64)
    frames, weights = [], []
    for i, k in np.ndindex(len(atoms), 3):
        for step, weight in STENCIL:
            moved = atoms.copy()
            moved.positions[i, k] += step * STEP
            frames.append(moved)
            weights.append(weight)
    energies = potential(batch(frames, potential.cutoff), forces=False)["energy"].detach()
    numeric = -(energies * torch.tensor(weights, dtype=torch.float64)).view(len(atoms), 3, -1).sum(-1) / STEP
    forces = evaluate(potential, atoms)["forces"]
    assert largest(forces) > 1e-3, "no force to compare"
    error = largest(forces - numeric)
    assert error <= tolerance, f"forces differ from finite differences by {error:.3g} eV/Å"
    return error


def check_stress(potential: Potential, atoms: Atoms, tolerance: float = 1e-9, step: float = 1e-4) -> float:
    """σ = (∂E/∂ε)/V equals a fourth-order finite difference over symmetric strains."""
    frames, weights, pairs = [], [], [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    for i, j in pairs:
        for factor, weight in STENCIL:
            strain = np.eye(3)
            strain[i, j] += 0.5 * factor * step
            strain[j, i] += 0.5 * factor * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            frames.append(strained)
            weights.append(weight)
    energies = potential(batch(frames, potential.cutoff), forces=False)["energy"].detach()
    slopes = (energies * torch.tensor(weights, dtype=torch.float64)).view(6, -1).sum(-1) / step / atoms.get_volume()
    stress = evaluate(potential, atoms)["stress"][0]
    assert torch.allclose(stress, stress.T, atol=1e-12)
    assert largest(stress) > 1e-5, "no stress to compare"
    error = max(abs(float(stress[i, j] - slopes[n])) for n, (i, j) in enumerate(pairs))
    assert error <= tolerance, f"stress differs from finite differences by {error:.3g} eV/Å³"
    return error


def check_rotation(potential: Potential, atoms: Atoms, tolerance: float = 1e-10) -> float:
    """Under rotations and a reflection energies stay, forces and stress turn along."""
    before = evaluate(potential, atoms)
    worst = 0.0
    for sign, seed in ((1, 0), (1, 1), (-1, 2)):
        matrix = sign * Rotation.random(random_state=seed).as_matrix()
        turned = atoms.copy()
        turned.positions = atoms.positions @ matrix.T
        turned.cell = atoms.cell[:] @ matrix.T
        after, R = evaluate(potential, turned), torch.from_numpy(matrix)
        expected = {
            "energy": before["energy"],
            "node_energy": before["node_energy"],
            "forces": before["forces"] @ R.T,
            "stress": R @ before["stress"] @ R.T,
        }
        worst = max(worst, *(largest(after[key] - expected[key]) for key in expected))
    assert worst <= tolerance, f"not equivariant by {worst:.3g}"
    return worst


def check_permutation(potential: Potential, atoms: Atoms, tolerance: float = 1e-10) -> float:
    """Renumbering the atoms renumbers the outputs."""
    order = np.random.default_rng(0).permutation(len(atoms))
    before, after = evaluate(potential, atoms), evaluate(potential, atoms[order])
    for key in ("node_energy", "forces"):
        before[key] = before[key][torch.from_numpy(order)]
    worst = max(largest(before[key] - after[key]) for key in before)
    assert worst <= tolerance, f"depends on the order of atoms by {worst:.3g}"
    return worst


def check_translation(potential: Potential, atoms: Atoms, tolerance: float = 1e-10) -> float:
    """A common translation changes nothing; neither does moving an atom by a lattice vector."""
    moved = atoms.copy()
    moved.positions += [12.3, -4.5, 6.7]
    if atoms.pbc.all():
        moved.positions[0] += atoms.cell[0] - 2 * atoms.cell[2]
    before, after = evaluate(potential, atoms), evaluate(potential, moved)
    worst = max(largest(before[key] - after[key]) for key in before)
    assert worst <= tolerance, f"depends on the origin by {worst:.3g}"
    return worst


def crossing(potential: Potential, leaving: Callable[[float], Atoms], gap: float = 1e-4) -> tuple[float, float]:
    """(|ΔE| in eV, |ΔF| in eV/Å) between the last edge's being there and its being gone."""
    inside, outside = build_graph(leaving(-gap), potential.cutoff), build_graph(leaving(gap), potential.cutoff)
    assert inside.edge_index.shape[1] == outside.edge_index.shape[1] + 2, "exactly one pair has to cross the cutoff"
    a, b = potential(inside), potential(outside)
    return largest(a["energy"] - b["energy"]), largest(a["forces"] - b["forces"])


def check_cutoff(potential: Potential, leaving: Callable[[float], Atoms]) -> tuple[float, float]:
    """Nothing jumps when a pair crosses r_c ± 1e-4 Å: |ΔE| ≤ 1e-9 eV, |ΔF| ≤ 1e-7 eV/Å.

    f_c is C², so the energy may change by about (1e-4)³ and the forces by (1e-4)² times the model's amplitude.
    """
    energy, force = crossing(potential, leaving)
    assert energy <= 1e-9, f"the energy jumps by {energy:.3g} eV at the cutoff"
    assert force <= 1e-7, f"a force jumps by {force:.3g} eV/Å at the cutoff"
    return energy, force


def check_isolated(potential: Potential, bare: Potential, symbols: Sequence[str]) -> None:
    """A lone atom of each element keeps the energy of the bare backbone; a graph without edges has zero forces."""
    for symbol in symbols:
        atoms = Atoms(symbol, [[0.3, -0.2, 0.1]])
        out = evaluate(potential, atoms)
        assert torch.equal(out["energy"], evaluate(bare, atoms)["energy"]), f"{symbol} alone is changed"
        assert out["forces"].shape == (1, 3)
        assert not out["forces"].any()
        assert not out["stress"].any()


def check_batch(potential: Potential, frames: Sequence[Atoms], tolerance: float = 1e-12) -> float:
    """A batch of mixed frames equals its frames one by one."""
    together, alone = evaluate(potential, *frames), [evaluate(potential, atoms) for atoms in frames]
    joined = {key: torch.cat([out[key] for out in alone]) for key in together}
    return check_close(together, joined, tolerance)


def far_gradient(potential: Potential, atoms: Atoms) -> tuple[float, float]:
    """max |∂E_0/∂r_j| over atoms j within r_c of atom 0, and over those from r_c to 2 r_c."""
    graph = build_graph(atoms, potential.cutoff)
    state = inputs(potential, graph)
    (gradient,) = torch.autograd.grad(potential.interaction(state)[0], state.pos)
    d = np.linalg.norm(atoms.positions - atoms.positions[0], axis=1)
    beyond = torch.from_numpy((d > potential.cutoff) & (d < 2 * potential.cutoff))
    assert beyond.any()
    return largest(gradient[1:][~beyond[1:]]), largest(gradient[beyond])


def step(potential: Potential, frames: Sequence[Atoms], *, steps: int = 2, lr: float = 1e-2) -> None:
    """Adam steps on energies, forces and stress, in place."""
    graph = batch(frames, potential.cutoff)
    optimiser = torch.optim.Adam(potential.parameters(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        out = potential(graph, stress=True, create_graph=True)
        loss = (out["energy"] - 1).square().mean() + out["forces"].square().mean() + out["stress"].square().mean()
        loss.backward()
        optimiser.step()


Run = Callable[[torch.nn.Module, Batch, Potential], Outputs]


def check_equals_upstream(potential: Potential, upstream: torch.nn.Module, run: Run, frames: Sequence[Atoms]) -> float:
    """The same native state_dict gives bit-equal per-atom energies, and derivatives equal to rounding.

    ``run`` evaluates the upstream module by upstream's own forward. With E0 = 0 and s = 1 ``node_energy`` is bit-equal,
    the rest to 1e-12 (float64) or 1e-6 (float32) relative.
    """
    state = potential.native_state()
    assert list(state) == list(upstream.state_dict())
    upstream.load_state_dict(state)
    graph = batch(frames, potential.cutoff)
    ours, theirs = potential(graph, stress=True), run(upstream, graph, potential)
    if potential.config["scale"] == 1 and not any(potential.config["e0"].values()):
        assert torch.equal(ours["node_energy"], theirs["node_energy"].double())
    periodic = graph.pbc.view(-1, 3).all(-1)
    for out in (ours, theirs):
        out["stress"] = out["stress"][periodic]
    rtol = 1e-12 if potential.config["dtype"] == "float64" else 1e-6
    return check_close({key: value.double() for key, value in theirs.items()}, ours, rtol)


def check_native_round_trip(potential: Potential, upstream: torch.nn.Module) -> None:
    """A bare upstream model's state goes into a potential, probed or not, and comes out bit-equal."""
    state = {key: value.clone() for key, value in upstream.state_dict().items()}
    probes = {name: parameter.clone() for name, parameter in potential.named_probe_parameters()}
    potential.load_native(state)
    out = potential.native_state()
    assert list(out) == list(state)
    for key, value in state.items():
        assert torch.equal(out[key], value), key
    for name, parameter in potential.named_probe_parameters():
        assert torch.equal(parameter, probes[name]), f"{name} is a probe's and was changed"
