"""One site as a process of its own: answers requests of the Open Inference Protocol, and fails as it is told.

`python -m tests.benchmarks.router.upstream PORT RELEASE` prints `up`; then it takes from its standard input `503`
(failed answers behind a good health check), `reset` (connections cut in place of answers), `refused` (nobody listens
any more), and the end of its input as its own. It imports little and parses little: it stands beside what is measured.
"""

import asyncio
import json
import os
import socket
import struct
import sys
from typing import Final

BACKLOG: Final = 128
HEALTH: Final = b"/v2/health/ready"


class Site:
    """What all connections of this process share."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.mode = ""
        self.connections: set[asyncio.Transport] = set()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with `Content-Length`, one request after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._site.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._site.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            size = length_of(head)
            if not found or len(rest) < size:
                return
            self._data = rest[size:]
            self._answer(head.split(b" ", 2)[1], rest[:size])

    def _answer(self, path: bytes, body: bytes) -> None:
        assert self._transport is not None
        if path == HEALTH or not self._site.mode:
            self._transport.write(answer(200, self._site.release, body))
        elif self._site.mode == "503":
            self._transport.write(answer(503, self._site.release, body))
        else:
            # A linger time of zero makes the kernel send RST in place of FIN (socket(7)).
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def length_of(head: bytes) -> int:
    """Return a request's `Content-Length`, 0 when it names none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def answer(status: int, release: str, body: bytes) -> bytes:
    """Return an answer in V2's form that carries the request's `id`."""
    name = json.loads(body).get("id", "") if body else ""
    output = {"name": "label", "datatype": "INT64", "shape": [1], "data": [7]}
    data = json.dumps({"model_name": "digits", "id": name, "outputs": [output]}).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nx-trihull-release: {release}\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


async def run(port: int, release: str) -> None:
    """Serve until standard input ends."""
    site, loop, ended = Site(release), asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", port, backlog=BACKLOG)

    def told() -> None:
        words = os.read(0, 100).decode().split()
        if not words:
            loop.remove_reader(0)
            ended.set()
        for site.mode in words:
            if site.mode == "refused":
                server.close()
                for transport in list(site.connections):
                    transport.close()
            print(site.mode, flush=True)

    loop.add_reader(0, told)
    print("up", flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2]))
