"""HTTP only: addresses, methods, statuses and headers, as an ASGI application by hand.

Errors are `{"error": text}` with 400 (bad request), 404 (no such thing), 405, 408, 413 (too large), 500 (the model
failed) and 503 with Retry-After (not ready, or too much in flight).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trihull_runtime.server import metrics as metric_names
from trihull_runtime.server.dataplane import DataPlane, model_metadata, server_metadata
from trihull_runtime.server.errors import ModelRunError, OverloadedError, RequestError, UnknownModelError
from trihull_runtime.server.metrics import Metrics

log = logging.getLogger("trihull.server")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BODY_TIMEOUT_S: Final = 30.0  # a body that takes longer is a stuck or hostile client
RETRY_AFTER_S: Final = 1
ERROR_LIMIT: Final = 1000  # characters
_JSON: Final = (b"content-type", b"application/json")
_OCTETS: Final = (b"content-type", b"application/octet-stream")
_TEXT: Final = (b"content-type", metric_names.CONTENT_TYPE)
_CLOSE: Final = (b"connection", b"close")
_HEADER_SIZE: Final = b"inference-header-content-length"


class State:
    """What the process tells its applications: ready once models are loaded, draining once a stop was asked for."""

    def __init__(self) -> None:
        self.loaded = False
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether the server asks for requests."""
        return self.loaded and not self.draining


class HttpError(Exception):
    """An answer other than 200, to be sent as it stands."""

    def __init__(self, status: int, message: str, headers: Headers | None = None) -> None:
        """Keep status, message and more headers."""
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or []


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    body: bytes
    headers: Headers
    status: int = 200


class HealthApp:
    """The health port: `/v2/health/live`, `/v2/health/ready`, `/metrics`."""

    def __init__(self, state: State, metrics: Metrics) -> None:
        self.state, self.metrics = state, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        assert scope["type"] == "http", "the server is started without lifespan and websockets"
        try:
            reply = self._reply(scope["method"], scope["path"].rstrip("/"))
        except HttpError as error:
            reply = _error_reply(error)
        await _send(send, reply, close=self.state.draining)

    def _reply(self, method: str, path: str) -> Reply:
        if path == "/metrics":
            _allow(method, "GET", "HEAD")
            self.metrics.ready.set(self.state.ready)
            return Reply(self.metrics.text(), [_TEXT])
        if path in ("/v2/health/live", "/v2/health/ready"):
            return health(self.state, method, path)
        raise HttpError(404, f"nothing is at {path or '/'} on the health port")


