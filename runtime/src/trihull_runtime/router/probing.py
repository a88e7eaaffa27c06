"""Asks every site what it must know: a site that is up but answers wrongly, or by another release, gets no requests."""

import asyncio
import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trihull_runtime.contract import DataType, Fleet, KnownAnswer, KnownTensor
from trihull_runtime.router.asking import Answer, ask
from trihull_runtime.router.conditions import WHOLE_SITE, Finding, Verdict
from trihull_runtime.router.envoy.refusing import RELEASE_HEADER
from trihull_runtime.router.envoy.routes import PROBED_SITE_HEADER
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.timings import Timings

SMOOTHING = 0.3  # how much of a new latency goes into the held one
WHOLE = {DataType.INT32, DataType.INT64, DataType.BOOL}
PAUSED = (429, 503)  # a site that has too much to do is not a site that is broken


def request_of(known: KnownAnswer) -> bytes:
    """Return the V2 request of a known answer."""
    inputs = [
        {"name": each.name, "datatype": each.datatype.value, "shape": list(each.shape), "data": _data(each)}
        for each in known.inputs
    ]
    return json.dumps({"id": "trihull-probe", "inputs": inputs}).encode()


def _data(tensor: KnownTensor) -> list[Any]:
    if tensor.texts:
        return list(tensor.texts)
    if tensor.datatype is DataType.BOOL:
        return [bool(value) for value in tensor.numbers]
    return [int(value) for value in tensor.numbers] if tensor.datatype in WHOLE else list(tensor.numbers)


def difference(known: KnownAnswer, body: bytes) -> str:
    """Return how an answer differs from the known one; empty when it does not."""
    try:
        outputs = {str(each["name"]): each["data"] for each in json.loads(body)["outputs"]}
    except (ValueError, KeyError, TypeError):
        return "the answer is not one of the Open Inference Protocol"
    for tensor in known.outputs:
        found = outputs.get(tensor.name)
        if not isinstance(found, list):
            return f"output {tensor.name} is missing"
        problem = _tensor_difference(tensor, _flat(found), known.tolerance)
        if problem:
            return f"output {tensor.name} {problem}"
    return ""


def _flat(value: Sequence[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in value:
        flat += _flat(item) if isinstance(item, list) else [item]
    return flat


def _tensor_difference(tensor: KnownTensor, found: list[Any], tolerance: float) -> str:
    expected: Sequence[Any] = tensor.texts or tensor.numbers
    if len(found) != len(expected):
        return f"has {len(found)} values, expected {len(expected)}"
    for index, (want, got) in enumerate(zip(expected, found, strict=True)):
        if tensor.texts:
            equal = str(got) == want
        else:
            number = isinstance(got, int | float)
            equal = number and math.isclose(float(got), want, rel_tol=0, abs_tol=tolerance)
        if not equal:
            return f"is {str(got)[:40]} at {index}, expected {want if tensor.texts else format(want, 'g')}"
    return ""


def judge(answer: Answer, accepted: Sequence[str], known: Mapping[str, KnownAnswer]) -> tuple[Verdict | None, str]:
    """Judge an answer; pure. None: it says nothing, the site was only too busy.

    Args:
        answer: of a site.
        accepted: release digests that may answer, empty for any.
        known: the known answers by release digest; the request was one of them.
    """
    if answer.status in PAUSED:
        return None, ""
    release = answer.headers.get(RELEASE_HEADER, "")
    if accepted and release and release not in accepted:
        return Verdict.STALE, f"it serves {release[:19]}, which is not accepted"
    if answer.status != 200:
        return Verdict.FAILED, f"status {answer.status}"
    if release in known:
        problem = difference(known[release], answer.body)
        if problem:
            return Verdict.WRONG, problem
    return Verdict.RIGHT, ""


class Prober:
    """Asks on and on; what it finds goes to `told`.

    Args:
        socket: where Envoy takes questions to single sites.
        timings: how often, and how long an answer may take.
        told: takes every finding.
    """

    def __init__(self, socket: Path, timings: Timings, told: Callable[[Finding], None]) -> None:
        self._socket, self._timings, self._told = socket, timings, told
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._served: dict[tuple[str, str], str] = {}  # the release that answered last
        self.latency_s: dict[str, float] = {}

    def begin(self, fleet: Fleet, sites: Sequence[str]) -> None:
        """Ask every site about every model once; those that still owe an answer are not asked again."""
        self.latency_s = {site: value for site, value in self.latency_s.items() if site in sites}
        for site in sites:
            for model in fleet.models or {WHOLE_SITE: ()}:
                if (site, model) not in self._under_way:
                    task = asyncio.create_task(self._one(fleet, site, model))
                    self._under_way[site, model] = task
                    task.add_done_callback(functools.partial(self._done, (site, model)))

    def end(self) -> None:
        """Stop asking."""
        for task in self._under_way.values():
            task.cancel()

    def _done(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a bug: the loop's handler tells it

    async def _one(self, fleet: Fleet, site: str, model: str) -> None:
        known = {each.release_digest: each for each in fleet.routing.known_answers.get(model, ())}
        headers = [(PROBED_SITE_HEADER, site), ("content-type", "application/json")]
        chosen = known.get(self._served.get((site, model), "")) or next(iter(known.values()), None)
        if chosen is not None:
            method, target, body = "POST", f"/v2/models/{model}/infer", request_of(chosen)
            known = {each: other for each, other in known.items() if other.inputs == chosen.inputs}
        else:
            target = f"/v2/models/{model}/ready" if model else "/v2/health/ready"
            method, body = "GET", b""
        begin = time.monotonic()
        limit_s = self._timings.connect_s + self._timings.per_try_s
        try:
            answer = await ask(self._socket, method, target, headers=headers, body=body, limit_s=limit_s)
        except EnvoyError as error:
            self._told(Finding(site, model, Verdict.FAILED, str(error)))
            return
        took_s = time.monotonic() - begin
        verdict, reason = judge(answer, fleet.models.get(model, ()), known)
        self._served[site, model] = answer.headers.get(RELEASE_HEADER, "")
        if verdict is None:
            return
        right = verdict is Verdict.RIGHT
        if right:
            held = self.latency_s.get(site, took_s)
            self.latency_s[site] = held + SMOOTHING * (took_s - held)
        self._told(Finding(site, model, verdict, reason, took_s if right else None))
