"""The one error that reaches a user: what is wrong, the offending value, the remedy; and the check of a number."""

from __future__ import annotations

import math


class ScalarFidError(ValueError):
    """Bad input: a file, a label, an option or a combination that cannot be used.

    The message is one line that says what is wrong, shows the value, and names the remedy. Entry points print it
    without a traceback and exit with status 2; in a Python session it behaves like the ``ValueError`` it is.

    Attributes:
        exit_status: of an entry point that it ends.
    """

    exit_status = 2


def check_number(name: str, number: float, least: float | None = None, below: float = math.inf) -> None:
    """Refuse a number that is not finite, not from ``least`` on (None: not above zero), or not below a limit.

    Raises:
        ScalarFidError: the name, the number and its limits.
    """
    large = number > 0 if least is None else number >= least
    if not (large and number < below):
        limits = ["> 0" if least is None else f"≥ {least:g}"]
        limits += ["finite"] if not math.isfinite(number) else [f"< {below:g}"] if math.isfinite(below) else []
        raise ScalarFidError(f"{name}={number:.12g} is out of range; it must be {' and '.join(limits)}.")
