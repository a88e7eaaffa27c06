"""The admin API: what is going on, and orders. A small ASGI application; docs/router.md lists its paths."""

import dataclasses
import hmac
import http
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from trihull_runtime.contract import ContractError, Fleet, SiteState
from trihull_runtime.router.control import Control
from trihull_runtime.router.errors import EnvoyError, RouterError
from trihull_runtime.router.pages import HEADERS, load_pages
from trihull_runtime.router.view import View

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_LIMIT_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Answer:
    """A status, a body and its type."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, (json.dumps(value, indent=2) + "\n").encode())


def _problem(status: int, text: str) -> Answer:
    return _json({"error": text}, status)


def _not_possible(method: str, path: str, allowed: str) -> Answer:
    answer = _problem(405, f"{method} is not possible at {path}")
    return dataclasses.replace(answer, headers=((b"allow", allowed.encode()),))  # RFC 9110, 15.5.6


class Admin:
    """The ASGI application of one router.

    Args:
        control: takes orders.
        view: what is shown.
        token: what every request but `/healthz` must bring as `Authorization: Bearer`; None asks for nothing.
        address: the `host:port` it listens on: a request for another host is a page of somebody else's (DNS rebinding).
    """

    def __init__(self, control: Control, view: View, token: str | None, address: str) -> None:
        self._control, self._view, self._token = control, view, token
        host, _, port = address.rpartition(":")
        self._hosts = {address, host, f"localhost:{port}", "localhost", f"127.0.0.1:{port}", f"[::1]:{port}"}
        self._pages = load_pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        body = await read_body(receive)
        if body is None:
            answer = _problem(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")
        elif scope["path"] != "/healthz" and not self._known_host(headers):
            answer = _problem(421, "this is not the host that the admin API answers for")
        elif scope["method"] not in ("GET", "HEAD") and _foreign(headers):
            answer = _problem(403, "orders from another site's page are not taken")
        elif scope["path"] != "/healthz" and not self._admitted(headers):
            answer = _problem(401, "the admin API asks for its token: Authorization: Bearer TOKEN")
        else:
            answer = await self._answer(scope["method"], scope["path"], body)
        await respond(send, scope["method"], answer)

    def _known_host(self, headers: dict[str, str]) -> bool:
        return self._token is not None or headers.get("host", "") in self._hosts

    def _admitted(self, headers: dict[str, str]) -> bool:
        if self._token is None:
            return True
        given = headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _answer(self, method: str, path: str, body: bytes) -> Answer:
        match ("GET" if method == "HEAD" else method), path.strip("/").split("/"):
            case "GET", ["healthz"]:
                return _json({"alive": True})
            case "GET", ["v1", "status"]:
                return _json(await self._view.status())
            case "GET", ["v1", "events"]:
                return _json({"events": list(self._control.events.recent)})
            case "GET", ["v1", "history"]:
                return Answer(http.HTTPStatus.OK, await self._view.history())
            case "GET", ["v1", "fleet"]:
                return _json(self._control.fleet.to_value())
            case "PUT", ["v1", "fleet"]:
                return await self._order(self._put(body))
            case "POST", ["v1", "sites", site, "drain"]:
                return await self._order(self._control.override(site, SiteState.DRAINING))
            case "POST", ["v1", "sites", site, "undrain"]:
                return await self._order(self._control.override(site, None))
            case "GET", ["metrics"]:
                return await metrics_answer(self._view)
            case "GET", [name] if (page := self._pages.get(name)) is not None:
                return Answer(http.HTTPStatus.OK, page.body, page.content_type)
            case _, [name] if name in self._pages:
                return _not_possible(method, path, "GET")
            case _, ["v1", "fleet"]:
                return _not_possible(method, path, "GET, PUT")
            case _, ["healthz" | "metrics"] | ["v1", "status" | "events" | "history"]:
                return _not_possible(method, path, "GET")
            case _, ["v1", "sites", _, "drain" | "undrain"]:
                return _not_possible(method, path, "POST")
            case _:
                return _problem(404, f"there is nothing at {path}")

    async def _put(self, body: bytes) -> None:
        await self._control.put(Fleet.parse(body, "fleet"))

    async def _order(self, order: Awaitable[None]) -> Answer:
        try:
            await order
        except (ContractError, RouterError) as error:
            return _problem(422, str(error))
        except EnvoyError as error:
            return _problem(503, str(error))
        except OSError as error:  # a full disk, as a rule
            reason = error.strerror or str(error)
            return _problem(503, f"the state folder cannot be written: {reason}; what runs stays")
        return _json({"config_version": self._control.memory.config_version})


class MetricsApp:
    """The ASGI application of the metrics port: what may be read by everybody who reaches it, and nothing else."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if path not in ("/metrics", "/healthz"):
            answer = _problem(404, "there is nothing at this path; metrics are at /metrics")
        elif method not in ("GET", "HEAD"):
            answer = _not_possible(method, path, "GET")
        else:
            answer = _json({"alive": True}) if path == "/healthz" else await metrics_answer(self._view)
        await respond(send, method, answer)


async def metrics_answer(view: View) -> Answer:
    """Return the page for Prometheus."""
    return Answer(http.HTTPStatus.OK, (await view.metrics()).encode(), "text/plain; version=0.0.4")


async def respond(send: Send, method: str, answer: Answer) -> None:
    """Send a whole answer; HEAD gets no body."""
    fields = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"cache-control", b"no-store"),
        *HEADERS,
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})


async def read_body(receive: Receive) -> bytes | None:
    """Read the whole body; None when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _foreign(headers: dict[str, str]) -> bool:
    """Whether a browser sends this for the page of another origin."""
    origin = headers.get("origin")
    return origin is not None and origin.split("://", 1)[-1] != headers.get("host")
