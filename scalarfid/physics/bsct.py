"""BSCT, the Bond Smoothness Characterization Test (arXiv 2602.04861): how roughly forces change as a bond breaks.

Both fragments of a molecule move rigidly along each bond that can break, from 0.5 to 2 sums of covalent radii. With a
reference of the labels' level of theory, the force smoothness deviation as published; always, what it cannot see: the
jumps of E, F and dF/dα that keep their size as steps become smaller, ∫F·dx against ΔE, and every pair that crosses the
cutoff on the way. One that grows without end, and a scan on which the model is not finite, have no number, and neither
has what is made of all scans. A reference of another level of theory gives the force-based FSD alone, whose names then
begin with ``other_level``. In a crystal one atom moves on the line to its nearest neighbour, from 0.7 to 1.3 of the
distance: all but the FSD, which is of molecules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.physics.bonds import (
    BONDED,
    SUPERCELL,
    Scan,
    Track,
    ask,
    ask_reference,
    bond_scan,
    breakable,
    covalent_sums,
    crossings,
    neighbour_scans,
)
from scalarfid.physics.crystals import same_level
from scalarfid.physics.kept import answers_of
from scalarfid.physics.options import Options, limited, one_of
from scalarfid.physics.outcome import Number, Outcome, mean, over_scans
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.roughness import (
    DEEPEST,
    ENERGY_JUMP,
    FINER,
    FORCE_JUMP,
    LEVELS,
    SLOPE_JUMP,
    WORK,
    faults_of,
    looked_at,
    roughness,
)
from scalarfid.physics.surface import LEAST, Surface
from scalarfid.physics.systems import System

Array = NDArray[np.float64]
FLOOR = 1.0
"""(eV/Å)²; a smaller Σ|ΔF|² counts as this, as published."""
OTHER = "other_level_"
"""Before the names of numbers that come from a reference of another level of theory than the labels."""
DRAWN = 12
ROUGH = {"energy_jump": "eV", "force_jump": "eV/Å", "force_slope_jump": "eV/Å²", "work_error": "eV"}
"""Numbers of every scan that need no reference, and their units."""
ENDLESS = "grows without end as steps become smaller"
"""Why a jump has no size."""
HEADLINES = {"mean.fsd_full", "mean.fsd_compress", "mean.fsd_stretch", "largest.energy_jump", "largest.force_jump"}


@dataclass
class BsctOptions(Options):
    """Options of the scans.

    Attributes:
        bonds: ``published``, the bond that BSCT-SPICE scans where the set says which, else every one; or ``all``.
        points: of a scan.
        nearest: shortest bond, in sums of covalent radii.
        furthest: longest bond, in sums of covalent radii.
        crystal_nearest: shortest bond of crystals, in nearest-neighbour distances.
        crystal_furthest: longest bond of crystals, in nearest-neighbour distances.
    """

    bonds: str = one_of(("published", "all"), "published")
    points: int = limited(100, least=LEAST)
    nearest: float = 0.5
    furthest: float = 2.0
    crystal_nearest: float = 0.7
    crystal_furthest: float = 1.3

    def check(self, question: str) -> None:
        """Refuse also lengths that do not grow."""
        super().check(question)
        for prefix in ("", "crystal_"):
            near, far = getattr(self, f"{prefix}nearest"), getattr(self, f"{prefix}furthest")
            if near >= far:
                raise ScalarFidError(
                    f"bsct.{prefix}nearest={near:g}, {prefix}furthest={far:g}; give lengths above zero that grow"
                )


def log_force(forces: Array, equilibrium: Array) -> Array:
    """Logarithm ln max(Σ|F(α) − F_ref(e)|², 1) [K], of forces [K,N,3] and F_ref(e) [N,3] in eV/Å."""
    return np.log(np.maximum(((forces - equilibrium) ** 2).sum((1, 2)), FLOOR))


def fsd(alpha: Array, forces: Array, reference: Array, equilibrium: int) -> dict[str, float | None]:
    """Force smoothness deviation max |ΔL/Δα| in Å⁻¹, L(α) = ln max(Σ|ΔF_model|², 1) − ln max(Σ|ΔF_ref|², 1).

    ΔF_X(α) = F_X(α) − F_ref(e): the reference's equilibrium force is taken from both (arXiv 2602.04861).

    Args:
        alpha: [K] bond lengths in Å.
        forces: [K,N,3] of the model in eV/Å.
        reference: [K,N,3] of the reference.
        equilibrium: e, the frame of lowest reference energy.

    Returns:
        ``full``, ``compress`` (frames up to e) and ``stretch`` (from e on); None where there are not two frames.
    """
    offset = reference[equilibrium]
    slope = np.abs(np.diff(log_force(forces, offset) - log_force(reference, offset)) / np.diff(alpha))
    parts = {"full": slope, "compress": slope[:equilibrium], "stretch": slope[equilibrium:]}
    return {name: float(part.max()) if part.size else None for name, part in parts.items()}


def compared(scan: Scan, model: Track, reference: Track, *, same: bool) -> dict[str, Number]:
    """FSD of a molecule and, at the ``same`` level of theory, mean absolute errors; all frames have a reference."""
    e = int(reference.energy.argmin())
    smooth = {} if scan.periodic else fsd(scan.alpha, model.forces, reference.forces, e)
    found = {f"{'' if same else OTHER}fsd_{part}": Number(value, "1/Å") for part, value in smooth.items()}
    if not same:
        return found
    found["energy_mae"] = Number(float(np.abs(model.energy - reference.energy).mean()), "eV")
    found["forces_mae"] = Number(float(np.abs(model.forces - reference.forces).mean()), "eV/Å")
    return found


def unanswered(scan: Scan, reference: Track | None, reason: str, *, same: bool) -> dict[str, Number]:
    """Numbers that a scan would have, without values and with the reason as note."""
    beside = {} if reference is None else compared(scan, reference, reference, same=same)
    units = {key: number.unit for key, number in beside.items() if number.value is not None}
    return {key: Number(None, unit, note=reason) for key, unit in (units | ROUGH).items()}


def judge(
    surface: Surface, scan: Scan, model: Track, reference: Track | None, *, same: bool = True
) -> tuple[dict[str, Number], dict[str, Array], list[str]]:
    """Numbers, arrays and faults of one scan; whether the reference is of the ``same`` level of theory."""
    if not (np.isfinite(model.energy).all() and np.isfinite(model.forces).all()):
        reason = "the model's energy or forces are not finite"
        return unanswered(scan, reference, reason, same=same), {}, [f"{scan.name}: {reason}"]
    crossed = None if surface.cutoff is None else crossings(scan, surface.cutoff)
    found = looked_at(surface, scan, model)
    numbers = {} if reference is None else compared(scan, model, reference, same=same)
    sizes = (found.energy.size, found.force.size, found.slope.size, found.rest)
    for (key, unit), size in zip(ROUGH.items(), sizes, strict=True):
        numbers[key] = Number(size, unit) if np.isfinite(size) else Number(None, unit, note=ENDLESS)
    arrays = {"alpha": scan.alpha, "energy": model.energy, "pull": model.pull(scan)}
    if crossed is not None:
        numbers["cutoff_crossings"] = Number(len(crossed), "")
        arrays["cutoff_crossings"] = np.bincount([c.interval for c in crossed], minlength=len(scan.alpha) - 1)
        arrays["crossing_pairs"] = np.array([crossing.pair for crossing in crossed], dtype=str)
    if reference is not None:
        offset = reference.forces[reference.energy.argmin()]
        arrays |= {"reference_energy": reference.energy, "reference_pull": reference.pull(scan)} if same else {}
        if not scan.periodic:
            arrays["L"] = log_force(model.forces, offset) - log_force(reference.forces, offset)
    expected = None if reference is None or not same else roughness(scan, reference)
    return numbers, arrays, faults_of(scan, found, expected, surface.cutoff)


def scans_of(system: System, options: BsctOptions) -> Iterator[Scan]:
    """A scan of every bond asked for, of every molecule."""
    for name, atoms in system.molecules.items():
        given = atoms.info.get("bond") if options.bonds == "published" else None
        for bond in breakable(atoms) if given is None else [tuple(given)]:
            ends = np.array([options.nearest, options.furthest]) * covalent_sums(atoms)[bond]
            yield bond_scan(name, atoms, bond, np.linspace(*ends, options.points))


def crystal_scans(system: System, options: BsctOptions) -> Iterator[Scan]:
    """One atom of each element of every crystal, moved towards its nearest neighbour and away."""
    ratios = np.linspace(options.crystal_nearest, options.crystal_furthest, options.points)
    for name, crystal in system.crystals.items():
        yield from neighbour_scans(name, crystal, ratios)


def summary(numbers: dict[str, Number]) -> dict[str, Number]:
    """Means over scans of what is published so, and the largest of the jumps; no value where a scan has none."""
    found = {}
    for key in dict.fromkeys(name.rpartition(".")[2] for name in numbers):
        averaged = key.removeprefix(OTHER).startswith(("fsd", "energy_mae", "forces_mae"))
        of_scans = {
            name.removesuffix(f".{key}"): number for name, number in numbers.items() if name.endswith(f".{key}")
        }
        one = over_scans(of_scans, mean if averaged else max)
        if one is not None and key != "cutoff_crossings":
            found[f"{'mean' if averaged else 'largest'}.{key}"] = one
    return {name: number.headline("less") if name in HEADLINES else number for name, number in found.items()}


def draw(outcome: Outcome, figure: Figure) -> None:
    """Two panels a scan, the first dozen: energy with the reference dashed, and L(α) or else the pull."""
    names = outcome.drawn("alpha")[:DRAWN]
    columns = max(min(len(names), 4), 1)
    rows = -(-len(names) // columns) or 1
    figure.set_size_inches(3.4 * columns, 4.6 * rows)
    panels = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in panels.ravel():
        axes.set_visible(False)
    for k, name in enumerate(names):
        above, below = panels[2 * (k // columns), k % columns], panels[2 * (k // columns) + 1, k % columns]
        _draw_scan(outcome, {key: outcome.arrays.get(f"{name}.{key}") for key in _CURVES}, above, below)
        above.set_title(name)
    if names:
        panels[0, 0].legend()


_CURVES = ("alpha", "energy", "pull", "reference_energy", "L", "cutoff_crossings")


def _draw_scan(outcome: Outcome, curves: dict[str, Array | None], above: Any, below: Any) -> None:
    for axes in (above, below):
        axes.set_visible(True)
    alpha, zero = curves["alpha"], curves["energy"].min()
    above.plot(alpha, curves["energy"] - zero, label=outcome.model)
    if curves["reference_energy"] is not None:
        above.plot(alpha, curves["reference_energy"] - zero, "k--", label=outcome.reference)
    if curves["cutoff_crossings"] is not None:
        for x in (alpha[:-1] + alpha[1:])[curves["cutoff_crossings"] > 0] / 2:
            below.axvline(x, color="0.85", zorder=0)
    below.plot(alpha, curves["pull"] if curves["L"] is None else curves["L"])
    above.set(ylabel="E (eV)")
    below.set(xlabel="α (Å)", ylabel="−dE/dα (eV/Å)" if curves["L"] is None else "L")
    if curves["L"] is None:
        below.set_yscale("symlog", linthresh=1.0)


@diagnostic("bsct", BsctOptions, draw, needs=("structure",))
def measure(model: Surface, reference: Surface | None, system: System, options: BsctOptions) -> Outcome:
    """Scan model and reference and judge the model; frames without a reference energy are dropped from both.

    Raises:
        ScalarFidError: an option out of range, such as fewer than ten points, or lengths that do not grow.
    """
    options.check("bsct")
    scans, same = [*scans_of(system, options), *crystal_scans(system, options)], same_level(reference, system)
    truths = [None] * len(scans)
    if reference is not None:
        truths = ask_reference(reference, scans, answers_of(reference, system))
    numbers, arrays, faults, dropped = {}, {}, [], 0
    for scan, track, truth in zip(scans, ask(model, scans), truths, strict=True):
        rows = np.full(len(scan.alpha), True) if truth is None else np.isfinite(truth.energy)
        dropped += int((~rows).sum())
        if rows.sum() < LEAST:
            faults.append(f"{scan.name}: not judged, {reference.name} answers only {rows.sum()} of {len(rows)} frames")
            continue
        found, curves, wrong = judge(model, scan.kept(rows), track.kept(rows), truth and truth.kept(rows), same=same)
        numbers |= {f"{scan.name}.{key}": number for key, number in found.items()}
        arrays |= {f"{scan.name}.{key}": curve for key, curve in curves.items()}
        faults += wrong
    settings = asdict(options) | {
        "scans": len(scans),
        "reference_level": reference and ("the labels' own" if same else "another than the labels': forces only"),
        "frames_dropped": dropped,
        "floor_eV2_per_A2": FLOOR,
        "bonded_below_covalent_sums": BONDED,
        "crystal_atoms_at_most": SUPERCELL,
        "cutoff_A": model.cutoff,
        "energy_jump_from_eV": ENERGY_JUMP,
        "force_jump_from_eV_per_A": FORCE_JUMP,
        "work_error_from_eV": WORK,
        "force_slope_jump_from_eV_per_A2": SLOPE_JUMP,
        "finer_where_above": [FINER**LEVELS, FINER**DEEPEST],
    }
    return Outcome(
        "bsct", model.name, reference and reference.name, settings, numbers | summary(numbers), arrays, faults
    )
