"""Bond scans for a model in training: a few numbers, quickly, of a few bonds of the molecules that it is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scalarfid.errors import ScalarFidError
from scalarfid.physics.bonds import Scan, Track, answered, ask, ask_reference
from scalarfid.physics.bsct import BsctOptions, judge, scans_of, summary
from scalarfid.physics.kept import answers_of
from scalarfid.physics.surface import surface
from scalarfid.physics.systems import system_of
from scalarfid.potential import Potential

SCANS = 3
"""At most, evenly over the bonds of the set."""


@dataclass(frozen=True)
class SmoothnessWatch:
    """FSD and jumps of some scans.

    Attributes:
        scans: what is scanned; only frames with a reference energy.
        truths: what the potential that made the labels says; None where the labels have another origin.
    """

    scans: Sequence[Scan]
    truths: Sequence[Track | None]
    measured: ClassVar[dict[str, str]] = {
        "smooth/fsd": "mean.fsd_full",
        "smooth/energy_jump": "largest.energy_jump",
        "smooth/force_jump": "largest.force_jump",
        "smooth/work_error": "largest.work_error",
    }

    @property
    def columns(self) -> list[str]:
        """Names of the numbers (1/Å, eV, eV/Å, eV); the FSD only beside a reference."""
        return list(self.measured)[self.truths[0] is None :]

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> SmoothnessWatch:
        """For the ``dataset`` group of a run's configuration; the reference is asked now, or was before.

        Raises:
            ScalarFidError: no molecule with a bond is known for this set, or its reference is not installed or answers
                for none of them.
        """
        system = system_of(dataset, ())
        scans = list(scans_of(system, BsctOptions()))
        if not scans:
            raise ScalarFidError(f"run.smoothness: no bond to scan is known for {system.name}; leave it null")
        scans = [scans[k] for k in np.unique(np.linspace(0, len(scans) - 1, SCANS).round().astype(int))]
        if system.reference is None:
            return cls(scans, [None] * len(scans))
        truth = surface(system.reference)
        known = answered(scans, ask_reference(truth, scans, answers_of(truth, system)))
        if not known:
            raise ScalarFidError(f"run.smoothness: {truth.name} answers for no bond of {system.name}; leave it null")
        return cls(*zip(*known, strict=True))

    def __call__(self, potential: Potential) -> dict[str, float]:
        """Means of the FSD and largest jumps over the scans; nothing where one has no such number."""
        asked, numbers = surface(potential), {}
        for scan, track, truth in zip(self.scans, ask(asked, self.scans), self.truths, strict=True):
            numbers |= {f"{scan.name}.{key}": number for key, number in judge(asked, scan, track, truth)[0].items()}
        found = {key: number.value for key, number in summary(numbers).items() if number.value is not None}
        return {name: float(found[key]) for name, key in self.measured.items() if key in found}
