"""Runs many stacks side by side, each in a process of its own, from one loop without threads.

The processes come from a fork server that has imported the SDK and nothing else: no interpreter starts anew for each
stack (0.2 s of CPU each), and no thread or gRPC channel of this process is ever forked.
"""

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from trihull_infra.deploy.progress import Display
from trihull_infra.deploy.stacks import Diagnostic, Result, Task
from trihull_infra.deploy.stopping import Stop

_TICK_S = 0.2


class _Child:
    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["trihull_infra.deploy.child"])
        self.task, self.result, self.asked = task, Result(task.title, 0.0), False
        self.answered, self.started = False, time.monotonic()
        self.events, events = context.Pipe(duplex=False)
        self.output, output = context.Pipe(duplex=False)
        self.process: ForkServerProcess = context.Process(target=_entry, args=(task, events, output), name=task.title)
        self.process.start()
        events.close()
        output.close()
        os.set_blocking(self.output.fileno(), False)
        self.text = b""

    def stop(self) -> None:
        if not self.asked:
            self.asked = True
            self.process.terminate()

    def listen(self, ready: Connection, display: Display) -> bool:
        """Take one message or piece of output; returns False when that end is closed."""
        if ready is self.output:
            return self._printed(display)
        try:
            message: dict[str, Any] = json.loads(ready.recv_bytes())
        except EOFError:
            return False
        kind = message.pop("kind")
        if kind == "step":
            display.step(self.task, message["phase"], message["op"], message["type"], message["urn"])
        elif kind == "diagnostic":
            display.said(self.task, Diagnostic(message["severity"], message["message"], message["urn"]))
        elif kind == "note":
            display.said(self.task, Diagnostic("info", message["text"]))
        else:
            assert kind == "result"
            self.result, self.answered = Result(title=self.task.title, **message), True
        return True

    def _printed(self, display: Display) -> bool:
        try:
            chunk = os.read(self.output.fileno(), 65536)
        except BlockingIOError:
            return True
        *lines, self.text = (self.text + (chunk or b"\n")).split(b"\n")
        for line in lines:
            if line.strip():
                display.said(self.task, Diagnostic("info", line.decode(errors="replace").rstrip()))
        return bool(chunk)

    def ended(self) -> Result:
        """Reap the process and return how it went."""
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        self.events.close()
        self.output.close()
        if self.answered:
            return self.result
        problem = f"its process ended without an answer (exit code {code}); run again to complete"
        return Result(self.task.title, time.monotonic() - self.started, problem=problem, stopped=self.asked)


def _entry(task: Task, events: Connection, output: Connection) -> None:
    from trihull_infra.deploy import child

    child.run(task, events, output)


def run(tasks: Sequence[Task], display: Display, stop: Stop) -> list[Result]:
    """Run all tasks at once, as `operations.Operations` says: each in a process of its own, on the Pulumi engine.

    When `stop` is asked, every process gets SIGTERM (its engine finishes what it is doing and unlocks the state) and is
    waited for: none is ever killed.
    """
    if stop.signal is not None:
        return [Result(task.title, 0.0, problem="stopped before it began", stopped=True) for task in tasks]
    children: list[_Child] = []
    try:
        for task in tasks:
            children.append(_Child(task))
            display.started(task)
        results: dict[int, Result] = {}
        open_ends = {end: child for child in children for end in (child.events, child.output)}
        while open_ends:
            for ready in wait(list(open_ends), _TICK_S):
                assert isinstance(ready, Connection)
                child = open_ends[ready]
                if not child.listen(ready, display):
                    del open_ends[ready]
                    if child not in open_ends.values():
                        index = children.index(child)
                        results[index] = child.ended()
                        display.finished(child.task, results[index])
            if stop.signal is not None:
                for child in open_ends.values():
                    child.stop()
            display.tick()
        return [results[index] for index in range(len(tasks))]
    except BaseException:
        for child in children:
            with contextlib.suppress(ValueError):  # closed: it has ended
                child.stop()
        for child in children:
            with contextlib.suppress(ValueError):
                child.process.join()
        raise
