"""Open-loop load: each request is sent at its time whatever the answers do, and each answer is checked."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from trihull_infra.drill.callers import Callers
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.samples import Outcome, Sample
from trihull_infra.drill.wire import Address, Response
from trihull_runtime.predict.client import RequestLostError, parse_outputs
from trihull_runtime.predict.run import differences, read_answer
from trihull_runtime.predict.split import Split

SITE_HEADER = "x-trihull-site"
RELEASE_HEADER = "x-trihull-release"
ATTEMPTS_HEADER = "x-envoy-attempt-count"


@dataclass(frozen=True)
class Question:
    """One request as it goes over the wire to each router, and what the bare model answers."""

    data: Mapping[Address, bytes]
    label: int | float | str
    probabilities: tuple[float, ...]


def questions(addresses: Iterable[Address], split: Split) -> list[Question]:
    """Return one V2 request per row of a test split (one that holds the bare model's answers)."""
    places = list(addresses)
    assert split.model is not None
    assert split.labels is not None
    assert split.probabilities is not None
    result = []
    for row, label, probabilities in zip(split.rows, split.labels, split.probabilities, strict=True):
        tensor = {"name": split.input, "shape": [1, len(row)], "datatype": "FP32", "data": row}
        body = json.dumps({"inputs": [tensor]}).encode()
        data = {address: _head(address, split.model, len(body)) + body for address in places}
        result.append(Question(data, label, probabilities))
    return result


def _head(address: Address, model: str, size_bytes: int) -> bytes:
    return (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: {address.host}:{address.port}\r\n"
        f"content-type: application/json\r\ncontent-length: {size_bytes}\r\n\r\n"
    ).encode()


def judge(question: Question, response: Response) -> tuple[Outcome, str]:
    """Say whether an answer is right, and why not."""
    if response.status != 200:
        return Outcome.LOST, f"status {response.status}: {response.body[:120].decode('utf-8', 'replace')}"
    try:
        value = json.loads(response.body)
        if not isinstance(value, dict):
            return Outcome.LOST, "the answer is not a JSON object"
        labels, probabilities = read_answer(parse_outputs("the answer", value), 1)
    except (ValueError, RecursionError) as error:
        return Outcome.LOST, f"the answer is not JSON: {error}"
    except RequestLostError as error:
        return Outcome.LOST, str(error)
    if labels[0] is None:
        return Outcome.LOST, "the label is null"
    wrong = differences([question.label], [question.probabilities], labels, probabilities)
    return (Outcome.WRONG, wrong[0].partition(": ")[2]) if wrong else (Outcome.RIGHT, "")


class Load:
    """The load of one drill. `samples` grows as requests complete; `late_s` is the worst delay in sending one.

    `clock` returns seconds from the first request's due time; `on_sample` is told of every sample.
    """

    def __init__(
        self, callers: Callers, asked: list[Question], plan: Plan, on_sample: Callable[[Sample], None]
    ) -> None:
        self.samples: list[Sample] = []
        self.late_s = 0.0
        self._callers, self._questions, self._plan, self._on_sample = callers, asked, plan, on_sample
        self._start = 0.0

    def now_s(self) -> float:
        """Return the seconds since the first request was due."""
        return asyncio.get_running_loop().time() - self._start

    def begin(self) -> None:
        """Start the clock."""
        self._start = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Send all requests of the plan and wait for the last answer or its time-out."""
        async with asyncio.TaskGroup() as group:
            for index in range(self._plan.requests):
                due = self._plan.scheduled_s(index)
                if (wait := due - self.now_s()) > 0:
                    await asyncio.sleep(wait)
                self.late_s = max(self.late_s, self.now_s() - due)
                group.create_task(self._ask(due, self._questions[index % len(self._questions)]))

    async def _ask(self, due: float, question: Question) -> None:
        site: str | None = None
        release: str | None = None
        attempts: int | None = None
        reply = await self._callers.ask(question.data)
        latency = self.now_s() - due  # before the answer is read: that time is ours
        if reply.response is None:
            outcome, reason = Outcome.LOST, reply.reason
        else:
            outcome, reason = judge(question, reply.response)
            site = reply.response.headers.get(SITE_HEADER) or None
            release = reply.response.headers.get(RELEASE_HEADER) or None
            count = reply.response.headers.get(ATTEMPTS_HEADER, "")
            attempts = int(count) if count.isdigit() else None
        sample = Sample(due, latency, outcome, site, attempts, reason, reply.router, reply.sent_s, release)
        self.samples.append(sample)
        self._on_sample(sample)
