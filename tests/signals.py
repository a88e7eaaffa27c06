"""Signals that tests send, and the disposition that they need.

Whoever starts pytest decides what SIGINT does to it and to every process that it starts: a shell ignores SIGINT in its
background jobs, and so may a runner of parallel tests. A test that sends or expects SIGINT therefore sets it itself.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import pytest


@contextlib.contextmanager
def disposition(number: signal.Signals, handler: "signal._HANDLER") -> Iterator[None]:
    """Set what a signal does in the block; a process that is started in it inherits whether the signal is ignored."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt here and in Python processes that the test starts; it ends other programs."""
    with disposition(signal.SIGINT, signal.default_int_handler):
        yield


@pytest.fixture
def uninterruptible() -> Iterator[None]:
    """SIGINT is ignored here and in what the test starts, as in the background job of a shell script."""
    with disposition(signal.SIGINT, signal.SIG_IGN):
        yield


@contextlib.contextmanager
def once(condition: Callable[[], object], act: Callable[[], None]) -> Iterator[None]:
    """Call `act` from a thread when `condition` holds, unless the block ends first.

    Nothing is done after the block: a signal for code that has failed early would end the test run.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if condition():
                act()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
