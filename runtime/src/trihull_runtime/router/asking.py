"""One HTTP request over a UNIX socket: how the control process speaks to sites through Envoy."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h11

from trihull_runtime.router.errors import EnvoyError

ANSWER_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    path: Path,
    method: str,
    target: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    limit_s: float,
) -> Answer:
    """Make one request on a connection of its own.

    Args:
        path: the socket.
        method: of the request.
        target: its path.
        headers: beside `host` and `content-length`.
        body: what is sent.
        limit_s: seconds for everything.

    Raises:
        EnvoyError: nobody listens, no whole answer came in time, or it is larger than `ANSWER_LIMIT_BYTES`.
    """
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                return await _exchange(reader, writer, method, target, headers, body)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, h11.ProtocolError) as error:
        raise EnvoyError(f"no answer over {path.name}: {str(error) or type(error).__name__}") from error


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> Answer:
    connection = h11.Connection(h11.CLIENT)
    fields = [("host", "trihull"), ("content-length", str(len(body))), ("connection", "close"), *headers]
    writer.write(connection.send(h11.Request(method=method, target=target, headers=fields)) or b"")
    writer.write(connection.send(h11.Data(data=body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    status, found, parts, size = 0, {}, [], 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            found = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > ANSWER_LIMIT_BYTES:
                raise EnvoyError(f"an answer is larger than {ANSWER_LIMIT_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, found, b"".join(parts))
        elif isinstance(event, h11.ConnectionClosed):
            raise EnvoyError("the connection was closed without an answer")
