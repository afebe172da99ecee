"""The potential: backbone + probes + E0, scale, ZBL. The one place for derivatives and dtype."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from math import inf
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from scalarfid.backbones import Backbone, Inputs, build_backbone
from scalarfid.errors import ScalarFidError
from scalarfid.log import log
from scalarfid.potential.zbl import ZBL
from scalarfid.probes import build_attachment
from scalarfid.sites import CoordinationOptions

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MAX_Z = len(chemical_symbols)
PART = 4000
"""Edges at a time of a large graph on a CPU, where centres can be computed apart: about what its caches hold."""


class Potential(nn.Module):
    """E = Σ_i [E0(z_i) + s·x_i + ZBL_i], F = −∂E/∂r, σ = (1/V) ∂E/∂ε.

    x_i [N] is what the backbone computes with its probes; E0 per element, s and ZBL are fixed numbers. Energies are
    summed in float64, E0 apart from the rest. Units: eV, Å, eV/Å, eV/Å³, stress tensile positive.

    Attributes:
        config: plain dictionary that rebuilds the same module, see :meth:`from_config`.
        elements: atomic numbers, ascending.
        cutoff: r_c in Å.
        strict: False if a probe is known not to start as the identity or not to be smooth at the cutoff.

    """

    def __init__(self, backbone: Backbone, config: Mapping[str, Any], *, strict: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = dict(config)
        self.elements: list[int] = list(config["elements"])
        self.cutoff = float(config["cutoff"])
        self.strict = strict
        lookup = torch.full((MAX_Z + 1,), -1)
        lookup[self.elements] = torch.arange(len(self.elements))
        e0 = [float(config["e0"].get(z, 0.0)) for z in self.elements]
        self.register_buffer("species_of", lookup, persistent=False)
        self.register_buffer("e0", torch.tensor(e0, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(float(config["scale"]), dtype=torch.float64))
        self.zbl = ZBL(self.elements, self.cutoff) if config["zbl"] else None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Potential:
        """Build from a plain dictionary.

        Args:
            config: ``backbone`` {name, sizes}, ``probe`` {name, parts}, ``cutoff`` Å, ``dtype``, ``zbl``,
                ``coordination`` {switch, of}, ``elements`` [Z], ``e0`` {Z: eV}, ``scale`` s in eV, ``mean_neighbours``,
                ``mean_coordination`` {Z: ⟨c⟩}, ``seed``.

        Raises:
            ScalarFidError: for an unknown name, size or option.

        """
        config = normalise(config)
        dtype, elements = DTYPES[config["dtype"]], config["elements"]
        sizes = {key: value for key, value in config["backbone"].items() if key != "name"}
        backbone = build_backbone(
            config["backbone"]["name"],
            elements=elements,
            cutoff=config["cutoff"],
            mean_neighbours=config["mean_neighbours"],
            dtype=dtype,
            seed=config["seed"],
            **sizes,
        )
        counting = CoordinationOptions(
            elements=tuple(elements),
            mean=tuple(config["mean_coordination"].get(z, 1.0) for z in elements),
            **config["coordination"],
        )
        backbone.sites = replace(backbone.sites, coordination_width=counting.width)
        attachment = build_attachment(config["probe"], backbone.sites, dtype=dtype, seed=config["seed"])
        if not attachment.is_empty:
            backbone.mount(attachment, counting)
        _warn(attachment.strict, counting)
        return cls(backbone, config, strict=attachment.strict)

    def forward(
        self, graph: Any, *, stress: bool = False, forces: bool = True, create_graph: bool = False
    ) -> dict[str, Tensor]:
        """Compute energies, forces and stress of a graph or a batch of graphs.

        Args:
            graph: a ``Data`` or ``Batch`` of :func:`scalarfid.data.build_graph`, on this module's device.
            stress: whether the strain derivative is taken.
            forces: whether any derivative is taken.
            create_graph: keep the results differentiable in the parameters (training), else they are detached.

        Returns:
            energy [B], node_energy [N], and if asked forces [N,3], stress [B,3,3] (zero where a frame is not periodic
            in all three directions); float64.

        Raises:
            ScalarFidError: for an element the potential was not built for.

        """
        species = self.species(graph.z)
        small = graph.edge_index.shape[1] <= PART or graph.pos.is_cuda
        if self.backbone.local and not small and not create_graph and (forces or stress):
            return self._in_parts(graph, species, stress=stress, forces=forces)
        return self.derived(graph, species, stress=stress, forces=forces, create_graph=create_graph)

    def derived(
        self, graph: Any, species: Tensor, *, stress: bool, forces: bool, create_graph: bool
    ) -> dict[str, Tensor]:
        """Compute what :meth:`forward` does for species [N], without a look at any value: it can be traced."""
        with torch.set_grad_enabled(forces or stress or torch.is_grad_enabled()):
            inputs, variables = self._strained(graph, species, stress=stress, forces=forces)
            interaction = self.interaction(inputs)
            gradients = self._gradients(interaction, variables, create_graph=create_graph)
            out = self._outputs(graph, inputs, interaction, gradients, stress=stress, forces=forces)
        keep = create_graph or not (forces or stress)
        return out if keep else {key: value.detach() for key, value in out.items()}

    def _in_parts(self, graph: Any, species: Tensor, *, stress: bool, forces: bool) -> dict[str, Tensor]:
        """Compute what :meth:`derived` does for a local backbone, some centres at a time, in flat time and memory.

        x_i depends on the edges of centre i alone, and is zero without edges: interactions and their derivatives are
        sums over parts of the edges that split no centre.
        """
        found = []
        for edges in parts(graph.edge_index[0], len(species)):
            with torch.enable_grad():
                inputs, variables = self._strained(graph, species, stress=stress, forces=forces)
                few = inputs._replace(edge_index=inputs.edge_index[:, edges], unit_shifts=inputs.unit_shifts[edges])
                interaction = self.interaction(few)
                found.append([interaction.detach(), *self._gradients(interaction, variables, create_graph=False)])
        interaction, *gradients = (torch.stack(values).sum(0) for values in zip(*found, strict=True))
        return self._outputs(graph, inputs, interaction, gradients, stress=stress, forces=forces)

    def _outputs(
        self, graph: Any, inputs: Inputs, interaction: Tensor, gradients: list[Tensor], *, stress: bool, forces: bool
    ) -> dict[str, Tensor]:
        """Energies, forces and stress from interactions [N] and their derivatives by positions and strain."""
        node_e0 = self.e0[inputs.species]
        energy = interaction.new_zeros(inputs.ptr.shape[0] - 1)
        e0, per_graph = (energy.index_add(0, inputs.batch, values) for values in (node_e0, interaction))
        out = {"energy": e0 + per_graph, "node_energy": node_e0 + interaction}
        if forces:
            out["forces"] = -gradients[0]
        if stress:
            out["stress"] = _stress(gradients[-1], graph)
        return out

    def interaction(self, inputs: Inputs) -> Tensor:
        """s·x_i + ZBL_i [N] in eV, float64."""
        energies = self.scale * self.backbone(inputs).to(torch.float64)
        if self.zbl is not None:
            neighbour, centre = inputs.edge_index[1], inputs.edge_index[0]
            shifts = torch.einsum("ei,eij->ej", inputs.unit_shifts, inputs.cell[inputs.batch[centre]])
            r = torch.linalg.norm(inputs.pos[neighbour] - inputs.pos[centre] + shifts, dim=-1)
            energies = energies + self.zbl(r, inputs.species, centre, neighbour)
        return energies

    @staticmethod
    def _strained(graph: Any, species: Tensor, *, stress: bool, forces: bool) -> tuple[Inputs, list[Tensor]]:
        """Return the backbone's inputs under the strain 1 + (ε + εᵀ)/2, and the variables to differentiate for."""
        pos = graph.pos.detach().requires_grad_(forces)
        cell, batch, ptr = graph.cell.detach(), getattr(graph, "batch", None), getattr(graph, "ptr", None)
        if batch is None:
            batch = torch.zeros(pos.shape[0], dtype=torch.int64, device=pos.device)
            ptr = torch.tensor([0, pos.shape[0]], device=pos.device)
        variables = [pos] if forces else []
        strained = pos
        if stress:
            epsilon = torch.zeros_like(cell, requires_grad=True)
            symmetric = 0.5 * (epsilon + epsilon.transpose(-1, -2))
            strained = pos + torch.einsum("be,bec->bc", pos, symmetric[batch])
            cell = cell + torch.matmul(cell, symmetric)
            variables.append(epsilon)
        inputs = Inputs(strained, species, cell, graph.edge_index, graph.unit_shifts, batch, ptr)
        return inputs, variables

    def species(self, z: Tensor) -> Tensor:
        """Map atomic numbers [N] to indices into ``elements`` [N]."""
        species = self.species_of[z]
        if bool((species < 0).any()):
            unknown = sorted({chemical_symbols[i] for i in z[species < 0].tolist()})
            known = ", ".join(chemical_symbols[i] for i in self.elements)
            raise ScalarFidError(f"Element {', '.join(unknown)} is not one this potential was built for ({known}).")
        return species

    @staticmethod
    def _gradients(energy: Tensor, variables: list[Tensor], *, create_graph: bool) -> list[Tensor]:
        if not variables:
            return []
        return list(torch.autograd.grad(energy.sum(), variables, create_graph=create_graph, materialize_grads=True))

    def named_probe_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that belong to probes."""
        return ((n, p) for n, p in self.named_parameters() if is_probe(n))

    def named_backbone_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that belong to the upstream network."""
        return ((n, p) for n, p in self.named_parameters() if not is_probe(n))

    def native_state(self) -> dict[str, Tensor]:
        """Return a state_dict of the bare upstream class, E0 and s included, under upstream's keys."""
        state = self.backbone.native_state()
        self.backbone.write_energies(state, self.e0, self.scale.reshape(1))
        return state

    def load_native(self, state: Mapping[str, Tensor]) -> None:
        """Load a state_dict saved by the bare upstream class: weights into the backbone, E0 and s into this module.

        Raises:
            ScalarFidError: if the keys are not those of this architecture.

        """
        own, name = self.backbone.native_state(), self.config["backbone"]["name"]
        wrong = _few("missing", own.keys() - state.keys()) + _few("unknown", state.keys() - own.keys())
        if wrong:
            raise ScalarFidError(f"This state_dict does not fit this {name}; keys {', '.join(wrong)}.")
        try:
            e0, scale = self.backbone.read_energies(state)
            self.backbone.load_native(state)
        except RuntimeError as error:
            lines = str(error).splitlines()
            tensors = lines[1:] or lines  # below a title, those of another shape
            more = f" (and {len(tensors) - 1} more)" if len(tensors) > 1 else ""
            raise ScalarFidError(f"This state_dict does not fit this {name}: {tensors[0].strip()}{more}") from error
        self.e0.copy_(e0.expand(len(self.elements)))
        self.scale.copy_(scale.squeeze())
        self.config["e0"] = dict(zip(self.elements, self.e0.tolist(), strict=True))
        self.config["scale"] = float(self.scale)

    def with_dtype(self, dtype: str) -> Potential:
        """Return the same potential computing in another precision; itself if nothing changes."""
        if dtype == self.config["dtype"]:
            return self
        other = Potential.from_config({**self.config, "dtype": dtype})
        other.load_state_dict(self.state_dict())
        return other.to(self.e0.device)


