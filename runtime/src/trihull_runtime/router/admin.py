"""The admin API: what is going on, and orders. A small ASGI application; docs/router.md lists its paths."""

import asyncio
import dataclasses
import http
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from trihull_runtime.contract import ContractError, Fleet, SiteState
from trihull_runtime.router.control import Control
from trihull_runtime.router.errors import EnvoyError, RouterError
from trihull_runtime.router.metrics import render_metrics
from trihull_runtime.router.pages import HEADERS, load_pages
from trihull_runtime.router.status import model_status

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


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, (json.dumps(value, indent=2) + "\n").encode())


def _problem(status: int, text: str) -> Answer:
    return _json({"error": text}, status)


class Admin:
    """The ASGI application of one router."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._pages = load_pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        body = await _body(receive)
        if body is None:
            answer = _problem(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")
        elif scope["method"] not in ("GET", "HEAD") and _foreign(headers):
            answer = _problem(403, "orders from another site's page are not taken")
        else:
            answer = await self._answer(scope["method"], scope["path"], body)
        fields = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
            *HEADERS,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, method: str, path: str, body: bytes) -> Answer:
        match ("GET" if method == "HEAD" else method), path.strip("/").split("/"):
            case "GET", ["healthz"]:
                return _json({"alive": True})
            case "GET", ["v1", "status"]:
                return _json(await self.status())
            case "GET", ["v1", "events"]:
                return _json({"events": list(self._control.events.recent)})
            case "GET", ["v1", "fleet"]:
                return _json(self._control.fleet.to_value())
            case "PUT", ["v1", "fleet"]:
                return await self._order(self._put(body))
            case "POST", ["v1", "sites", site, "drain"]:
                return await self._order(self._control.override(site, SiteState.DRAINING))
            case "POST", ["v1", "sites", site, "undrain"]:
                return await self._order(self._control.override(site, None))
            case "GET", ["metrics"]:
                return await self._metrics()
            case "GET", [name] if (page := self._pages.get(name)) is not None:
                return Answer(http.HTTPStatus.OK, page.body, page.content_type)
            case _, [name] if name in self._pages:
                return _problem(405, f"{method} is not possible at {path}")
            case _, ["healthz" | "metrics"] | ["v1", "status" | "events" | "fleet"]:
                return _problem(405, f"{method} is not possible at {path}")
            case _, ["v1", "sites", _, "drain" | "undrain"]:
                return _problem(405, f"{method} is not possible at {path}")
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
        return _json({"config_version": self._control.memory.config_version})

    async def status(self) -> dict[str, Any]:
        """Return everything an operator asks for first."""
        control = self._control
        clusters, server = None, {}
        try:
            clusters = await asyncio.to_thread(control.process.admin.json, "/clusters?format=json")
            server = await asyncio.to_thread(control.process.admin.json, "/server_info")
        except EnvoyError as error:
            server = {"problem": str(error)}
        refusal = control.refusal
        plan = control.plan
        return {
            "environment": control.fleet.environment,
            "site": control.settings.site,
            "policy": control.settings.policy,
            "config": {
                "version": control.memory.config_version,
                "source": control.memory.fleet_source,
                "refused": None if refusal is None else dataclasses.asdict(refusal),
                "refused_total": control.refused_total,
            },
            "envoy": {
                "alive": await asyncio.to_thread(control.process.alive),
                "pid": await asyncio.to_thread(control.process.pid),
                "restarts": control.process.restarts,
                "version": server.get("version"),
                "state": server.get("state"),
                "problem": server.get("problem"),
            },
            "models": {
                model.model: {"accepted": model.accepted, "sites": rows}
                for model, rows in zip(plan.models, model_status(plan, clusters).values(), strict=True)
            },
            "overrides": dict(control.memory.overrides),
            "excluded": dict(plan.excluded),
            "warnings": plan.warnings,
        }

    async def _metrics(self) -> Answer:
        control = self._control
        clusters, own = None, ""
        try:
            clusters = await asyncio.to_thread(control.process.admin.json, "/clusters?format=json")
            _, data = await asyncio.to_thread(control.process.admin.call, "GET", "/stats/prometheus?usedonly")
            own = data.decode()
        except EnvoyError:
            clusters = None  # told by trihull_router_envoy_up 0
        text = render_metrics(
            model_status(control.plan, clusters),
            config_version=control.memory.config_version,
            refused_total=control.refused_total,
            refused_now=control.refusal is not None,
            restarts=control.process.restarts,
            envoy_up=clusters is not None,
        )
        return Answer(http.HTTPStatus.OK, (text + own).encode(), "text/plain; version=0.0.4")


async def _body(receive: Receive) -> bytes | None:
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
