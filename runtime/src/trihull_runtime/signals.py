"""Delays signals while something is started that must be ended when they come."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def delayed() -> Iterator[None]:
    """Call the handlers of SIGINT and SIGTERM at the end of the block instead of inside it.

    A handler that raises (KeyboardInterrupt, SystemExit) in the middle of starting a process leaves it behind: nobody
    has it yet who could end it. So start it, and enter what ends it, inside this block. Signals without a handler keep
    their action, ignored ones stay ignored also in the new process, and other threads than the main one, in which no
    handler ever runs, are left alone.
    """
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    before: dict[signal.Signals, signal._HANDLER] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for received in arrived:
            signal.raise_signal(received)