def _few(which: str, keys: Set[str]) -> list[str]:
    """How many keys, and the first of them; empty where there are none."""
    some = ", ".join(sorted(keys)[:3]) + (", …" if len(keys) > 3 else "")
    return [f"{which}: {len(keys)} ({some})"] if keys else []


def is_probe(name: str) -> bool:
    """Whether a parameter or buffer belongs to a probe, by its dotted name."""
    return bool({"probe", "readout_probes"} & set(name.split(".")))


def normalise(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration as plain, ordered, YAML-able Python; keys of per-element tables become integers."""
    missing = [key for key in _KEYS if key not in config]
    if missing:
        raise ScalarFidError(f"The potential's configuration misses {', '.join(missing)}.")
    if config["dtype"] not in DTYPES:
        raise ScalarFidError(f"model.dtype={config['dtype']!r} is not one of {', '.join(DTYPES)}.")
    for key, why in _POSITIVE.items():
        if not 0 < config[key] < inf:
            raise ScalarFidError(f"{key}={config[key]} must be positive and finite: {why}.")
    out = {key: _plain(config[key]) for key in _KEYS}
    out["elements"] = sorted({int(z) for z in out["elements"]})
    for key in ("e0", "mean_coordination"):
        out[key] = {int(z): float(value) for z, value in (out[key] or {}).items()}
    return out


_POSITIVE = {
    "mean_neighbours": "messages are divided by it (or its root)",
    "scale": "the backbone's energies are multiplied by it",
}
_KEYS = (
    "backbone",
    "probe",
    "cutoff",
    "dtype",
    "zbl",
    "coordination",
    "elements",
    "e0",
    "scale",
    "mean_neighbours",
    "mean_coordination",
    "seed",
)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping) or hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return value.item() if hasattr(value, "item") else value
    return [_plain(item) for item in value]


def parts(centres: Tensor, atoms: int) -> Iterator[Tensor]:
    """Numbers of edges, about :data:`PART` at a time, that split no centre; ``centres`` [E] in any order."""
    ends = torch.bincount(centres, minlength=atoms).cumsum(0)
    of_edge = ((ends - 1) // PART)[centres]
    for part in of_edge.unique():
        yield (of_edge == part).nonzero()[:, 0]


def _stress(gradient: Tensor, graph: Any) -> Tensor:
    """σ = (∂E/∂ε)/V [B,3,3] where a frame is periodic in three directions, else 0."""
    volume = torch.linalg.det(graph.cell).abs()
    periodic = graph.pbc.view(-1, 3).all(dim=-1) & (volume > 0)
    return torch.where(periodic, gradient.permute(1, 2, 0) / torch.where(periodic, volume, 1), 0).permute(2, 0, 1)


def _warn(strict: bool, counting: CoordinationOptions) -> None:
    if not strict:
        log.warning(
            "This probe form is the public snapshot's: not the identity at the start, not smooth at the cutoff."
        )
    if counting.of == "both":
        log.warning("coordination.of=both widens the receptive field and is not strictly local: for experiments only.")
