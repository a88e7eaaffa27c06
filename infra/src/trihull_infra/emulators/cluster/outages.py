"""Whether a cluster works, or an outage keeps it from doing anything."""

import asyncio
import enum


class OutageKind(enum.StrEnum):
    """How a site fails: everything on it dies, or everything on it stops moving."""

    KILL = "kill"
    FREEZE = "freeze"


class Gate:
    """Open while the cluster works. Made and used in the cluster's loop."""

    def __init__(self) -> None:
        """Open at first."""
        self._open = asyncio.Event()
        self._open.set()
        self.epoch = 0  # grows whenever an outage begins or ends: what spans a change says nothing about health

    @property
    def is_open(self) -> bool:
        """Tell whether the cluster works."""
        return self._open.is_set()

    async def opened(self) -> None:
        """Wait until no outage keeps the cluster from working."""
        await self._open.wait()

    def close(self) -> None:
        """Begin an outage."""
        self.epoch += 1
        self._open.clear()

    def open(self) -> None:
        """End the outage."""
        self.epoch += 1
        self._open.set()
