"""The one error that reaches a user: what is wrong, the offending value, the remedy."""

from __future__ import annotations


class ScalarFidError(ValueError):
    """Bad input: a file, a label, an option or a combination that cannot be used.

    The message is one line that says what is wrong, shows the value, and names the remedy. Entry points print it
    without a traceback and exit with status 2; in a Python session it behaves like the ``ValueError`` it is.

    Attributes:
        exit_status: of an entry point that it ends.
    """

    exit_status = 2
