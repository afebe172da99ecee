"""The potential: backbone + probes + E0, scale, ZBL → energy [B], forces [N,3], stress [B,3,3]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalarfid.potential.build import MODEL_FILE, build, load, model_config, save
from scalarfid.potential.core import Potential, is_probe
from scalarfid.potential.device import device_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scalarfid.potential.compiled import Compiled

__all__ = ["MODEL_FILE", "Potential", "build", "device_of", "faster", "is_probe", "load", "model_config", "save"]


def faster(potential: Potential, batches: Iterable[tuple[int, int, int]] | None = None) -> Compiled:
    """Return what computes the same, compiled, see :class:`~scalarfid.potential.compiled.Compiled`."""
    from scalarfid.potential.compiled import Compiled  # noqa: PLC0415 - imports the compiler

    return Compiled(potential, batches)
