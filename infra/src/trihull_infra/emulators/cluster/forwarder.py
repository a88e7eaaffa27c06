"""A local cluster's load balancers: layer-4 TCP, one process for all Services of a cluster.

A process of its own, so that neither the daemon's work nor another cluster's slows it, and so that an outage is what
it is elsewhere: ended, its connections break and new ones are refused; stopped, nothing moves. Standard library only,
nothing of ours is imported: it starts as fast as Python does.

It reads one JSON line per change, the whole of what shall be, `{"id": 7, "routes": {"20080": [20117, 20118]}}` (port
-> ports of ready pods, both on 127.0.0.1), and answers `{"id": 7, "errors": {}}` when it is so. A port without ready
pods refuses connections. Existing connections stay as they are until one of their ends closes. End of input ends it.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from typing import Any

HOST = "127.0.0.1"
BACKLOG = 1024
BUFFER_BYTES = 256 * 1024  # of what one side sent and the other did not take: then reading pauses
CONNECT_TIMEOUT_S = 2.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST


class Half(asyncio.Protocol):
    """One of a connection's two sockets; what it receives goes out at the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Half | None = None
        self.ended = False  # it will receive no more
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport and bound what it buffers."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=BUFFER_BYTES)
        # asyncio sets this only on sockets made with an explicit IPPROTO_TCP; accepted ones here are not, and an answer
        # in two writes would wait 40 ms for the client's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass on that nothing more comes; the other direction goes on until it ends too."""
        self.ended = True
        other = self.other
        if other is None or other.transport is None or other.lost:
            return False
        if other.ended:
            other.transport.close()
            return False
        with contextlib.suppress(OSError):  # it was reset meanwhile; connection_lost follows
            other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """Stop reading at the other end: this one takes no more for now."""
        if self.other is not None and self.other.transport is not None and not self.other.lost:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on at the other end."""
        if self.other is not None and self.other.transport is not None and not self.other.lost:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """End the other side in the same way: closed, or reset."""
        self.lost = True
        other, self.other = self.other, None
        if other is None or other.transport is None or other.lost:
            return
        if error is None:
            other.transport.close()
        else:
            reset(other.transport)


class Client(Half):
    """The client's side: it finds a pod before it reads."""

    def __init__(self, route: "Route") -> None:
        super().__init__()
        self.route = route
        self.task: asyncio.Task[None] | None = None
        self.early = b""  # what came before a pod was found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look for a pod; the kernel keeps what the client sends meanwhile."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self.task = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        """Pass on what came; asyncio before Python 3.11.4 forgets a pause that was asked for in `connection_made`."""
        if self.other is not None or self.lost:
            super().data_received(data)
            return
        assert self.transport is not None
        self.early += data
        self.transport.resume_reading()
        self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Pass on that nothing more comes, once there is somebody to tell."""
        if self.other is None and not self.lost:
            self.ended = True
            return True
        return super().eof_received()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        assert self.transport is not None
        for port in self.route.candidates():
            half = Half()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await loop.create_connection(lambda half=half: half, HOST, port)  # type: ignore[misc]  # mypy cannot type the default
            except (OSError, TimeoutError):
                continue  # not an error yet: the next pod may take it
            if self.lost:
                assert half.transport is not None
                half.transport.close()
                return
            self.other, half.other = half, self
            if half.lost:  # the pod closed at once
                self.transport.close()
                return
            assert half.transport is not None
            if self.early:
                half.transport.write(self.early)
                self.early = b""
            if self.ended:
                half.transport.write_eof()
            if half.ended:
                self.transport.write_eof()
            self.transport.resume_reading()
            return
        reset(self.transport)


class Route:
    """One listening port and the pods behind it, in turn."""

    def __init__(self) -> None:
        self.targets: list[int] = []
        self.next = 0
        self.server: asyncio.Server | None = None

    def candidates(self) -> list[int]:
        """Return all pods, beginning with the one whose turn it is."""
        if not self.targets:
            return []
        first = self.next % len(self.targets)
        self.next = first + 1
        return self.targets[first:] + self.targets[:first]


class Forwarder:
    """All routes of one cluster."""

    def __init__(self) -> None:
        self.routes: dict[int, Route] = {}

    async def apply(self, wanted: dict[str, list[int]]) -> dict[str, str]:
        """Make the routes as wanted; returns what could not be, by port."""
        errors: dict[str, str] = {}
        for port in self.routes.keys() - {int(port) for port in wanted}:
            self._close(self.routes.pop(port))
        for text, targets in wanted.items():
            route = self.routes.setdefault(int(text), Route())
            route.targets = targets
            if not targets:
                self._close(route)
            elif route.server is None:
                try:
                    route.server = await self._listen(int(text), route)
                except OSError as error:
                    errors[text] = os.strerror(error.errno) if error.errno else str(error)
        return errors

    async def _listen(self, port: int, route: Route) -> asyncio.Server:
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            return await asyncio.get_running_loop().create_server(lambda: Client(route), sock=listener, backlog=BACKLOG)
        except OSError:
            listener.close()
            raise

    def _close(self, route: Route) -> None:
        if route.server is not None:
            route.server.close()
            route.server = None


def reset(transport: asyncio.Transport) -> None:
    """End a connection so that its peer sees a reset, not a proper end."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):  # closed already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


async def serve() -> None:
    """Follow the instructions on standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    forwarder = Forwarder()
    while line := await reader.readline():
        instruction: dict[str, Any] = json.loads(line)
        errors = await forwarder.apply(instruction["routes"])
        print(json.dumps({"id": instruction["id"], "errors": errors}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
