"""The one place where any exception is kept instead of raised: what fails in a cell or a question stays there."""

from __future__ import annotations

import traceback
from types import TracebackType

from scalarfid.errors import ScalarFidError


class Caught:
    """A context that keeps an exception; signals and exits pass.

    Attributes:
        error: what was raised, None so far.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Caught:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if isinstance(error, Exception):
            self.error = error
        return self.error is not None

    @property
    def text(self) -> str:
        """One line for bad input, the traceback for anything else, empty for nothing."""
        if self.error is None or isinstance(self.error, ScalarFidError):
            return str(self.error or "")
        return self.traceback

    @property
    def traceback(self) -> str:
        """Of what was raised."""
        return "".join(traceback.format_exception(self.error))
