"""Extrapolation: BOTNet's questions (arXiv 2205.06643) to models trained on acac, botnet_ethanol or 3bpa.

Errors on every published test set, most of them hotter or further away than the training frames, and the curves against
their reference points: dihedral and proton transfer of acetylacetone; removal of a hydrogen, dimers and two normal
modes of ethanol. The labels of the sets are what is compared with; energies are of the whole molecule, as published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.data.labels import labels_of
from scalarfid.errors import ScalarFidError
from scalarfid.log import progress
from scalarfid.physics.curves import Curve, minima, unmatched
from scalarfid.physics.options import Options
from scalarfid.physics.outcome import Number, Outcome, grid
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Answers, Surface
from scalarfid.physics.systems import System

Array = NDArray[np.float64]
DEPTH, HOLE = 0.02, 0.5
"""eV; a minimum this deep (or a tenth of a shallow curve's height) that the reference has not, and energies this far
below the reference's minimum, are faults."""
NEAR = 0.05
"""Of a curve's range, or two of its steps if that is more; a minimum this close to the reference's is the same."""


@dataclass
class ExtrapolationOptions(Options):
    """Options of the test sets.

    Attributes:
        frames: of each test set that is no curve, evenly chosen; null for all.
    """

    frames: int | None = None


def transfer(atoms: Atoms) -> float:
    """r(O–H) − r(O′–H) in Å of the hydrogen that two oxygens share best, O before O′ in the file."""
    oxygen, hydrogen = (np.flatnonzero(atoms.numbers == z) for z in (8, 1))
    distances = atoms.get_all_distances()[np.ix_(oxygen, hydrogen)]
    shared = np.sort(distances, axis=0)[1].argmin()
    first, second = np.sort(np.argsort(distances[:, shared])[:2])
    return float(distances[first, shared] - distances[second, shared])


def _info(key: str) -> Callable[[Atoms], float]:
    return lambda atoms: float(atoms.info[key])


_CURVES: dict[str, tuple[str, Callable[[Atoms], float]]] = {
    "test_dihedral": ("dihedral (°)", _info("dihedral_angle")),
    "test_H_transfer": ("r(O–H) − r(O′–H) (Å)", transfer),
    "test_H_removal": ("r(O–H) (Å)", _info("OH_dist")),
    "test_dimers": ("r (Å)", _info("distance")),
    "test_mode_874": ("displacement along 874 cm⁻¹", _info("displacement")),
    "test_mode_3005": ("displacement along 3005 cm⁻¹", _info("displacement")),
}
_BARRIERS = ("test_dihedral", "test_H_transfer")


@dataclass(frozen=True)
class Part:
    """Frames that are judged together.

    Attributes:
        name: of the test set, with the pair of elements for dimers.
        frames: labelled; in order of the coordinate if there is one.
        x: [K] coordinate of a curve, None for other sets.
        barrier: whether the highest point of the curve is a barrier.
    """

    name: str
    frames: list[Atoms]
    x: Array | None = None
    barrier: bool = False


def parts(sets: dict[str, list[Atoms]], most: int | None) -> Iterator[Part]:
    """Test sets, curves sorted by their coordinate and dimers by pair, other sets thinned to ``most`` frames."""
    for name, frames in sets.items():
        if name not in _CURVES:
            chosen = (
                np.arange(len(frames)) if most is None else np.linspace(0, len(frames) - 1, most).round().astype(int)
            )
            yield Part(name, [frames[k] for k in np.unique(chosen)])
            continue
        kinds = [atoms.info["config_type"] if name == "test_dimers" else "" for atoms in frames]
        for kind in dict.fromkeys(kinds):
            own = [atoms for atoms, other in zip(frames, kinds, strict=True) if other == kind]
            own.sort(key=_CURVES[name][1])
            x = np.array([_CURVES[name][1](atoms) for atoms in own])
            yield Part(f"{name} {kind}".strip(), own, x, name in _BARRIERS)


def errors(frames: Sequence[Atoms], answers: Answers) -> dict[str, Number]:
    """RMSE and MAE of energies (eV a molecule) and force components (eV/Å), with the spread of the labels beside them.

    The spread is the RMSE of predicting the mean energy, and no force.
    """
    labels = [labels_of(atoms) for atoms in frames]
    energy = np.array([np.nan if label.energy is None else label.energy for label in labels])
    known = [k for k, label in enumerate(labels) if label.forces is not None]
    found = _errors("energy", answers.energy - energy, energy - np.nanmean(energy), "eV")
    if known:
        forces = np.concatenate([labels[k].forces for k in known])
        found |= _errors("forces", np.concatenate([answers.forces[k] for k in known]) - forces, forces, "eV/Å")
    return found | {"frames": Number(len(frames), "")}


def _errors(name: str, error: Array, spread: Array, unit: str) -> dict[str, Number]:
    return {
        f"{name}_rmse": Number(float(np.sqrt(np.nanmean(error**2))), unit),
        f"{name}_mae": Number(float(np.nanmean(np.abs(error))), unit),
        f"{name}_spread": Number(float(np.sqrt(np.nanmean(spread**2))), unit),
    }


def curve_errors(part: Part, energy: Array, reference: Array) -> tuple[dict[str, Number], list[str]]:
    """Numbers and faults of a curve E(x), both energies counted from the reference's minimum e.

    ``shape`` errors are those of E(x) − E(e); ``barrier_error`` is of max E − E(e); ``hole`` is E(e) − min E.
    """
    e = int(reference.argmin())
    model, truth = energy - energy[e], reference - reference[e]
    depth, hole = min(DEPTH, 0.1 * float(truth.max())), max(float(-model.min()), 0.0)
    dips, expected = (minima(Curve(part.x, values, np.zeros_like(values)), depth) for values in (model, truth))
    extra = unmatched(dips, expected, max(NEAR * np.ptp(part.x), 2 * float(np.median(np.diff(part.x)))))
    found = {
        "shape_rmse": Number(float(np.sqrt(np.mean((model - truth) ** 2))), "eV"),
        "shape_mae": Number(float(np.abs(model - truth).mean()), "eV"),
        "hole": Number(hole, "eV"),
        "minima": Number(len(dips), ""),
        "reference_minima": Number(len(expected), ""),
        "spurious_minima": Number(len(extra), ""),
    }
    if part.barrier:
        found["barrier_error"] = Number(float(model.max() - truth.max()), "eV")
    faults = []
    if extra:
        places = ", ".join(f"{x:.2f}" for x in extra)
        count = "a minimum" if len(extra) == 1 else f"{len(extra)} minima"
        faults.append(f"{part.name}: {count}, at {places}, where the reference has none")
    if hole > HOLE:
        where = part.x[model.argmin()]
        faults.append(f"{part.name}: the energy falls {hole:.3g} eV below the reference's minimum, at {where:.2f}")
    return found, faults


def judge(part: Part, answers: Answers) -> tuple[dict[str, Number], dict[str, Array], list[str]]:
    """Numbers, arrays and faults of one part."""
    if not np.isfinite(answers.energy).all():
        return (
            {},
            {},
            [f"{part.name}: the model's energy is not finite in {(~np.isfinite(answers.energy)).sum()} frames"],
        )
    found = errors(part.frames, answers)
    if part.x is None:
        found |= {key: number.headline("less") for key, number in found.items() if key == "forces_rmse"}
        return found, {}, []
    reference = np.array([labels_of(atoms).energy for atoms in part.frames], dtype=float)
    curve, faults = curve_errors(part, answers.energy, reference)
    curve["shape_rmse"] = curve["shape_rmse"].headline("less")
    return found | curve, {"x": part.x, "energy": answers.energy, "reference_energy": reference}, faults


def draw(outcome: Outcome, figure: Figure) -> None:
    """Energy errors of all test sets, then one panel a curve, counted from the reference's minimum."""
    names = outcome.drawn("x")
    panels = grid(figure, len(names) + 1, width=4.0, height=3.2)
    errors_of = {n.rpartition(".")[0]: m.value for n, m in outcome.numbers.items() if n.endswith(".energy_rmse")}
    panels[0].barh(list(errors_of), [1e3 * value for value in errors_of.values()])
    panels[0].set_xscale("symlog", linthresh=1.0)
    panels[0].set_xlabel("energy RMSE (meV)")
    panels[0].invert_yaxis()
    for axes, name in zip(panels[1:], names, strict=True):
        x, energy, reference = (outcome.arrays[f"{name}.{key}"] for key in ("x", "energy", "reference_energy"))
        e = reference.argmin()
        axes.plot(x, energy - energy[e], label=outcome.model)
        axes.plot(x, reference - reference[e], "k.", label="labels")
        axes.set(title=name, xlabel=_CURVES[name.partition(" ")[0]][0], ylabel="E − E(e) (eV)")
        axes.legend()


@diagnostic("extrapolation", ExtrapolationOptions, draw, needs=("published test set",))
def measure(model: Surface, reference: Surface | None, system: System, options: ExtrapolationOptions) -> Outcome:
    """Ask the model all test sets and compare with their labels; the reference is not asked.

    Raises:
        ScalarFidError: no frames wanted, or the files of the set are not there.
    """
    if options.frames is not None and options.frames < 1:
        raise ScalarFidError(f"extrapolation.frames={options.frames}; give at least 1, or null for all")
    asked = list(parts(system.tests(), options.frames))
    numbers, arrays, faults = {}, {}, []
    for part in progress(asked, "Test sets"):
        found, curve, wrong = judge(part, model(part.frames))
        numbers |= {f"{part.name}.{key}": number for key, number in found.items()}
        arrays |= {f"{part.name}.{key}": values for key, values in curve.items()}
        faults += wrong
    settings = asdict(options) | {
        "dataset": system.name,
        "compared_with": "labels of the test sets",
        "energies": "of the whole molecule",
        "coordinates": {
            name: _CURVES[name][0] for name in dict.fromkeys(p.name.partition(" ")[0] for p in asked if p.x is not None)
        },
        "minimum_from_eV": DEPTH,
        "hole_from_eV": HOLE,
        "same_minimum_of_range": NEAR,
    }
    return Outcome("extrapolation", model.name, reference and reference.name, settings, numbers, arrays, faults)
