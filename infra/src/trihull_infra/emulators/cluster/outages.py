"""Whether a cluster works, or an outage keeps it, or one workload of it, from doing anything."""

import asyncio
import enum
from dataclasses import dataclass


class OutageKind(enum.StrEnum):
    """How something fails: all its processes die, or all of them stop moving."""

    KILL = "kill"
    FREEZE = "freeze"


@dataclass(frozen=True)
class Outage:
    """What stands: how it fails, and the one Deployment that does; the whole site when `workload` is None."""

    kind: OutageKind
    workload: str | None = None

    def covers(self, workload: str) -> bool:
        """Tell whether a Deployment of this name is broken by it."""
        return self.workload in (None, workload)


class Gate:
    """Open while a workload may run. Made and used in the cluster's loop."""

    def __init__(self) -> None:
        """Open at first."""
        self._open = asyncio.Event()
        self._open.set()
        self.epoch = 0  # grows whenever an outage begins or ends: what spans a change says nothing about health

    @property
    def is_open(self) -> bool:
        """Tell whether it may run."""
        return self._open.is_set()

    async def opened(self) -> None:
        """Wait until no outage keeps it from running."""
        await self._open.wait()

    def close(self) -> None:
        """Begin an outage."""
        self.epoch += 1
        self._open.clear()

    def open(self) -> None:
        """End the outage."""
        self.epoch += 1
        self._open.set()


class Gates:
    """The gates of a cluster's workloads, by the name of their Deployment. Made and used in the cluster's loop."""

    def __init__(self) -> None:
        """All are open at first."""
        self._gates: dict[str, Gate] = {}
        self._outage: Outage | None = None

    def of(self, workload: str) -> Gate:
        """Return a workload's gate; one that is asked for in an outage that covers it is closed from the start."""
        if workload not in self._gates:
            gate = self._gates[workload] = Gate()
            if self._outage is not None and self._outage.covers(workload):
                gate.close()
        return self._gates[workload]

    def close(self, outage: Outage) -> None:
        """Begin an outage: close the gates that it covers."""
        self._outage = outage
        for workload, gate in self._gates.items():
            if outage.covers(workload):
                gate.close()

    def open(self) -> None:
        """End the outage: open the gates that it closed."""
        outage, self._outage = self._outage, None
        for workload, gate in self._gates.items():
            if outage is not None and outage.covers(workload):
                gate.open()
