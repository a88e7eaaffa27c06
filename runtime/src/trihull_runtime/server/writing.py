"""Answers leave in one piece: a client sees all of a small answer or nothing of it.

uvicorn writes head and body apart. Over TLS each write is a record of its own, and a process that is stopped or dies
between the two leaves a client with a head and no body: an answer that has begun can be retried by no router.
"""

import asyncio
from typing import Any, Final

WHOLE_BYTES: Final = 64 * 1024  # what is larger goes out as it comes


class WholeWrites:
    """A transport that sends what one step of the event loop writes as one write; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Stand before `transport`."""
        self._transport, self._loop = transport, loop
        self._pending = bytearray()

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep `data` until the step that writes it is over, or there is much of it."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending += data
        if len(self._pending) > WHOLE_BYTES:
            self._flush()

    def close(self) -> None:
        """Send what is kept and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pending and not self._transport.is_closing():
            self._transport.write(bytes(self._pending))
        self._pending.clear()
