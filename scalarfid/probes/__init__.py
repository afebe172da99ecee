"""What is tried on the l = 0 channels: parts, and probe sets made of parts.

A *part* is one idea on one kind of site (``pan``, ``pgs_edge``, ``mlp_readout`` …): a function from its options and the
backbone's :class:`~scalarfid.sites.Sites` to an :class:`~scalarfid.sites.Attachment`. A probe *set* is a configuration
that names parts. A new part is one file here, registered with :func:`part`, and one file in ``conf/probe/``.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from scalarfid.errors import ScalarFidError
from scalarfid.probes.registry import PARTS, Part, part
from scalarfid.seeds import derive_seed
from scalarfid.sites import Attachment, Sites

__all__ = ["PARTS", "Part", "build_attachment", "part"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def build_attachment(config: Mapping[str, Any], sites: Sites, *, dtype: torch.dtype, seed: int) -> Attachment:
    """Build the modules of a probe set, each part with its own generator from (seed, "probe.<part>").

    Args:
        config: ``{"name": …, "<part>": {options}, …}``; no part gives an empty attachment.
        sites: what the backbone exposes.
        dtype: of the new parameters.
        seed: the run's seed; at one seed a part starts equal in every set that has it.

    Raises:
        ScalarFidError: for an unknown part or option, and for two parts that need the same edge site.

    """
    parts = {name: dict(options or {}) for name, options in config.items() if name != "name"}
    for name in parts:
        if name not in PARTS:
            raise ScalarFidError(f"Unknown probe part {name!r}; the parts are {', '.join(sorted(PARTS))}.")
    attachment = Attachment(
        messages=[[] for _ in sites.messages],
        readouts=[None for _ in sites.readouts],
    )
    for name in sorted(parts, key=lambda name: PARTS[name].order):
        with torch.random.fork_rng(), double_precision():
            torch.manual_seed(derive_seed(seed, f"probe.{name}"))
            new = PARTS[name].build(parts[name], sites)
        _merge(attachment, new, name)
    _cast(attachment, dtype)
    return attachment


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Draw and tabulate in float64 whatever the default dtype: every precision starts from equal numbers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _merge(into: Attachment, new: Attachment, name: str) -> None:
    """Add the modules of one part; message modules keep the order of their parts."""
    if new.edge is not None:
        if into.edge is not None:
            raise ScalarFidError(f"Probe part {name!r} needs the edge site, which another part holds; use one of them.")
        into.edge = new.edge
    for modules, more in zip(into.messages, new.messages, strict=False):
        modules.extend(more)
    for i, module in enumerate(new.readouts):
        if into.readouts[i] is not None:
            raise ScalarFidError(f"Probe part {name!r} needs a readout site that another part holds; use one of them.")
        into.readouts[i] = module
    into.coordination |= new.coordination
    into.strict &= new.strict


def _cast(attachment: Attachment, dtype: torch.dtype) -> None:
    modules = [attachment.edge, *attachment.readouts, *(m for layer in attachment.messages for m in layer)]
    for module in modules:
        if module is not None:
            module.to(dtype)
