"""A stand-in for a site: answers like a model server, fails as it is told, and keeps a list of what it was asked.

It runs on a thread of its own, so that dozens of faults cost no process. Real model servers are used where a real
death, a real freeze or a real handshake is the point.
"""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

from tests.servers import free_ports

ACCEPTED = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


class StandIn:
    """One site without TLS. Its attributes may be changed while it runs."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.status = 200  # of requests other than health checks
        self.ready = True  # of health checks
        self.release: str | None = ACCEPTED
        self.cut = False  # close the connection in place of an answer
        self.truncate = False  # begin an answer and close before its end
        self.half_dead = False  # close the connection in place of every other answer
        self.delay_s = 0.0  # before an answer
        self.retry_after = ""  # header of an answer
        self.label = 7  # what the model says
        self.pieces: list[float] = []  # a streamed answer: seconds before each piece
        self.asked: list[tuple[str, str, str]] = []  # method, path, id of the request
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._full: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name=f"site {name}")
        self._thread.start()
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        asyncio.run_coroutine_threadsafe(self._up(), self._loop).result(10)

    def down(self) -> None:
        asyncio.run_coroutine_threadsafe(self._down(), self._loop).result(10)

    def blackhole(self) -> None:
        """Accept nothing and refuse nothing: with its queue full, the system drops whoever wants to connect."""
        self.down()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._full = [listener]
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._full.append(waiting)

    def close(self) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _down(self) -> None:
        for each in self._full:
            each.close()
        self._full = []
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None
        while self._open:
            await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (request := await read_message(reader)) is not None:
                line, headers, body = request
                method, path, _ = line.split(" ")
                if path == "/v2/health/ready":
                    writer.write(_answer(200 if self.ready else 503, {}, {"ready": self.ready}))
                else:
                    value = json.loads(body or b"{}")
                    self.asked.append((method, path, value.get("id", "")))
                    if self.cut or (self.half_dead and len(self.asked) % 2):
                        break
                    if self.delay_s:
                        await asyncio.sleep(self.delay_s)
                    fields = {} if self.release is None else {"x-trihull-release": self.release}
                    if self.retry_after:
                        fields["retry-after"] = self.retry_after
                    if self.pieces:
                        await self._stream(writer, fields)
                        continue
                    outputs = [{"name": "label", "datatype": "INT64", "shape": [1], "data": [self.label]}]
                    echo = {"id": value.get("id", ""), "site": self.name, "headers": headers, "outputs": outputs}
                    answer = _answer(self.status, fields, echo)
                    if self.truncate:
                        writer.write(answer[:-20])
                        await writer.drain()
                        break
                    writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the router went away: nothing to answer
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _stream(self, writer: asyncio.StreamWriter, fields: dict[str, str]) -> None:
        """Answer in pieces, each an event of its own."""
        lines = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", "content-type: text/event-stream"]
        lines += [f"{key}: {text}" for key, text in fields.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        for number, pause_s in enumerate(self.pieces):
            await asyncio.sleep(pause_s)
            piece = f"data: {number}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


async def read_message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    """Read one HTTP/1.1 message with a length: its first line, headers (lower case) and body; None at the end."""
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return first, headers, body


def _answer(status: int, fields: dict[str, str], value: Any) -> bytes:
    body = json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{key}: {text}" for key, text in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.contextmanager
def start_standins(*names: str) -> Iterator[dict[str, StandIn]]:
    """Run stand-ins by name until the block ends."""
    sites: dict[str, StandIn] = {}
    try:
        for name, port in zip(names, free_ports(len(names)), strict=True):
            sites[name] = StandIn(name, port)
        yield sites
    finally:
        for site in sites.values():
            site.close()
