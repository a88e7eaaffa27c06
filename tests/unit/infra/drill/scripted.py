"""A router in the test whose answers follow a script: right, or losing, lying and stalling where a test says so."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.unit.infra.drill.simulated import SimulatedLoop
from trihull_infra.drill.faults import FaultKind
from trihull_runtime.predict.split import Split

CLASSES = 3
RELEASE = f"sha256:{'a' * 64}"
ROWS = tuple((float(index), 0.5) for index in range(12))
LABELS = tuple(index % CLASSES for index in range(12))
PROBABILITIES = tuple(tuple(1.0 if label == column else 0.0 for column in range(CLASSES)) for label in LABELS)
SPLIT = Split(ROWS, "digits", "image", LABELS, PROBABILITIES)

Behaviour = Callable[[int, "World"], "Answer | None"]


@dataclass(frozen=True)
class Answer:
    """One answer of the script. `raw` replaces the whole of it; `delay_s` holds it back."""

    site: str | None = "aws"
    status: int = 200
    wrong: bool = False
    delay_s: float = 0.0
    attempts: int = 1
    raw: bytes | None = None
    chunked: bool = False


@dataclass
class World:
    """Which site is broken now, and what the fault was asked to do."""

    broken: str | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    dead_faults: bool = False
    begin_error: Exception | None = None

    def begin(self, site: str, kind: FaultKind) -> None:
        """Break a site, unless this world's faults do nothing."""
        self.calls.append(("begin", site))
        if self.begin_error is not None:
            raise self.begin_error
        if not self.dead_faults:
            self.broken = site

    def end(self, site: str) -> None:
        """Put it back."""
        self.calls.append(("end", site))
        self.broken = None


def fail_over(index: int, world: World) -> Answer:
    """Behave as a good router: aws while it lives, else gcp."""
    return Answer("gcp" if world.broken == "aws" else "aws")


class Scripted(asyncio.Protocol):
    """One connection of the scripted router."""

    def __init__(self, owner: "Router") -> None:
        self._owner, self._buffer = owner, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        if head.startswith(b"GET "):
            self._buffer = b""
            self._owner.asked_for_health += 1
            self._tell_health(self._owner.behaviour(-1, self._owner.world))
            return
        length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
        if len(body) < length:
            return
        self._buffer = b""
        row = json.loads(body)["inputs"][0]["data"]
        index, self._owner.served = self._owner.served, self._owner.served + 1
        answer = self._owner.behaviour(index, self._owner.world)
        if answer is None:
            self._transport.abort()
            return
        asyncio.get_running_loop().call_later(answer.delay_s, self._reply, answer, int(row[0]))

    def _tell_health(self, answer: Answer | None) -> None:
        if answer is None:
            self._transport.abort()
            return
        head = f"HTTP/1.1 {answer.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        asyncio.get_running_loop().call_later(answer.delay_s, self._transport.write, head)

    def _reply(self, answer: Answer, row: int) -> None:
        if answer.raw is not None:
            self._transport.write(answer.raw)
            self._transport.close()
            return
        label = (LABELS[row] + 1) % CLASSES if answer.wrong else LABELS[row]
        outputs = [
            {"name": "label", "shape": [1], "datatype": "INT64", "data": [label]},
            {"name": "probabilities", "shape": [1, CLASSES], "datatype": "FP32", "data": PROBABILITIES[row]},
        ]
        body = json.dumps({"outputs": outputs}).encode()
        site = f"x-trihull-site: {answer.site}\r\n" if answer.site else ""
        site += f"x-trihull-release: {RELEASE}\r\n"
        length = "transfer-encoding: chunked" if answer.chunked else f"content-length: {len(body)}"
        head = f"HTTP/1.1 {answer.status} X\r\n{site}x-envoy-attempt-count: {answer.attempts}\r\n{length}\r\n\r\n"
        if answer.chunked:
            body = b"%x\r\n%b\r\n%x;a=b\r\n%b\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
        self._transport.write(head.encode() + body)


class Router:
    """The scripted router: on the drill's simulated loop, or on one in a thread of its own."""

    def __init__(self, behaviour: Behaviour, world: World) -> None:
        self.behaviour, self.world = behaviour, world
        self.served = self.asked_for_health = 0
        self.connections: set[asyncio.Transport] = set()
        self.url = ""

    async def open(self) -> None:
        """Listen on a port of this machine."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Scripted(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Stop listening, and end every connection at the loop's next turn."""
        self._server.close()
        for connection in list(self.connections):
            connection.abort()

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        await self.open()
        started.set()
        await stop.wait()
        self.close()
        await asyncio.sleep(0)


@contextlib.contextmanager
def scripted_router(
    behaviour: Behaviour = fail_over, world: World | None = None, loop: SimulatedLoop | None = None
) -> Iterator[Router]:
    """Run a scripted router on the loop of the drill; without one in a thread, which has ended when the block has."""
    router = Router(behaviour, world or World())
    if loop is not None:
        loop.run_until_complete(router.open())
        loop.before_close.append(router.close)
        yield router
        return
    started, stop = threading.Event(), asyncio.Event()
    with asyncio.Runner() as runner:
        own = runner.get_loop()
        thread = threading.Thread(target=lambda: own.run_until_complete(router.serve(started, stop)))
        thread.start()
        try:
            assert started.wait(10)
            yield router
        finally:
            own.call_soon_threadsafe(stop.set)
            thread.join()


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