class InferApp:
    """The inference port: V2 REST. `pending` returns how many requests the port holds, this one included."""

    def __init__(
        self, state: State, data: DataPlane, metrics: Metrics, max_in_flight: int, max_body_bytes: int
    ) -> None:
        self.state, self.data, self.metrics = state, data, metrics
        self.max_in_flight, self.max_body_bytes = max_in_flight, max_body_bytes
        self.pending: Callable[[], int] = lambda: 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        assert scope["type"] == "http", "the server is started without lifespan and websockets"
        path: str = scope["path"]
        reply: Reply | None
        if path.startswith("/v2/models/") and path.endswith("/infer"):
            reply = await self._infer(scope, path, receive)
        else:
            try:
                reply = self._describe(scope["method"], path.rstrip("/"))
            except HttpError as error:
                reply = _error_reply(error)
        if reply is not None:
            await _send(send, reply, close=self.state.draining)

    def _describe(self, method: str, path: str) -> Reply:
        if path in ("/v2/health/live", "/v2/health/ready"):
            return health(self.state, method, path)
        if path == "/v2":
            _allow(method, "GET", "HEAD")
            return _json(server_metadata())
        parts = path.split("/")  # "", "v2", "models", NAME [, "versions", VERSION] [, "ready"]
        if parts[:3] != ["", "v2", "models"] or len(parts) < 4:
            raise HttpError(404, f"nothing is at {path or '/'}; see /v2 and /v2/models/NAME")
        name, version, action = _split(parts[3:], path)
        if action not in ("", "ready"):
            raise HttpError(404, f"nothing is at {path}")
        _allow(method, "GET", "HEAD")
        try:
            model = self.data.find(name, version)
        except UnknownModelError as error:
            raise HttpError(404, str(error)) from error
        if action == "ready" and not self.state.ready:
            raise HttpError(503, "the server is draining", _retry_after(RETRY_AFTER_S))
        reply = _json(model_metadata(model) if action == "" else {"name": model.name, "ready": True})
        return Reply(reply.body, [*reply.headers, (b"x-trihull-release", model.release_digest.encode())])

    async def _infer(self, scope: Scope, path: str, receive: Receive) -> Reply | None:
        """Return the answer, or None when the client has gone."""
        name = version = ""
        headers: Headers = []
        start = time.perf_counter()
        self.metrics.in_flight.inc()
        try:
            try:
                wanted, wanted_version, _ = _split(path.split("/")[3:], path)
                model = self.data.find(wanted, wanted_version)
                name, version = model.name, model.version
                headers = [(b"x-trihull-release", model.release_digest.encode())]
                _allow(scope["method"], "POST")
                if self.pending() > self.max_in_flight:
                    raise OverloadedError(f"more than {self.max_in_flight} requests are in flight", RETRY_AFTER_S)
                header_size = self._read_headers(scope["headers"])
                body = await self._read_body(receive)
                if body is None:
                    return None
                start = time.perf_counter()
                answer = await self.data.infer(model, body, header_size)
            except RequestError as error:
                raise HttpError(400, str(error)) from error
            except UnknownModelError as error:
                raise HttpError(404, str(error)) from error
            except ModelRunError as error:
                raise HttpError(500, str(error)) from error
            except OverloadedError as error:
                self.metrics.rejected("overloaded")
                raise HttpError(503, str(error), _retry_after(error.retry_after_s)) from error
            except HttpError:
                raise
            except Exception as error:  # the edge of the process: the client gets an answer, the log the traceback
                log.exception("a bug while answering a request for %s", name)
                raise HttpError(500, "the server has a bug; its log tells more") from error
            if answer.header_size is None:
                headers.append(_JSON)
            else:
                headers += [_OCTETS, (_HEADER_SIZE, str(answer.header_size).encode())]
            reply = Reply(answer.body, headers)
        except HttpError as error:
            reply = _error_reply(error, headers)
        finally:
            self.metrics.in_flight.dec()
        self.metrics.answered(name, version, reply.status, time.perf_counter() - start)
        return reply

    def _read_headers(self, headers: Headers) -> int | None:
        """Return the length of the JSON part when the request says so; refuse what cannot be read."""
        header_size = None
        for name, value in headers:
            if name == b"content-length" and int(value) > self.max_body_bytes:  # digits: the parser has checked
                raise self._too_large()
            if name == b"content-encoding" and value.lower() != b"identity":
                raise RequestError(f"content-encoding {value.decode('latin-1')!r} is not supported")
            if name == _HEADER_SIZE:
                if not value.isdigit() or len(value) > 18:
                    raise RequestError(f"inference-header-content-length is {value.decode('latin-1')!r}, not a number")
                header_size = int(value)
        return header_size

    async def _read_body(self, receive: Receive) -> bytes | None:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunks.append(message["body"])
                    size += len(chunks[-1])
                    if size > self.max_body_bytes:
                        raise self._too_large()
                    if not message["more_body"]:
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError as error:
            raise HttpError(408, f"the request's body did not arrive within {BODY_TIMEOUT_S:g} s", [_CLOSE]) from error

    def _too_large(self) -> HttpError:
        self.metrics.rejected("too_large")
        # The rest of the body is not read: this connection cannot be used again.
        return HttpError(413, f"the request's body is larger than {self.max_body_bytes} bytes; split it", [_CLOSE])


def health(state: State, method: str, path: str) -> Reply:
    """Answer `/v2/health/live` or `/v2/health/ready`; raises `HttpError` 503 while not ready."""
    _allow(method, "GET", "HEAD")
    if path.endswith("/live"):
        return _json({"live": True})
    if not state.ready:
        why = "the server is draining" if state.draining else "models are being loaded"
        raise HttpError(503, why, _retry_after(RETRY_AFTER_S))
    return _json({"ready": True, "live": True})


def _split(parts: list[str], path: str) -> tuple[str, str | None, str]:
    """Split `NAME[/versions/VERSION][/ACTION]` into name, version and action."""
    match parts:
        case [name]:
            return name, None, ""
        case [name, "versions", version]:
            return name, version, ""
        case [name, action]:
            return name, None, action
        case [name, "versions", version, action]:
            return name, version, action
        case _:
            raise HttpError(404, f"nothing is at {path}")


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise HttpError(
            405, f"{method} is not allowed here; use {allowed[0]}", [(b"allow", ", ".join(allowed).encode())]
        )


def _retry_after(seconds: int) -> Headers:
    return [(b"retry-after", str(seconds).encode())]


def _json(value: Any) -> Reply:
    return Reply(msgspec.json.encode(value), [_JSON])


def _error_reply(error: HttpError, headers: Headers | None = None) -> Reply:
    # Messages repeat names that the client sent, and those may be as long as a body.
    body = msgspec.json.encode({"error": error.message[:ERROR_LIMIT]})
    return Reply(body, [_JSON, *error.headers, *(headers or [])], error.status)


async def _send(send: Send, reply: Reply, close: bool) -> None:
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    if close:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
