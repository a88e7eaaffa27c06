"""`python -m trihull_runtime.router.supervised`: the router of a container, whose control process may die.

Envoy outlives the control process, but nothing outlives a container's first process. So this is that first process: it
starts the control process, starts it again when it dies of anything but its own will, and passes signals on. It does
nothing else, so that nothing else can end it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

from trihull_runtime import signals

COMMAND: Final = (sys.executable, "-m", "trihull_runtime.router")
WILLED: Final = (0, 64, 65, 78)  # ended when told to, or refused what it was given: starting again changes nothing
PAUSE_S: Final = (0.1, 5.0)  # first and longest, before it is started again
STAYED_S: Final = 60.0  # a process that lived so long is no longer one that does not start


def supervise(command: Sequence[str] = COMMAND) -> int:
    """Run the control process until it ends by its own will, or a signal ended it; returns its exit code."""
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if child is not None and child.returncode is None:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    pause_s = PAUSE_S[0]
    while True:
        begin = time.monotonic()
        with signals.delayed():  # a signal that comes meanwhile is passed on to this child
            child = subprocess.Popen(command)
        code = _wait(child)
        if stopping or code in WILLED:
            return code if code >= 0 else 128 - code
        pause_s = PAUSE_S[0] if time.monotonic() - begin > STAYED_S else pause_s
        print(
            f"trihull: the control process ended with {code} and is started again; Envoy goes on",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S[1])
        if stopping:
            return 0


def _wait(child: "subprocess.Popen[bytes]") -> int:
    """Wait for the child's end; whoever else ends meanwhile (Envoy, once its parent died) is reaped too."""
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode


if __name__ == "__main__":
    sys.exit(supervise())
