"""Elastic constants and equation of state of cubic crystals.

C_ij = dσ_i/dε_j by linear regression of stress against strain, with the ions relaxed at every strain (matscipy's
strains and fit); C44 with clamped ions stands beside it. E(V) is fitted by ASE (Birch–Murnaghan). The bulk modulus of
the energy, V d²E/dV², and that of the stress, (C11 + 2 C12)/3, agree where stress is the derivative of the energy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.eos import EquationOfState, eos_names
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import GPa
from matplotlib.figure import Figure
from matscipy.elasticity import fit_elastic_constants, generate_strained_configs
from numpy.typing import NDArray
from scipy.stats import t as student

from scalarfid.errors import ScalarFidError
from scalarfid.physics.crystals import lattice_constant, not_relaxed, relax, same_level, stated
from scalarfid.physics.options import Options, limited, one_of
from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System

Array = NDArray[np.float64]
CONSTANTS = {"C11": (0, 0), "C12": (0, 1), "C44": (3, 3)}
JUDGED = ("C11", "C12", "C44", "B", "B_energy")
HEADLINES = ("C11", "C12", "C44", "B")


@dataclass
class ElasticOptions(Options):
    """Options of the strains and of the judgement.

    Attributes:
        strain: largest, for the elastic constants.
        steps: strains on the line of each fit, whose error needs three.
        volume_strain: largest along each edge, for the equation of state.
        volumes: of the equation of state, whose fit needs five.
        equation: as ``ase.eos`` calls it.
        fmax: largest force in eV/Å, and virial per atom in eV, after relaxation.
        consistency: %; a larger difference of the two bulk moduli is a fault.
        error: %; a larger error against the labels' own level of theory is a fault.
    """

    strain: float = limited(0.002, below=1)
    steps: int = limited(5, least=3)
    volume_strain: float = limited(0.02, below=1)
    volumes: int = limited(11, least=5)
    equation: str = one_of(eos_names, "birchmurnaghan")
    fmax: float = 1e-5
    consistency: float = 3.0
    error: float = 10.0


@dataclass(frozen=True)
class Solid:
    """What is known of one crystal on one surface.

    Attributes:
        numbers: by name.
        volume: [K] in Å³ per atom.
        energy: [K] in eV per atom.
    """

    numbers: dict[str, Number]
    volume: Array
    energy: Array


def strained(crystal: Atoms, options: ElasticOptions) -> list[Atoms]:
    """Frames along matscipy's strain pattern of cubic crystals, ε1 = ε4, ions moved evenly.

    Args:
        crystal: relaxed, cubic axes along x, y, z.
        options: largest strain and number of steps.
    """
    delta = 2 * options.strain / (options.steps - 1)
    return list(generate_strained_configs(crystal, symmetry="cubic", N_steps=options.steps, delta=delta))


def constants(surface: Surface, frames: Sequence[Atoms], steps: int) -> dict[str, Number]:
    """C11, C12, C44 in GPa from the stresses of strained frames, in one call, with 95 % intervals of the fit.

    The interval is the regression's own: it shows curvature and noise, not the error of the surface.
    """
    stresses = surface(frames, stress=True).stress
    for frame, stress in zip(frames, stresses, strict=True):
        frame.calc = SinglePointCalculator(frame, stress=full_3x3_to_voigt_6_stress(stress))
    C, error = fit_elastic_constants(list(frames), symmetry="cubic", N_steps=steps, verbose=False)
    reach = student.ppf(0.975, steps - 2)
    numbers = {}
    for name, place in CONSTANTS.items():
        value, half = float(C[place] / GPa), float(reach * error[place] / GPa)
        numbers[name] = Number(value, "GPa", value - half, value + half)
    return numbers


def equation_of_state(
    surface: Surface, crystal: Atoms, options: ElasticOptions
) -> tuple[dict[str, Number], Array, Array]:
    """V0 per atom and bulk modulus of E(V), with the volumes and energies per atom; one call of the surface.

    Evenly strained cells; by symmetry the ions of diamond and rocksalt feel no force. V0 and B are None where the
    energies have no minimum inside.
    """
    frames = []
    for scale in np.linspace(1 - options.volume_strain, 1 + options.volume_strain, options.volumes):
        frames.append(crystal.copy())
        frames[-1].set_cell(scale * crystal.cell, scale_atoms=True)
    volume = np.array([frame.get_volume() for frame in frames]) / len(crystal)
    energy = surface(frames).energy / len(crystal)
    place = int(energy.argmin())
    v0 = bulk = None
    if 0 < place < len(volume) - 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the covariance of a fit that is exact
            v0, _, bulk = EquationOfState(volume, energy, eos=options.equation).fit()
    numbers = {
        "V0": Number(None if v0 is None else float(v0), "Å³"),
        "B_energy": Number(None if bulk is None else float(bulk / GPa), "GPa"),
    }
    return numbers, volume, energy


def solid(surface: Surface, crystal: Atoms, options: ElasticOptions) -> Solid | None:
    """Everything of one crystal; None if it or a strained copy of it has no minimum."""
    relaxed = relax(surface, crystal, options.fmax)
    if relaxed is None:
        return None
    frames = strained(relaxed, options)
    clamped = constants(surface, frames, options.steps)["C44"]
    ions = []
    for frame in frames:
        at_rest = relax(surface, frame, options.fmax, cell=False)
        if at_rest is None:
            return None
        ions.append(at_rest)
    found = constants(surface, ions, options.steps)
    eos, volume, energy = equation_of_state(surface, relaxed, options)
    bulk = (found["C11"].value + 2 * found["C12"].value) / 3
    numbers = {
        "a0": Number(lattice_constant(relaxed, crystal), "Å"),
        **found,
        "C44_clamped": clamped,
        "B": Number(bulk, "GPa"),
    }
    return Solid(numbers | eos, volume, energy)


def faults(name: str, found: Solid, options: ElasticOptions) -> list[str]:
    """Broken Born stability (C11 > |C12|, C11 + 2 C12 > 0, C44 > 0); stress that is no derivative of the energy."""
    value = {key: number.value for key, number in found.numbers.items()}
    wrong = []
    if value["C11"] <= abs(value["C12"]) or value["B"] <= 0 or value["C44"] <= 0:
        sizes = ", ".join(f"{key} {value[key]:.1f}" for key in CONSTANTS)
        wrong.append(f"{name}: elastically unstable ({sizes} GPa)")
    if value["B_energy"] is None:
        wrong.append(f"{name}: the energy has no minimum within {100 * options.volume_strain:g} % of the relaxed edge")
    elif abs(value["B_energy"] / value["B"] - 1) > options.consistency / 100:
        wrong.append(
            f"{name}: bulk modulus {value['B_energy']:.1f} GPa of the energy, {value['B']:.1f} GPa of the stress"
        )
    return wrong


def errors(name: str, found: Solid, truth: Solid, limit: float) -> tuple[dict[str, Number], list[str]]:
    """Differences from the labels' own level of theory: a0 in Å, the rest in %, and those beyond the limit."""
    a0, expected = found.numbers["a0"].value, truth.numbers["a0"].value
    numbers, wrong = {"a0_error": Number(a0 - expected, "Å")}, []
    for key in JUDGED:
        value, expected = found.numbers[key].value, truth.numbers[key].value
        if value is None or not expected:
            continue
        error = 100 * (value - expected) / abs(expected)
        numbers[f"{key}_error"] = Number(error, "%")
        if abs(error) > limit:
            side = "below" if error < 0 else "above"
            wrong.append(f"{name}: {key} {value:.1f} GPa is {abs(error):.1f} % {side} {expected:.1f} GPa")
    return numbers, wrong


