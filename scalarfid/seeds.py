"""Independent random streams from one seed: backbone, probes and data order never share a generator."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, role: str) -> int:
    """Return a 63-bit seed that depends on (seed, role) alone, equal on every machine and process."""
    digest = hashlib.sha256(f"{seed}/{role}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
