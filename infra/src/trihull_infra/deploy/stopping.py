"""Turns SIGINT and SIGTERM into a request to stop a deploy cleanly."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from trihull_infra.deploy.progress import Display


class Stop:
    """Remembers that the user wants an end; SIGINT and SIGTERM set it while `listening`."""

    def __init__(self) -> None:
        """Start with nothing asked."""
        self.signal: signal.Signals | None = None

    @contextlib.contextmanager
    def listening(self, display: Display) -> Iterator[None]:
        """Take SIGINT and SIGTERM as a wish to stop cleanly; restores the handlers afterwards."""

        def ask(number: int, _frame: FrameType | None) -> None:
            first = self.signal is None
            self.signal = signal.Signals(number)
            text = "stopping: what runs is finished first" if first else "still stopping: killing it would lose state"
            display.note(text)

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
