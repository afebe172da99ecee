"""LiF against its labels' own level of theory: elastic constants, phonons and the compressed crystal, by PBE itself.

python experiments/physics/lif_dft.py [PSEUDOPOTENTIALS]     (minutes; writes lif_dft.{json,md} beside itself)

The labels of `lif` are PBE of Quantum ESPRESSO (pw.x): 80 Ry, 8 atoms with 2×2×2 shifted k-points. Here pw.x answers
the questions of `scalarfid.physics` through ASE, with the same settings, in that cell, and every LiF model of
../ablation is asked in the same cell (phonons: supercell = 1, in which Γ and X are exact). lif_dft_answers.json keeps
what pw.x said, so that it is needed only for other questions; then PSEUDOPOTENTIALS is the folder of Li_qe.upf and
F_qe.upf, those of the labels.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.espresso import Espresso, EspressoProfile

import scalarfid
from scalarfid.files import digest, read_json, write_json, write_text
from scalarfid.log import progress, setup_logging
from scalarfid.physics import System, elastic, phonons, repulsion, surface
from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.surface import OfCalculator, Surface
from scalarfid.results.paired import Paired, absolute_changes, holm, paired
from scalarfid.results.tables import markdown

FOLDER = Path(__file__).parent
CELLS = FOLDER.parent / "ablation" / "cells"
NAME, CRYSTAL = "PBE", "LiF rocksalt"
SYSTEM = System("lif", (), {CRYSTAL: bulk("LiF", "rocksalt", a=4.06, cubic=True)}, reference=NAME)
QUESTIONS = {
    "elastic": (elastic.measure, elastic.ElasticOptions(fmax=1e-4)),
    "phonons": (phonons.measure, phonons.PhononsOptions(supercell=1, fmax=1e-4)),
    "repulsion": (repulsion.measure, repulsion.RepulsionOptions()),
}
REFERENCE = {"code": "Quantum ESPRESSO 6.7, pw.x", "ecutwfc_Ry": 80, "kpts": (2, 2, 2), "koffset": (1, 1, 1)}
CONVERGED = 1e-12  # Ry, of the energy
ARMS = ("none", "mlp", "pan+pgs")
SHOWN = {
    f"{CRYSTAL}.a0": "lattice constant (Å)",
    f"{CRYSTAL}.C11": "C11 (GPa)",
    f"{CRYSTAL}.C12": "C12 (GPa)",
    f"{CRYSTAL}.C44": "C44 (GPa)",
    f"{CRYSTAL}.B": "B (GPa)",
    f"{CRYSTAL}.gamma_optical": "TO at Γ (THz)",
    f"{CRYSTAL}.mean_optical": "optical branches, mean (THz)",
    f"{CRYSTAL}.wall_force_absolute_error": "error of the repulsive force (%)",
    f"{CRYSTAL}.soft_range": "compressed wall gives way over (Å)",
}
TEXT = """# LiF against PBE itself

Made by lif_dft.py; every number with its settings and the model's hash is in lif_dft.json. Values by seed. Changes:
deviation from PBE of pan+pgs less that of the other, mean over seeds with its 95 % t interval; p after Holm's
correction over this table. Negative is better.

