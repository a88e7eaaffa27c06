"""A steady open-loop load: requests leave on time, whatever became of the ones before. Every answer is kept."""

import asyncio
import itertools
import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.failover.standin import read_message

LIMIT_S = 30.0


@dataclass(frozen=True)
class Outcome:
    """What one request came to. `status` 0: no answer; `problem` is empty for a right answer."""

    number: int
    begin: float
    status: int = 0
    site: str = ""
    attempts: int = 0
    problem: str = ""
    body: Any = field(default=None, repr=False)


class Load:
    """Sends `rate` requests per second until the block ends.

    Args:
        url: the router.
        path: of the requests.
        request: what is sent beside `id`.
        check: returns what is wrong with an answer's body, or nothing.
        headers: more request headers.
    """

    def __init__(
        self,
        url: str,
        path: str = "/v2/models/digits/infer",
        *,
        rate: float = 80,
        request: dict[str, Any] | None = None,
        check: Callable[[Any], str] = lambda body: "",
        headers: dict[str, str] | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._path, self._rate, self._request, self._check = path, rate, request or {}, check
        self._headers = "".join(f"{key}: {value}\r\n" for key, value in (headers or {}).items())
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self.outcomes: list[Outcome] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LIMIT_S + 10)
        assert not self._thread.is_alive(), "the load does not end"

    @property
    def lost(self) -> list[Outcome]:
        """Everything that was not a right answer."""
        return [outcome for outcome in list(self.outcomes) if outcome.problem]

    def since(self, begin: float) -> list[Outcome]:
        """Outcomes of requests that left after `begin` (time.monotonic)."""
        return [outcome for outcome in list(self.outcomes) if outcome.begin >= begin]

    def wait_site(self, site: str, count: int = 15) -> None:
        """Wait until the latest `count` answers all came from a site."""

        def only_it() -> bool:
            latest = sorted(list(self.outcomes)[-count:], key=lambda outcome: outcome.number)
            return len(latest) == count and {outcome.site for outcome in latest} == {site}

        eventually(only_it, lambda: f"all traffic at {site}; the latest: {self.outcomes[-5:]}")

    def wait_more(self, count: int) -> None:
        """Wait for that many more outcomes."""
        have = len(self.outcomes)
        eventually(lambda: len(self.outcomes) >= have + count, f"{count} more answers")

    async def _run(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        begin = time.monotonic()
        for number in itertools.count():
            if self._stop.is_set():
                break
            await asyncio.sleep(max(0.0, begin + number / self._rate - time.monotonic()))
            task = asyncio.create_task(self._one(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for _, writer in self._idle:
            writer.close()

    async def _one(self, number: int) -> None:
        begin = time.monotonic()
        try:
            outcome = await asyncio.wait_for(self._ask(number, begin), LIMIT_S)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            outcome = Outcome(number, begin, problem=f"{type(error).__name__}: {error}")
        self.outcomes.append(outcome)

    async def _ask(self, number: int, begin: float) -> Outcome:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        kept = False
        try:
            body = json.dumps({"id": f"{number}", **self._request}).encode()
            head = f"POST {self._path} HTTP/1.1\r\nhost: router\r\ncontent-length: {len(body)}\r\n{self._headers}\r\n"
            writer.write(head.encode() + body)
            answer = await read_message(reader)
            if answer is None:
                raise ConnectionResetError("closed without an answer")
            line, headers, data = answer
            kept = headers.get("connection") != "close"
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                writer.transport.abort()
        status = int(line.split(" ")[1])
        value = json.loads(data)
        problem = "" if status == 200 else f"status {status}"
        if not problem and value.get("id") != f"{number}":
            problem = f"the answer to {value.get('id')} came to {number}"
        problem = problem or self._check(value)
        attempts = int(headers.get("x-envoy-attempt-count", "0"))
        return Outcome(number, begin, status, headers.get("x-trihull-site", ""), attempts, problem, value)


def eventually(holds: Callable[[], bool], what: str | Callable[[], str], limit_s: float = 40.0) -> None:
    """Wait until something holds; fails by name when it does not in time."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