def _solids(surface: Surface, system: System, options: ElasticOptions) -> Iterator[tuple[str, Solid | None]]:
    for name, crystal in system.crystals.items():
        yield name, solid(surface, crystal, options)


def draw(outcome: Outcome, figure: Figure) -> None:
    """One row a crystal: E(V) from its lowest point, and the elastic constants; the reference dashed, or in grey."""
    names = outcome.drawn("volume")
    figure.set_size_inches(7.2, 3.2 * max(len(names), 1))
    if not names:
        figure.text(0.5, 0.5, "no relaxed crystal", ha="center")
        return
    rows = figure.subplots(len(names), 2, squeeze=False)
    for name, (curve, bars) in zip(names, rows, strict=True):
        _draw_one(outcome, name, curve, bars)
    figure.legend(*rows[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _draw_one(outcome: Outcome, name: str, curve: Any, bars: Any) -> None:
    places = np.arange(len(JUDGED))
    sides = (
        (f"{name}.", "C0o-", "C0", -0.2, outcome.model),
        (f"{name}.reference.", "k--", "0.6", 0.2, outcome.reference),
    )
    for prefix, style, colour, side, label in sides:
        if f"{prefix}volume" not in outcome.arrays:
            continue
        energy = outcome.arrays[f"{prefix}energy"]
        curve.plot(outcome.arrays[f"{prefix}volume"], 1e3 * (energy - energy.min()), style, ms=3, label=label)
        heights = [outcome.numbers[f"{prefix}{key}"].value or 0.0 for key in JUDGED]
        bars.bar(places + side, heights, 0.4, color=colour, label=label)
    published = outcome.settings.get("context", {}).get(name, {})
    for k, (source, values) in enumerate(published.items()):
        shown = [key for key in JUDGED if f"{key}_GPa" in values]
        heights = [values[f"{key}_GPa"] for key in shown]
        bars.plot([JUDGED.index(key) for key in shown], heights, "_", color=f"C{k + 1}", ms=20, mew=2, label=source)
    bars.set_xticks(places, ["B (E)" if key == "B_energy" else key for key in JUDGED])
    bars.set(ylabel="GPa")
    curve.set(title=name, xlabel="V (Å³ per atom)", ylabel="E − lowest (meV per atom)")


@diagnostic("elastic", ElasticOptions, draw, needs=("crystal",))
def measure(model: Surface, reference: Surface | None, system: System, options: ElasticOptions) -> Outcome:
    """Elastic constants and equation of state of model and reference, and what the model has wrong.

    Raises:
        ScalarFidError: an option out of range, such as fewer than three strains, or a crystal that is not cubic.
    """
    _check(options, system)
    truths = {} if reference is None else dict(_solids(reference, system, options))
    numbers, arrays, wrong = {}, {}, []
    for name, found in _solids(model, system, options):
        truth = truths.get(name)
        if found is None:
            wrong.append(not_relaxed(name, model))
            continue
        comparable = truth is not None and same_level(reference, system)
        beside = truth.numbers if comparable else {}
        own = found.numbers | {key: found.numbers[key].headline("reference", beside.get(key)) for key in HEADLINES}
        wrong += faults(name, found, options)
        if comparable:
            more, beyond = errors(name, found, truth, options.error)
            own |= more
            wrong += beyond
        for prefix, one, said in ((f"{name}.", found, own), (f"{name}.reference.", truth, truth and truth.numbers)):
            if one is not None:
                numbers |= {f"{prefix}{key}": number for key, number in said.items()}
                arrays |= {f"{prefix}volume": one.volume, f"{prefix}energy": one.energy}
    settings = (
        asdict(options) | stated(reference, system) | {"ions": "relaxed at every strain; clamped for C44_clamped"}
    )
    return Outcome("elastic", model.name, reference and reference.name, settings, numbers, arrays, wrong)


def _check(options: ElasticOptions, system: System) -> None:
    options.check("elastic")
    for name, crystal in system.crystals.items():
        family = crystal.cell.get_bravais_lattice().crystal_family
        if family != "cubic":
            raise ScalarFidError(f"{name} is {family}; diagnostics=elastic is for cubic crystals only.")
