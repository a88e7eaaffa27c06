"""Breaking a site and putting it back: one Protocol, one implementation per kind of site."""

import contextlib
import enum
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from trihull_infra.emulators.client import Daemon
from trihull_infra.errors import DrillError, EmulatorError
from trihull_runtime.errors import TrihullError


class FaultKind(enum.StrEnum):
    """How a site fails: its processes die at once, or hang with their connections open."""

    KILL = "kill"
    FREEZE = "freeze"


class Faults(Protocol):
    """Something that can break sites. `end` of a site that is whole does nothing."""

    def begin(self, site: str, kind: FaultKind) -> None:
        """Break a site; returns when the fault is in force."""

    def end(self, site: str) -> None:
        """Put a site back."""


class EmulatedFaults:
    """Faults of the emulated clouds. They come with a lease: should the drill itself die, the site heals after it.

    With a `workload`, the name of a Deployment, only that of the site fails.
    """

    def __init__(self, daemon: Daemon, lease_s: float, workload: str | None = None) -> None:
        self._daemon, self._lease_s, self._workload = daemon, lease_s, workload

    def begin(self, site: str, kind: FaultKind) -> None:
        """Break a site, or its workload; raises `EmulatorError`."""
        self._daemon.begin_outage(site, kind.value, self._lease_s, self._workload)

    def end(self, site: str) -> None:
        """Put a site back; raises `EmulatorError`."""
        self._daemon.end_outage(site)


class ProcessFaults:
    """Faults of processes that the caller owns.

    Args:
        processes: site -> ids of its processes now.
        restart: called with a killed site; starts it again.
    """

    def __init__(self, processes: Callable[[str], Sequence[int]], restart: Callable[[str], None]) -> None:
        self._processes, self._restart = processes, restart
        self._broken: dict[str, FaultKind] = {}

    def begin(self, site: str, kind: FaultKind) -> None:
        """Send SIGKILL or SIGSTOP to every process of a site; raises `DrillError` when there is none."""
        pids = self._processes(site)
        if not pids:
            raise DrillError(f"site {site} has no process that could be broken")
        self._broken[site] = kind
        for pid in pids:
            os.kill(pid, signal.SIGKILL if kind is FaultKind.KILL else signal.SIGSTOP)

    def end(self, site: str) -> None:
        """Restart a killed site, let a frozen one go on."""
        match self._broken.pop(site, None):
            case FaultKind.KILL:
                self._restart(site)
            case FaultKind.FREEZE:
                for pid in self._processes(site):
                    with contextlib.suppress(ProcessLookupError):  # it may have been ended while frozen
                        os.kill(pid, signal.SIGCONT)
            case None:
                pass


class Outage:
    """One fault on one site, that is put back however the drill ends: use it as a context."""

    def __init__(self, faults: Faults, site: str, kind: FaultKind) -> None:
        self.site, self.kind = site, kind
        self._faults = faults
        self._lock = threading.Lock()  # begin and end run in threads beside the load
        self._standing = False

    def begin(self) -> None:
        """Break the site."""
        with self._lock:
            self._standing = True  # before the call: a begin that failed half-way must be put back too
            self._faults.begin(self.site, self.kind)

    def end(self) -> None:
        """Put the site back, once."""
        with self._lock:
            if self._standing:
                self._faults.end(self.site)
                self._standing = False

    def __enter__(self) -> "Outage":
        """Return itself; nothing is broken yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the site back if it is broken; when that fails too, say both."""
        try:
            self.end()
        except TrihullError as problem:
            if error is None:
                raise
            first = str(error) or type(error).__name__
            raise DrillError(f"{first}; and {self.site} could not be put back: {problem}") from error


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit(143)`, so that contexts are left as for Ctrl-C."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def check_sites(sites: Mapping[str, object], wanted: Sequence[str]) -> None:
    """Check that every wanted site of the emulators (`Daemon.sites()`) has pods and that all of them are ready.

    Raises:
        EmulatorError: one has no cluster, no pods, or a pod that is not ready; the message names it.
    """
    for site in wanted:
        entry = sites.get(site)
        if not isinstance(entry, Mapping):
            raise EmulatorError(f"site {site} has no emulated cluster; deploy it first: trihull up")
        pods = entry.get("pods") or []
        if not pods:
            raise EmulatorError(f"site {site} runs nothing; deploy it first: trihull up")
        if waiting := [str(pod["name"]) for pod in pods if not pod["ready"]]:
            raise EmulatorError(f"site {site} is not ready: {', '.join(waiting)}; see trihull emulators status")
