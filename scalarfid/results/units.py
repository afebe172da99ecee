"""What is shown and in which unit. Numbers are kept in eV and Å; consoles, tables and plots show meV."""

from __future__ import annotations

from dataclasses import dataclass

MEV = 1000.0
"""meV in one eV."""


@dataclass(frozen=True)
class Quantity:
    """One label: its key, its metric's name (``<metric>_mae``), and how tables and axes name it."""

    label: str
    metric: str
    symbol: str
    unit: str
    shown_unit: str


QUANTITIES = (
    Quantity("energy", "energy_per_atom", "E", "eV/atom", "meV/atom"),
    Quantity("forces", "forces", "F", "eV/Å", "meV/Å"),
    Quantity("stress", "stress", "S", "eV/Å³", "meV/Å³"),
)


def in_mev(value: float | None) -> str:
    """An error in eV units as meV to three digits; a dash where there is none."""
    if value is None:
        return "–"
    shown = MEV * value
    decimals = next((d for d, limit in ((3, 0.1), (2, 10), (1, 1000)) if abs(shown) < limit), 0)
    return f"{shown:.{decimals}f}"
