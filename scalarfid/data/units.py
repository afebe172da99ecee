"""Unit expressions such as ``kcal/mol/Ang`` as factors to eV and Å, by ``ase.units`` alone."""

from __future__ import annotations

import re

from ase import units

from scalarfid.errors import ScalarFidError

_NAMES = ("eV", "meV", "kcal", "kJ", "mol", "Hartree", "Ha", "Rydberg", "Ry", "Ang", "Angstrom", "nm", "Bohr", "J")
_NAMES += ("GPa", "Pascal", "bar")
_SCALES = {name: getattr(units, name) for name in _NAMES if hasattr(units, name)}
_SCALES |= {"meV": 1e-3, "A": units.Ang, "kbar": 1000 * units.bar, "MPa": 1e-3 * units.GPa}
_OF_A_MOLE = {"kcal", "kJ", "J"}
_TERM = re.compile(r"([A-Za-z]+)(?:\^?(\d))?")


def factor(expression: str) -> float:
    """Value of one ``expression`` in eV, Å and their products: ``factor("kcal/mol") * number`` is in eV.

    The grammar is names joined by ``*`` and ``/`` with single-digit powers and an optional leading minus.

    Raises:
        ScalarFidError: a name that is not a unit, a malformed expression, or ``kcal``, ``kJ`` or ``J`` not per mole.
    """
    text = expression.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    value = sign
    terms = re.findall(r"(^|[*/])([^*/]*)", text.removeprefix("-").replace(" ", ""))
    for operator, term in terms:
        match = _TERM.fullmatch(term)
        if match is None or match[1] not in _SCALES:
            known = ", ".join(sorted(_SCALES))
            raise ScalarFidError(f"unit {expression!r}: {term!r} is not known; write it with * / ^ and {known}")
        power = int(match[2] or 1)
        value *= _SCALES[match[1]] ** (-power if operator == "/" else power)
    molar = next((term for _, term in terms if term in _OF_A_MOLE), None)
    if molar is not None and ("/", "mol") not in terms:
        per_mole = text.replace(molar, f"{molar}/mol")
        raise ScalarFidError(f"unit {expression!r}: {molar} not per mole is beyond any frame; write {per_mole}")
    return value
