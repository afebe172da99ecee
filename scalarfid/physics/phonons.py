"""Phonons of crystals: frequencies at Γ, bands, density of states, red shift, imaginary modes.

D(q) e = ω² e with force constants Φ = −ΔF/Δu from central differences in a supercell, by phonopy (Togo, J. Phys. Soc.
Jpn. 92, 012001 (2023)). Frequencies are ω/2π in THz; an imaginary one counts as negative. Model and reference are each
taken at their own relaxed cell, in the same supercell with the same displacement. Neither has the non-analytic
correction: the optical modes of an ionic crystal at Γ are the transverse ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.dft.kpoints import BandPath
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.physics.crystals import not_relaxed, relax, same_level, stated
from scalarfid.physics.options import Options
from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System

Array = NDArray[np.float64]


@dataclass
class PhononsOptions(Options):
    """Options of the force constants and of what is made of them.

    Attributes:
        supercell: conventional cells along each edge.
        displacement: of an atom in Å, both ways.
        fmax: largest force in eV/Å, and virial per atom in eV, after relaxation.
        mesh: q-points along each reciprocal vector.
        points: along the path of the bands.
        imaginary: THz; a mode further below zero is imaginary.
        shift: %; a larger mean shift is a fault.
    """

    supercell: int = 2
    displacement: float = 0.01
    fmax: float = 1e-5
    mesh: int = 20
    points: int = 200
    imaginary: float = 0.1
    shift: float = 3.0


@dataclass(frozen=True)
class Spectrum:
    """Frequencies of one crystal in THz, in growing order at every q.

    Attributes:
        gamma: [3n] at Γ.
        mesh: [Q,3n] on the irreducible mesh.
        weights: [Q] of its points, sum 1.
        qpoints: [Q,3] of the mesh in reciprocal vectors of the primitive cell.
        bands: [K,3n] along the path.
        path: [K] length along it in 1/Å.
        corners: [L] of ``path`` at special points.
        labels: [L] names of the special points.
        dos: [2,M] frequency and density of states in 1/THz, integral 3n.
        group: international symbol of the space group.
        atoms: in the supercell.
        frames: displaced supercells.
    """

    gamma: Array
    mesh: Array
    weights: Array
    qpoints: Array
    bands: Array
    path: Array
    corners: Array
    labels: NDArray[np.str_]
    dos: Array
    group: str
    atoms: int
    frames: int

    @property
    def lowest(self) -> tuple[float, Array]:
        """Lowest frequency on the mesh, and where."""
        place = int(self.mesh[:, 0].argmin())
        return float(self.mesh[place, 0]), self.qpoints[place]

    @property
    def optical(self) -> slice:
        """Branches above the three acoustic ones; all branches where an atom is alone in its cell."""
        return slice(3 if len(self.gamma) > 3 else 0, None)


def force_constants(surface: Surface, crystal: Atoms, options: PhononsOptions) -> Any:
    """A ``phonopy.Phonopy`` with force constants; all displaced supercells are one call of the surface.

    Args:
        surface: asked for forces.
        crystal: relaxed.
        options: supercell and displacement.

    Raises:
        ScalarFidError: phonopy is not installed.
    """
    phonopy, phonopy_atoms, spglib = _phonopy()
    cell = (crystal.cell[:], crystal.get_scaled_positions(), crystal.numbers)
    standard = spglib.get_symmetry_dataset(cell, symprec=1e-4)
    masses = dict(zip(crystal.numbers, crystal.get_masses(), strict=True))
    conventional = phonopy_atoms.PhonopyAtoms(
        numbers=standard.std_types,
        cell=standard.std_lattice,
        scaled_positions=standard.std_positions,
        masses=[masses[z] for z in standard.std_types],
    )
    size, centring = options.supercell * np.eye(3, dtype=int), standard.international[0]
    phonons = phonopy.Phonopy(conventional, size, primitive_matrix=centring)
    phonons.generate_displacements(distance=options.displacement, is_plusminus=True)
    phonons.forces = np.array(surface([_atoms(cell) for cell in phonons.supercells_with_displacements]).forces)
    phonons.produce_force_constants(show_drift=False)
    return phonons


def _phonopy() -> tuple[Any, Any, Any]:
    try:
        return tuple(import_module(name) for name in ("phonopy", "phonopy.structure.atoms", "spglib"))
    except ModuleNotFoundError as error:
        raise ScalarFidError("diagnostics=phonons needs phonopy: pip install 'scalarfid[physics]'") from error


def _atoms(cell: Any) -> Atoms:
    return Atoms(numbers=cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)


def spectrum(surface: Surface, crystal: Atoms, options: PhononsOptions) -> Spectrum:
    """Frequencies at Γ, on a mesh, along the standard path of the Bravais lattice, and their density."""
    phonons = force_constants(surface, crystal, options)
    phonons.run_mesh([options.mesh] * 3, is_gamma_center=True)
    mesh = phonons.mesh
    path = Cell(phonons.primitive.cell).bandpath(npoints=options.points)
    length, corners, labels = _axis(path)
    return Spectrum(
        gamma=_frequencies(phonons, [[0, 0, 0]])[0],
        mesh=np.sort(mesh.frequencies, axis=1),
        weights=mesh.weights / mesh.weights.sum(),
        qpoints=mesh.qpoints,
        bands=_frequencies(phonons, path.kpts),
        path=length,
        corners=corners,
        labels=labels,
        dos=_density(phonons),
        group=phonons.primitive_symmetry.dataset.international,
        atoms=len(phonons.supercell),
        frames=len(phonons.forces),
    )


def _density(phonons: Any) -> Array:
    """Frequency and density of states [2,M] by the tetrahedron method; empty where all frequencies are the same."""
    low, high = float(phonons.mesh.frequencies.min()), float(phonons.mesh.frequencies.max())
    if high == low:
        return np.empty((2, 0))
    step = 0.005 * max(high, -low)
    phonons.run_total_dos(freq_min=low - 5 * step, freq_max=high + 5 * step, freq_pitch=step)
    return np.array([phonons.total_dos.frequency_points, phonons.total_dos.dos])


def _axis(path: BandPath) -> tuple[Array, Array, NDArray[np.str_]]:
    """Length along the path, places and names of its special points; ``K|U`` where the path jumps."""
    length, corners, labels = path.get_linear_kpoint_axis()
    names: dict[float, str] = {}
    for corner, label in zip(corners, labels, strict=True):
        name = label.replace("G", "Γ")
        names[corner] = f"{names[corner]}|{name}" if corner in names else name
    return length, np.array(list(names)), np.array(list(names.values()))


def _frequencies(phonons: Any, qpoints: Any) -> Array:
    phonons.run_qpoints(qpoints)
    return np.sort(phonons.qpoints.frequencies, axis=1)


def shift(found: Spectrum, truth: Spectrum) -> tuple[float, float]:
    """Mean shift ⟨ω − ω_ref⟩ of the optical branches over the zone in THz, and in % of ⟨ω_ref⟩; red is negative.

    Where the primitive cell has one atom the mean runs over all branches.
    """
    mean, expected = (s.weights @ s.mesh[:, s.optical].mean(axis=1) for s in (found, truth))
    return float(mean - expected), float(100 * (mean / expected - 1))


def _alone(found: Spectrum, options: PhononsOptions) -> dict[str, Number]:
    """Numbers of one spectrum."""
    lowest, _ = found.lowest
    imaginary = (found.mesh < -options.imaginary).any(axis=1)
    numbers = {
        "highest": Number(float(found.mesh.max()), "THz"),
        "lowest": Number(lowest, "THz"),
        "imaginary_q": Number(float(100 * found.weights @ imaginary), "%"),
        "mean_optical": Number(float(found.weights @ found.mesh[:, found.optical].mean(axis=1)), "THz"),
        "gamma_acoustic": Number(float(np.abs(np.sort(np.abs(found.gamma))[:3]).max()), "THz"),
    }
    if len(found.gamma) > 3:
        optical = found.gamma[3:]
        numbers["gamma_optical"] = Number(float(optical.mean()), "THz")
        numbers["gamma_optical_spread"] = Number(float(np.ptp(optical)), "THz")
    return numbers


def _errors(found: Spectrum, truth: Spectrum) -> dict[str, Number]:
    """Numbers of a spectrum against its own level of theory."""
    absolute, relative = shift(found, truth)
    spread = np.abs(found.mesh - truth.mesh).mean(axis=1)
    numbers = {
        "shift": Number(absolute, "THz"),
        "relative_shift": Number(relative, "%"),
        "mean_absolute_error": Number(float(truth.weights @ spread), "THz"),
    }
    if len(found.gamma) > 3:
        numbers["gamma_optical_error"] = Number(float((found.gamma - truth.gamma)[3:].mean()), "THz")
    return numbers


def faults(name: str, found: Spectrum, truth: Spectrum | None, options: PhononsOptions, *, errors: bool) -> list[str]:
    """Imaginary modes that the reference does not have, no modes, another symmetry, a shift beyond the threshold."""
    wrong = []
    lowest, place = found.lowest
    unstable = truth is not None and truth.lowest[0] < -options.imaginary
    if lowest < -options.imaginary and not unstable:
        q = ", ".join(f"{x:.2f}" for x in place)
        wrong.append(f"{name}: imaginary modes, down to {-lowest:.2f}i THz at q = ({q})")
    if found.mesh.max() < options.imaginary:
        wrong.append(f"{name}: nothing holds the atoms, no mode is above {options.imaginary:g} THz")
    if truth is not None and found.group != truth.group:
        wrong.append(f"{name}: relaxes to space group {found.group}, the reference to {truth.group}")
    if errors:
        absolute, relative = shift(found, truth)
        if abs(relative) > options.shift:
            colour = "red" if relative < 0 else "blue"
            branches = "optical branches" if found.optical.start else "branches"
            wrong.append(f"{name}: {branches} shifted to the {colour} by {abs(relative):.1f} % ({absolute:+.2f} THz)")
    return wrong


def _arrays(found: Spectrum, prefix: str) -> dict[str, NDArray[Any]]:
    names = ("gamma", "mesh", "weights", "qpoints", "bands", "path", "corners", "labels", "dos")
    return {f"{prefix}{name}": getattr(found, name) for name in names}


def _spectra(surface: Surface, system: System, options: PhononsOptions) -> Iterator[tuple[str, Spectrum | None]]:
    for name, crystal in system.crystals.items():
        relaxed = relax(surface, crystal, options.fmax)
        yield name, None if relaxed is None else spectrum(surface, relaxed, options)


def draw(outcome: Outcome, figure: Figure) -> None:
    """One row a crystal: bands, and the density of states beside them; the reference dashed."""
    names = outcome.drawn("bands")
    figure.set_size_inches(7.2, 3.6 * max(len(names), 1))
    if not names:
        figure.text(0.5, 0.5, "no relaxed crystal", ha="center")
        return
    rows = figure.subplots(len(names), 2, squeeze=False, sharey="row", width_ratios=(3, 1))
    for (bands, dos), name in zip(rows, names, strict=True):
        _draw_one(outcome, name, bands, dos)
    (handles, labels), (others, published) = (axes.get_legend_handles_labels() for axes in rows[0, ::-1])
    figure.legend(handles + others, labels + published, loc="outside lower center", ncols=2)


def _draw_one(outcome: Outcome, name: str, bands: Any, dos: Any) -> None:
    for prefix, style, label in ((f"{name}.", "C0-", outcome.model), (f"{name}.reference.", "k--", outcome.reference)):
        found = {key.removeprefix(prefix): value for key, value in outcome.arrays.items() if key.startswith(prefix)}
        if "bands" not in found:
            continue
        scale = outcome.arrays[f"{name}.path"][-1] / found["path"][-1]  # the reference's own cell is a little different
        bands.plot(scale * found["path"], found["bands"], style, lw=1)
        dos.plot(found["dos"][1], found["dos"][0], style, lw=1, label=label)
    published = outcome.settings.get("context", {}).get(name, {})
    for k, (source, values) in enumerate(published.items()):
        bands.plot(0, values["gamma_optical_THz"], "_", color=f"C{k + 1}", ms=20, mew=2, label=f"{source} at Γ")
    corners = outcome.arrays[f"{name}.corners"]
    bands.set_xticks(corners, outcome.arrays[f"{name}.labels"])
    for corner in corners:
        bands.axvline(corner, color="0.8", lw=0.5, zorder=0)
    bands.axhline(0, color="0.8", zorder=0)
    bands.set(title=name, ylabel="frequency (THz)", xlim=(corners[0], corners[-1]))
    dos.set(xlabel="density (1/THz)")


@diagnostic("phonons", PhononsOptions, draw, needs=("crystal",))
def measure(model: Surface, reference: Surface | None, system: System, options: PhononsOptions) -> Outcome:
    """Phonons of model and reference, and what the model has wrong."""
    truths = {} if reference is None else dict(_spectra(reference, system, options))
    settings = asdict(options) | stated(reference, system) | {"non_analytic_correction": "none, in either"}
    settings["cell"] = "relaxed, each surface at its own"
    numbers, arrays, wrong = {}, {}, []
    for name, found in _spectra(model, system, options):
        truth = truths.get(name)
        if found is None:
            wrong.append(not_relaxed(name, model))
            continue
        errors = truth is not None and truth.group == found.group and same_level(reference, system)
        settings[name] = {"space_group": found.group, "atoms": found.atoms, "displaced_supercells": found.frames}
        own = _alone(found, options) | (_errors(found, truth) if errors else {})
        theirs = {} if truth is None else _alone(truth, options)
        own["mean_optical"] = own["mean_optical"].headline("reference", theirs.get("mean_optical") if errors else None)
        own["imaginary_q"] = own["imaginary_q"].headline("less", theirs.get("imaginary_q"))
        numbers |= {f"{name}.{key}": number for key, number in own.items()}
        numbers |= {f"{name}.reference.{key}": number for key, number in theirs.items()}
        arrays |= _arrays(found, f"{name}.") | ({} if truth is None else _arrays(truth, f"{name}.reference."))
        wrong += faults(name, found, truth, options, errors=errors)
    return Outcome("phonons", model.name, reference and reference.name, settings, numbers, arrays, wrong)
