"""What a stack's process tells its parent: the engine's events, in the few words that a person wants to read."""

import json
import re
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from pulumi.automation import EngineEvent, OpType
from pulumi.automation.events import DiagnosticEvent, StepEventMetadata

from trihull_infra.deploy.stacks import Diagnostic, Result, Task

COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
# Said for each plugin on PATH: with the emulators' that is the point, and it would hide what matters.
_AMBIENT = re.compile(r"using pulumi-\S+ from \$PATH|ambient plugin", re.IGNORECASE)
_SHOWN = ("error", "warning", "info")  # not "debug", not "info#err": what plugins print


class Reporter:
    """Turns the engine's events into messages to the parent; called from gRPC's threads too."""

    def __init__(self, task: Task, events: Connection) -> None:
        """Report on `task` through `events`; `errors` and `changes` remember what the result needs."""
        self.task, self.events = task, events
        self.lock = threading.Lock()
        self.errors: list[Diagnostic] = []
        self.changes: dict[str, int] = {}
        self.broken: Callable[[], None] = lambda: None

    def send(self, **message: Any) -> None:
        """Send one message; when nobody listens, call `broken`."""
        try:
            with self.lock:
                self.events.send_bytes(json.dumps(message).encode())
        except OSError:
            self.broken()

    def note(self, text: str) -> None:
        """Say something about the stack."""
        self.send(kind="note", text=text)

    def event(self, event: EngineEvent) -> None:
        """Take one event of the engine."""
        if event.resource_pre_event is not None:
            self._step("start", event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._step("done", event.res_outputs_event.metadata)
        elif event.res_op_failed_event is not None:
            self._step("failed", event.res_op_failed_event.metadata)
        elif event.diagnostic_event is not None:
            self._diagnostic(event.diagnostic_event)
        elif event.summary_event is not None:
            self.changes = {_text(op): int(count) for op, count in event.summary_event.resource_changes.items()}

    def _step(self, phase: str, metadata: StepEventMetadata) -> None:
        self.send(kind="step", phase=phase, op=_text(metadata.op), type=metadata.type, urn=metadata.urn)

    def _diagnostic(self, event: DiagnosticEvent) -> None:
        message = COLOUR.sub("", f"{event.prefix or ''}{event.message}").strip()
        if event.ephemeral or not message or _AMBIENT.search(message) or event.severity not in _SHOWN:
            return
        diagnostic = Diagnostic(event.severity, _plain(message.removeprefix(f"{event.severity}: ")), event.urn or "")
        if event.severity == "error":
            if any(error.message in diagnostic.message for error in self.errors):
                return  # the engine says what a program failed of twice
            self.errors.append(diagnostic)
        self.send(kind="diagnostic", severity=diagnostic.severity, message=diagnostic.message, urn=diagnostic.urn)

    def result(self, result: Result) -> None:
        """Send how it went: the last message."""
        self.send(
            kind="result",
            seconds=result.seconds,
            changes=dict(result.changes),
            outputs=result.outputs if result.outputs is None else dict(result.outputs),
            problem=result.problem,
            stopped=result.stopped,
        )


def _plain(message: str) -> str:
    """Drop the traceback of an error that trihull raised on purpose: its message says all there is to say."""
    head, mark, trace = message.partition("\nTraceback (most recent call last):")
    lines = trace.strip().splitlines()
    ours = bool(mark) and any(re.match(r"trihull_[\w.]+Error: ", line) for line in lines)
    return head.removeprefix("python inline source runtime error: ") if ours else message


def _text(operation: OpType | str) -> str:
    return operation.value if isinstance(operation, OpType) else str(operation)
