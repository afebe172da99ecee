"""Asking a run to stop: signals set a flag, the run saves at the next batch."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class StopRequest:
    """A flag that signals set while training goes on; at other times, when there is nothing to save, they interrupt.

    Attributes:
        signum: the signal received, None so far.
        armed: whether a run looks at the flag.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.armed = False

    def receive(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Note a signal; the second one, or one while nothing is being trained, interrupts at once."""
        again = self.signum is not None
        self.signum = signum
        if again or not self.armed:
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Receive the signals for the duration; for entry points, in the main thread."""
        before = {number: signal.signal(number, self.receive) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def arm(self) -> Iterator[None]:
        """Look at the flag for the duration."""
        self.armed = True
        try:
            yield
        finally:
            self.armed = False