"""


class Kept(Calculator):
    """Answers of pw.x, from the file where it has them."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, path: Path, pseudopotentials: str | None) -> None:
        super().__init__()
        self.path, self.pseudopotentials = path, pseudopotentials
        self.known: dict[str, Any] = read_json(path) or {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = implemented_properties,
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Energy in eV, forces in eV/Å, stress (Voigt) in eV/Å³."""
        super().calculate(atoms, properties, system_changes)
        key = mark(self.atoms)
        if key not in self.known:
            self.known[key] = self._asked(self.atoms.copy())
            write_json(self.path, self.known)
        self.results = {name: np.array(value) for name, value in self.known[key].items()}
        self.results["energy"] = float(self.results["energy"])

    def _asked(self, atoms: Atoms) -> dict[str, Any]:
        if self.pseudopotentials is None:
            raise SystemExit(f"{self.path.name} lacks a frame; give the folder of pseudopotentials, for pw.x")
        with tempfile.TemporaryDirectory() as folder:
            atoms.calc = Espresso(
                profile=EspressoProfile("pw.x", self.pseudopotentials),
                directory=folder,
                input_data={
                    "control": {"disk_io": "none", "tprnfor": True, "tstress": True},
                    "system": {"ecutwfc": REFERENCE["ecutwfc_Ry"]},
                    "electrons": {"conv_thr": CONVERGED},
                },
                pseudopotentials={"Li": "Li_qe.upf", "F": "F_qe.upf"},
                kpts=REFERENCE["kpts"],
                koffset=REFERENCE["koffset"],
            )
            values = atoms.get_potential_energy(), atoms.get_forces().tolist(), atoms.get_stress().tolist()
        return dict(zip(self.implemented_properties, values, strict=True))


def mark(atoms: Atoms) -> str:
    """Of elements, cell and positions, these to 1e-8 Å."""
    parts = [atoms.numbers, *(np.round(part, 8) + 0.0 for part in (atoms.cell[:], atoms.positions))]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


def answers(model: Surface, truth: Surface) -> dict[str, Outcome]:
    """All questions to one model."""
    return {name: measure(model, truth, SYSTEM, options) for name, (measure, options) in QUESTIONS.items()}


def models() -> Iterator[tuple[str, int, Path]]:
    """Arm, seed and run directory of every kept model."""
    for path in sorted(CELLS.glob("**/mace-*-lif-s*/model.safetensors")):
        arm, seed = re.fullmatch(r"mace-(.+)-lif-s(\d+)-\w+", path.parent.name).groups()
        if arm in ARMS:
            yield arm, int(seed), path.parent


def deviation(number: Number, truth: float | None) -> float:
    """Distance from the truth, or the value itself where there is none."""
    return abs(number.value - (truth or 0.0))


def tested(values: dict[str, dict[int, float]]) -> Iterator[Paired]:
    """Change of the deviation of PAN+PGS against the bare model, then the control, paired by seed."""
    for reference in ("none", "mlp"):
        seeds = sorted(values["pan+pgs"].keys() & values[reference].keys())
        pairs = ([values[arm][seed] for seed in seeds] for arm in ("pan+pgs", reference))
        yield paired(absolute_changes(*pairs))


def table(found: dict[str, dict[int, dict[str, Number]]], truth: dict[str, float | None]) -> list[list[str]]:
    """A line a measure: truth, values by seed of every arm, and the changes with Holm's p over all of them."""
    rows, tests = [], []
    for key in SHOWN:
        deviations = {
            arm: {seed: deviation(numbers[key], truth[key]) for seed, numbers in seeds.items()}
            for arm, seeds in found.items()
        }
        tests += tested(deviations)
    with_p = [test for test in tests if test.p is not None]
    adjusted = dict(zip(map(id, with_p), holm([test.p for test in with_p]), strict=True))
    for k, (key, title) in enumerate(SHOWN.items()):
        by_arm = [", ".join(f"{numbers[key].value:.4g}" for numbers in found[arm].values()) for arm in ARMS]
        changes = [_change(test, adjusted.get(id(test))) for test in tests[2 * k : 2 * k + 2]]
        known = "0" if truth[key] is None else f"{truth[key]:.4g}"
        rows.append([title, known, *by_arm, *changes])
    return rows


def _change(test: Paired, p: float | None) -> str:
    if test.low is None:
        return "no spread"
    return f"{test.mean:+.3g} ({test.low:+.3g} … {test.high:+.3g}), p {p:.2g}".replace("-", "−")


def main(arguments: Sequence[str]) -> None:
    """Ask the truth, then the models; write what came out."""
    setup_logging()
    logging.getLogger("scalarfid").setLevel("WARNING")
    calculator = Kept(FOLDER / "lif_dft_answers.json", *(arguments or [None]))
    truth = OfCalculator(calculator, NAME)
    found: dict[str, dict[int, dict[str, Number]]] = {arm: {} for arm in ARMS}
    record: dict[str, Any] = {"reference": REFERENCE, "settings": {}, "truth": {}, "models": {}}
    for arm, seed, path in progress(list(models()), "LiF"):
        asked = answers(surface(scalarfid.load(path)), truth)
        numbers = {name: number for outcome in asked.values() for name, number in outcome.numbers.items()}
        found[arm][seed] = numbers
        record["settings"] = {name: outcome.settings for name, outcome in asked.items()}
        values = {name: number.record() for name, number in numbers.items()}
        record["models"][path.name] = {"model_sha256": digest(path / "model.safetensors"), "numbers": values}
    itself = answers(truth, truth)
    record["truth"] = {name: of.record() for outcome in itself.values() for name, of in outcome.numbers.items()}
    errors = ("wall_force_absolute_error", "soft_range")
    expected = {key: None if key.endswith(errors) else record["truth"][key]["value"] for key in SHOWN}
    head = ["", NAME, *ARMS, "change of the deviation against none", "against mlp"]
    write_json(FOLDER / "lif_dft.json", record)
    write_text(FOLDER / "lif_dft.md", TEXT + markdown(head, table(found, expected)))


if __name__ == "__main__":
    main(sys.argv[1:])
