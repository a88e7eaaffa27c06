"""Compares what a shadow answers with what clients get, and counts.

Envoy sends a copy of a request here and forgets it. The copy is asked twice, of the shadow and of the sites that answer
clients, so that what is compared are two whole answers; the cost is one more infer request there per copied one.
"""

import asyncio
import collections
import contextlib
import json
import math
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from trihull_runtime.router.asking import Answer, ask
from trihull_runtime.router.envoy.admission import CLASS_HEADER
from trihull_runtime.router.envoy.routes import PROBED_MODEL_HEADER, PROBED_SITE_HEADER
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.plan import ModelPlan

WAITING = 256  # copies that may wait; what comes above that is dropped and counted
AT_ONCE = 8
TOLERANCE = 1e-4  # of numbers, as for the parity of a model
BODY_LIMIT_BYTES = 8 << 20
EQUAL, DIFFERENT, FAILED, DROPPED = "equal", "different", "failed", "dropped"
PASSED_ON = ("content-type", "inference-header-content-length")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Shadowing:
    """Takes copies, compares, and counts per (model, site, result).

    Args:
        probe_socket: where Envoy takes questions.
        find: returns the plan of a model and class, None when there is none.
        told: takes model, site and what differed.
        limit_s: seconds for one answer.
    """

    def __init__(
        self,
        probe_socket: Path,
        find: Callable[[str, str | None], ModelPlan | None],
        told: Callable[[str, str, str], None],
        limit_s: float,
    ) -> None:
        self._socket, self._find, self._told, self._limit_s = probe_socket, find, told, limit_s
        self._copies: asyncio.Queue[tuple[ModelPlan, str, list[tuple[str, str]], bytes]] = asyncio.Queue(WAITING)
        self.counts: collections.Counter[tuple[str, str, str]] = collections.Counter()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Take one copy (ASGI)."""
        if scope["type"] != "http":
            return
        body = await _read(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        parts = path.split("/")
        model = parts[3] if len(parts) > 3 else ""
        plan = self._find(model, headers.get(CLASS_HEADER))
        if plan is not None and plan.shadow is not None:
            passed = [(name, headers[name]) for name in PASSED_ON if name in headers]
            try:
                if body is None:
                    raise asyncio.QueueFull
                self._copies.put_nowait((plan, path, passed, body))
            except asyncio.QueueFull:
                self.counts[plan.model, plan.shadow, DROPPED] += 1
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def compare(self) -> None:
        """Compare copies until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            plan, path, headers, body = await self._copies.get()
            assert plan.shadow is not None, "only copies for a shadow wait"
            to_shadow = [(PROBED_SITE_HEADER, plan.shadow), *headers]
            to_sites = [(PROBED_MODEL_HEADER, plan.key), *headers]
            try:
                ours, theirs = await asyncio.gather(
                    *(
                        ask(self._socket, "POST", path, headers=each, body=body, limit_s=self._limit_s)
                        for each in (to_sites, to_shadow)
                    )
                )
            except EnvoyError as error:
                self.counts[plan.model, plan.shadow, FAILED] += 1
                self._told(plan.model, plan.shadow, str(error))
                continue
            if ours.status != 200:  # there is nothing to compare with
                self.counts[plan.model, plan.shadow, FAILED] += 1
                continue
            problem = differs(ours, theirs)
            self.counts[plan.model, plan.shadow, DIFFERENT if problem else EQUAL] += 1
            if problem:
                self._told(plan.model, plan.shadow, problem)


def differs(ours: Answer, theirs: Answer) -> str:
    """Return how two answers differ in status or outputs; empty when they do not. Numbers may differ by a tolerance."""
    if ours.status != theirs.status:
        return f"status {theirs.status} where the sites answer {ours.status}"
    if ours.body == theirs.body:
        return ""
    try:
        left, right = ({each["name"]: each["data"] for each in json.loads(a.body)["outputs"]} for a in (ours, theirs))
    except (ValueError, KeyError, TypeError):
        return "the bodies differ, and are not JSON of the Open Inference Protocol"
    if set(left) != set(right):
        return f"outputs {', '.join(sorted(right))} where the sites give {', '.join(sorted(left))}"
    return next((f"output {name} differs" for name in left if not _close(left[name], right[name])), "")


def _close(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_close(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=0, abs_tol=TOLERANCE)
    return bool(left == right)


def listen(path: Path) -> socket.socket:
    """Return a listening UNIX socket that only we may open."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise EnvoyError(f"the socket {path} cannot be used: {error.strerror or error}") from error
    return listener


async def _read(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT_BYTES:
            parts = [b""]
        if not message.get("more_body", False):
            return None if size > BODY_LIMIT_BYTES else b"".join(parts)
