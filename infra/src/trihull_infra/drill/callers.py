"""Callers as clients of several routers are: they use the first, go to the next when it fails, and come back to it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trihull_infra.drill.samples import Move
from trihull_infra.drill.wire import Address, NotSentError, Pool, Response, WireError

CHECK_S: Final = 0.5  # between two questions to the first router whether it is well, while another one is used


@dataclass(frozen=True)
class Entry:
    """A router that callers know: its name (its site's, or its address where the site is not known) and address."""

    router: str
    address: Address


@dataclass(frozen=True)
class Reply:
    """What became of a request: its answer, or None and why. `router` and `sent_s` as in `Sample`."""

    response: Response | None
    reason: str = ""
    router: str | None = None
    sent_s: float | None = None


class Callers:
    """All callers of a drill: they share what they know of the routers, as the threads of one client do.

    A request that was handed to a router is never sent again, whatever becomes of it: it may not be idempotent. One
    that no router has taken yet goes to the next router.
    """

    def __init__(
        self, entries: Sequence[Entry], timeout_s: float, health_path: str, now_s: Callable[[], float]
    ) -> None:
        """Know routers in the order in which they are used; with a single one there is nowhere to go.

        Args:
            entries: at least one.
            timeout_s: without an answer for so long a request is lost, and its router is left.
            health_path: what the first router is asked before callers come back to it.
            now_s: seconds since the drill's first request was due.
        """
        self.moves: list[Move] = []
        self._entries, self._timeout_s, self._now_s = entries, timeout_s, now_s
        self._pools = [Pool(entry.address) for entry in entries]
        self._place = 0
        first = entries[0].address
        self._check = f"GET {health_path} HTTP/1.1\r\nhost: {first.host}:{first.port}\r\nconnection: close\r\n\r\n"

    async def ask(self, data: Mapping[Address, bytes]) -> Reply:
        """Send a request by the router in use; `data` is the request as it goes to each address."""
        refusals = 0
        while True:
            place, sent_s = self._place, None
            entry, pool = self._entries[place], self._pools[place]
            try:
                async with asyncio.timeout(self._timeout_s):
                    connection = await pool.connection()
                    if place != self._place:  # they moved while it was opened
                        pool.give_back(connection)
                        continue
                    sent_s = self._now_s()
                    response = await pool.exchange(connection, data[entry.address])
            except TimeoutError:
                reason = f"no answer within {self._timeout_s:g} s"
            except NotSentError as error:
                sent_s, reason = None, str(error)
            except WireError as error:
                reason = str(error)
            else:
                return Reply(response, "", entry.router, sent_s)
            self._leave(place)
            if sent_s is not None:
                return Reply(None, reason, entry.router, sent_s)
            refusals += 1
            if refusals >= len(self._entries):
                return Reply(None, reason)

    async def come_back(self) -> None:
        """Whenever another router than the first is used, ask the first whether it is well, and go back once it is."""
        while True:
            await asyncio.sleep(CHECK_S)
            if self._place != 0 and await self.first_is_well():
                self._move(0)

    async def first_is_well(self) -> bool:
        """Ask the first router for its health, on a connection of its own."""
        pool = Pool(self._entries[0].address)
        try:
            async with asyncio.timeout(self._timeout_s):
                return (await pool.request(self._check.encode())).status == 200
        except (TimeoutError, WireError):
            return False
        finally:
            pool.close()

    def pools(self) -> list[tuple[Entry, Pool]]:
        """Return the routers and their connections."""
        return list(zip(self._entries, self._pools, strict=True))

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            pool.close()

    def _leave(self, place: int) -> None:
        """Go to the next router, unless another request has done so already."""
        if place == self._place and len(self._entries) > 1:
            self._move((place + 1) % len(self._entries))

    def _move(self, place: int) -> None:
        self._place = place
        self.moves.append(Move(self._now_s(), self._entries[place].router))
