"""The process of one stack: an inline Automation API program that runs the project's own `__main__.py`.

It leaves its parent's process group's signals to its parent, which asks it to stop with SIGTERM; it passes that on to
the engine once (a second signal would make the engine give up half-way) and waits. Its parent preloads this module in a
fork server, where no thread and no gRPC channel exists yet.
"""

import contextlib
import datetime
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation
from pulumi.automation import CommandError, CommandResult, EngineEvent, LocalWorkspace, OpType, Stack
from pulumi.automation.errors import ConcurrentUpdateError, StackNotFoundError, create_command_error
from pulumi.automation.events import DiagnosticEvent, StepEventMetadata
from semver import VersionInfo

from trihull_infra.deploy import locks, pending
from trihull_infra.deploy.stacks import Action, Diagnostic, Result, Task, changes_text
from trihull_infra.engine import VERSION
from trihull_infra.errors import DeployError

_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
# Said for each plugin on PATH: with the emulators' that is the point, and it would hide what matters.
_AMBIENT = re.compile(r"using pulumi-\S+ from \$PATH|ambient plugin", re.IGNORECASE)


def run(task: Task, events: Connection, output: Connection) -> None:
    """Do what `task` says; events and at the end the result go through `events`, what programs print to `output`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group; the parent decides
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    os.environ.clear()
    os.environ.update(task.environment)
    os.chdir(task.folder)
    reporter = _Reporter(task, events)
    command = _Command(task.engine)
    signal.signal(signal.SIGTERM, lambda _number, _frame: command.stop())
    reporter.broken = command.stop  # nobody listens any more: the parent is gone, so end cleanly
    reporter.result(_Work(task, reporter, command).done())


class _Reporter:
    """Turns the engine's events into messages to the parent; called from gRPC's threads too."""

    def __init__(self, task: Task, events: Connection) -> None:
        self.task, self.events = task, events
        self.lock = threading.Lock()
        self.errors: list[Diagnostic] = []
        self.changes: dict[str, int] = {}
        self.broken: Callable[[], None] = lambda: None

    def send(self, **message: Any) -> None:
        try:
            with self.lock:
                self.events.send_bytes(json.dumps(message).encode())
        except OSError:
            self.broken()

    def note(self, text: str) -> None:
        self.send(kind="note", text=text)

    def event(self, event: EngineEvent) -> None:
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
        message = _COLOUR.sub("", f"{event.prefix or ''}{event.message}").strip()
        if event.ephemeral or not message or _AMBIENT.search(message) or event.severity not in ("error", "warning"):
            return
        diagnostic = Diagnostic(event.severity, message.removeprefix(f"{event.severity}: "), event.urn or "")
        if event.severity == "error" and diagnostic not in self.errors:
            self.errors.append(diagnostic)
        self.send(kind="diagnostic", severity=diagnostic.severity, message=diagnostic.message, urn=diagnostic.urn)

    def result(self, result: Result) -> None:
        self.send(
            kind="result",
            seconds=result.seconds,
            changes=dict(result.changes),
            outputs=result.outputs if result.outputs is None else dict(result.outputs),
            problem=result.problem,
            stopped=result.stopped,
        )


def _text(operation: OpType | str) -> str:
    return operation.value if isinstance(operation, OpType) else str(operation)


class _Command(pulumi.automation.PulumiCommand):
    """The SDK's command, but one that can be stopped: the engine runs in a session of its own."""

    def __init__(self, engine: Path) -> None:
        # The version was checked when the engine was found; the SDK's constructor would start it again to ask.
        self.command = str(engine)
        self.version = VersionInfo.parse(VERSION)
        self.process: subprocess.Popen[str] | None = None
        self.stopped = False

    def stop(self) -> None:
        """Ask the engine, once, to finish what runs and to end."""
        if not self.stopped:
            self.stopped = True
            self._terminate()

    def _terminate(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Run one command of the engine, as the SDK's own `run` does."""
        if self.stopped:
            raise DeployError("stopped before it began")
        with subprocess.Popen(
            [self.command, "--non-interactive", *(argument for argument in args if argument != "--non-interactive")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            self.process = process
            if self.stopped:  # asked between the test above and the start
                self._terminate()
            texts: dict[str, list[str]] = {"stdout": [], "stderr": []}

            def read(name: str, stream: Any, callback: Callable[[str], Any] | None) -> None:
                for line in stream:
                    texts[name].append(line.rstrip())
                    if callback is not None:
                        callback(line.rstrip())

            threads = [
                threading.Thread(target=read, args=("stdout", process.stdout, on_output)),
                threading.Thread(target=read, args=("stderr", process.stderr, on_error)),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            code = process.wait()
        result = CommandResult("\n".join(texts["stdout"]), "\n".join(texts["stderr"]), code)
        if code != 0:
            raise create_command_error(result)
        return result


class _QuickStack(Stack):
    """A stack that does not ask the engine three more times after each operation.

    The SDK reads history and outputs, with all secrets in clear, after every `up`; the events have told the changes,
    and outputs are read once, with secrets masked.
    """

    def info(self, show_secrets: bool = True) -> pulumi.automation.UpdateSummary:
        """Return nothing that anybody reads."""
        del show_secrets
        now = datetime.datetime.now(datetime.UTC)
        return pulumi.automation.UpdateSummary("", now, "", {}, {}, "")

    def outputs(self) -> pulumi.automation.OutputMap:
        """Return nothing that anybody reads."""
        return {}


class _Work:
    """The operations on one stack."""

    def __init__(self, task: Task, reporter: _Reporter, command: _Command) -> None:
        self.task, self.reporter, self.command = task, reporter, command
        self.started = time.monotonic()

    def done(self) -> Result:
        """Do it and say how it went; nothing that a stack can do wrong leaves this as an exception."""
        outputs: Mapping[str, Any] | None = None
        problem = ""
        try:
            outputs = self._outputs() if self._act() else None
        except StackNotFoundError:
            outputs = None
        except DeployError as error:
            problem = str(error)
        except CommandError as error:
            problem = self._problem(str(error))
        except Exception as error:  # noqa: BLE001 - the boundary of the process: the parent must hear of it
            problem = f"{type(error).__name__}: {error}"
        if self.command.stopped:
            problem = problem and f"stopped on request ({changes_text(self.reporter.changes)})"
        return Result(
            title=self.task.title,
            seconds=time.monotonic() - self.started,
            changes=self.reporter.changes,
            outputs=outputs,
            problem=problem,
            stopped=self.command.stopped,
        )

    def _act(self) -> bool:
        """Do the action; returns whether the stack exists afterwards."""
        action, creates = self.task.action, self.task.action in (Action.UP, Action.PREVIEW)
        stack = self._stack(create=creates)
        if action is Action.OUTPUTS:
            return True
        if action is Action.PREVIEW:
            stack.preview(on_event=self.reporter.event, color="never")
            return True
        refresh_first = self._settle(stack)
        if action is Action.UP:
            # The program runs for the refresh too: its providers may have moved since (a cluster's address).
            refresh = self.task.refresh or refresh_first
            self._locking(
                stack,
                lambda: stack.up(
                    on_event=self.reporter.event, color="never", refresh=refresh, run_program=True if refresh else None
                ),
            )
        elif action is Action.REFRESH:
            clear = self.task.clear_pending
            self._locking(
                stack,
                lambda: stack.refresh(on_event=self.reporter.event, color="never", clear_pending_creates=clear),
            )
        elif action is Action.DESTROY:
            self._locking(stack, lambda: stack.destroy(on_event=self.reporter.event, color="never"))
            if self.task.remove:
                stack.workspace.remove_stack(self.task.stack, preserve_config=True)
                return False
        return True

    def _stack(self, create: bool) -> Stack:
        workspace = LocalWorkspace(
            work_dir=str(self.task.folder), program=self._program, pulumi_command=self.command, env_vars={}
        )
        if create:
            return _QuickStack.create_or_select(self.task.stack, workspace)
        return _QuickStack.select(self.task.stack, workspace)

    def _program(self) -> None:
        if self.task.cloud == "azure":
            # azure-native gives each resource some 40 aliases for older API versions; no stack of ours ever had them,
            # and they cost more than the rest of a preview.
            pulumi.runtime.register_stack_transformation(_without_aliases)
        folder = str(self.task.folder)
        sys.path.insert(0, folder)
        runpy.run_path(str(self.task.folder / "__main__.py"), run_name="__main__")

    def _settle(self, stack: Stack) -> bool:
        """Look after what a killed run left in the state; returns whether a refresh must come first."""
        if self.task.clear_pending and self.task.action is Action.REFRESH:
            return False
        # Not the SDK's export_stack: that one decrypts every secret, and writes them in clear to import them again.
        exported = json.loads(self._said("stack", "export"))
        state = exported.get("deployment") or {}
        count = len(pending.operations(state))
        if not count:
            return False
        settled, unknown = pending.adopt(state)
        if unknown and self.task.action is Action.UP:
            if not self.task.emulated:
                raise DeployError(pending.advice(self.task.stack, self.task.stack.rpartition("-")[0], unknown))
            settled = {**settled, "pending_operations": []}  # emulated: what is left over costs nobody anything
        self.reporter.note(f"an earlier run was killed in the middle of {count} operations; looking what came of them")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.json"
            path.write_text(json.dumps({**exported, "deployment": settled}), encoding="utf-8")
            self._locking(stack, lambda: self._said("stack", "import", "--file", str(path)))
        return True

    def _said(self, *arguments: str) -> str:
        """Return what the engine answers to a command about this stack."""
        return self.command.run([*arguments, "--stack", self.task.stack], str(self.task.folder), {}).stdout

    def _locking(self, stack: Stack, operation: Callable[[], object]) -> None:
        """Run an operation; a lock of a dead process of this machine is broken, any other is named."""
        try:
            operation()
        except ConcurrentUpdateError as error:
            found = locks.holders(str(error))
            local = os.environ.get("PULUMI_BACKEND_URL", "").startswith("file:")
            if not found or not all(locks.stale(holder, local) for holder in found):
                raise DeployError(locks.advice(self.task.stack, str(self.task.folder), found)) from error
            self.reporter.note(f"breaking the lock of {'; '.join(map(str, found))}: that process is no more")
            stack.cancel()
            self._settle(stack)
            operation()

    def _outputs(self) -> Mapping[str, Any]:
        if self.task.action is Action.PREVIEW or self.task.action is Action.DESTROY:
            return {}
        value = json.loads(self._said("stack", "output", "--json"))
        assert isinstance(value, dict)
        return value

    def _problem(self, said: str) -> str:
        if self.reporter.errors:
            return "\n".join(str(error) for error in self.reporter.errors)
        lines = [_COLOUR.sub("", line) for line in said.splitlines()]
        errors = [line.removeprefix(" stderr: ").strip() for line in lines if "error:" in line]
        return "\n".join(errors) or said.strip()


def _without_aliases(
    arguments: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    if not arguments.type_.startswith("azure-native:"):
        return None
    arguments.opts.aliases = []
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)
