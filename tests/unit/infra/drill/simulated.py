"""An event loop whose clock goes on only when nothing happens: a drill of seconds takes what its requests take.

Sockets are real and on loopback. Only waiting is simulated: when no socket is ready, the clock is set forward to the
next timer. So both ends of a connection must be on this loop. A thread that breaks or heals a site is waited for.
"""

import asyncio
import contextlib
import selectors
import threading
from collections.abc import Callable, Iterator

_GRACE_S = 0.001  # for the kernel to hand over what was written on loopback
_LATE_S = 1e-6  # a timer is never early, also where floats are rounded


class _Selector(selectors.DefaultSelector):
    """Sets the clock forward instead of waiting."""

    now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or any(thread.name == "fault" for thread in threading.enumerate()):
            return super().select(0.02)  # no timer, or something that is not on this loop: it is waited for
        ready = super().select(_GRACE_S)
        if not ready:
            self.now_s += timeout + _LATE_S
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`before_close` holds what is called in the loop's thread before it is closed."""

    def __init__(self) -> None:
        self._clock = _Selector()
        self.before_close: list[Callable[[], None]] = []
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s

    def close(self) -> None:
        if not self.is_closed():
            for act in self.before_close:
                act()
            self.run_until_complete(asyncio.sleep(0))  # transports that were closed say so
        super().close()


@contextlib.contextmanager
def simulated_loop() -> Iterator[SimulatedLoop]:
    """A loop for one drill, which closes it; it is closed here when no drill came so far."""
    loop = SimulatedLoop()
    try:
        yield loop
    finally:
        loop.close()
