"""A thin HTTP/1.1 client for load: keep-alive connections on asyncio protocols, no retries, little processor time.

The machine that breaks sites also runs them in a rehearsal, so that each microsecond here is one taken from them.
"""

import asyncio
import ssl
import urllib.parse
from dataclasses import dataclass
from typing import Final

from trihull_runtime.errors import UsageError

HEAD_LIMIT: Final = 64 * 1024
BODY_LIMIT: Final = 64 * 1024 * 1024


class WireError(Exception):
    """A request got no whole answer; the message says how."""


class NotSentError(WireError):
    """Nothing of the request has left: whoever has another address may send it there."""


@dataclass(frozen=True)
class Response:
    """A whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Address:
    """Where requests go: `http(s)://host:port`."""

    url: str
    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read an address; raises `UsageError`."""
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{url!r} is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise UsageError(f"{url!r} is no router's address; expected http://HOST:PORT")
        tls = parts.scheme == "https"
        return cls(url.rstrip("/"), parts.hostname, port or (443 if tls else 80), tls)


class Pool:
    """Connections to one address; the one used last is used first. Not for use by several event loops."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._context = ssl.create_default_context() if address.tls else None

    async def request(self, data: bytes) -> Response:
        """Send one request, as it goes over the wire, and return its answer; raises `WireError`."""
        return await self.exchange(await self.connection(), data)

    async def connection(self) -> "_Connection":
        """Return an open connection that nobody else uses; raises `NotSentError`."""
        return self._idle.pop() if self._idle else await self._open()

    def give_back(self, connection: "_Connection") -> None:
        """Take back a connection that is not wanted after all."""
        if connection.reusable:
            self._idle.append(connection)

    async def exchange(self, connection: "_Connection", data: bytes) -> Response:
        """Send one request on a connection of this pool and return its answer; raises `WireError`."""
        try:
            response = await connection.exchange(data)
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._all):
            connection.close()

    def forget(self, connection: "_Connection") -> None:
        """Drop a connection that has ended."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _open(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        name = self.address.host if self._context is not None else None
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self), self.address.host, self.address.port, ssl=self._context, server_hostname=name
            )
        except OSError as error:
            raise NotSentError(f"no connection: {error.strerror or error}") from error
        self._all.add(connection)
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._buffer = bytearray()
        self._ended = False
        self.reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self.reusable = True, False
        self._pool.forget(self)
        if self._waiting is not None and not self._waiting.done():
            how = "the answer was cut off" if self._buffer else "the connection was closed without an answer"
            self._waiting.set_exception(WireError(f"{how}{f': {exc}' if exc else ''}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._waiting is None or self._waiting.done():
            self.reusable = False  # an answer nobody asked for
            self.close()
            return
        try:
            response = self._parse()
        except ValueError as error:
            self.reusable = False
            self._waiting.set_exception(WireError(f"the answer is not HTTP/1.1: {error}"))
            return
        if response is not None:
            self._waiting.set_result(response)

    async def exchange(self, data: bytes) -> Response:
        """Send a request and wait for its answer."""
        if self._ended or self._transport is None:
            raise NotSentError("the connection was closed without an answer")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def close(self) -> None:
        """End the connection at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _parse(self) -> Response | None:
        """Return the answer when it is whole, else None; raises ValueError."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ValueError("the head is too long")
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
            raise ValueError(f"it begins with {first[:40]!r}")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"a header is {line[:40]!r}")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body, used = _chunks(self._buffer, end + 4)
        else:
            length = headers.get("content-length", "")
            if not length.isdigit() or int(length) > BODY_LIMIT:
                raise ValueError(f"content-length is {length!r}")
            used = end + 4 + int(length)
            body = bytes(self._buffer[end + 4 : used]) if len(self._buffer) >= used else None
        if body is None:
            return None
        if len(self._buffer) > used:
            raise ValueError(f"{len(self._buffer) - used} bytes follow the answer")
        self._buffer.clear()
        if version == "HTTP/1.0" or headers.get("connection", "").lower() == "close":
            self.reusable = False
        return Response(int(rest[:3]), headers, body)


def _chunks(buffer: bytearray, place: int) -> tuple[bytes | None, int]:
    """Join a chunked body that starts at `place`; (None, 0) while it is not whole; raises ValueError."""
    parts: list[bytes] = []
    size = 0
    while True:
        line = buffer.find(b"\r\n", place)
        if line < 0:
            return None, 0
        length = int(buffer[place:line].split(b";")[0], 16)
        place = line + 2
        size += length
        if length < 0 or size > BODY_LIMIT:
            raise ValueError("a chunk's length is out of bounds")
        if length == 0:
            # No trailers: neither our server nor Envoy sends any here.
            return (b"".join(parts), place + 2) if len(buffer) >= place + 2 else (None, 0)
        if len(buffer) < place + length + 2:
            return None, 0
        parts.append(bytes(buffer[place : place + length]))
        place += length + 2
