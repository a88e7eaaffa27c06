"""The process of one stack: an inline Automation API program that runs the project's own `__main__.py`.

It leaves its parent's process group's signals to its parent, which asks it to stop with SIGTERM; it passes that on to
the engine once (a second signal would make the engine give up half-way) and waits. Its parent preloads this module in a
fork server, where no thread and no gRPC channel exists yet.
"""

import json
import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation
from pulumi.automation import CommandError, LocalWorkspace, Stack
from pulumi.automation.errors import ConcurrentUpdateError, StackNotFoundError

from trihull_infra.deploy import locks, pending
from trihull_infra.deploy.reporting import COLOUR, Reporter
from trihull_infra.deploy.running import Command, QuickStack
from trihull_infra.deploy.stacks import Action, Result, Task, changes_text
from trihull_infra.errors import DeployError
from trihull_runtime.errors import TrihullError


def run(task: Task, events: Connection, output: Connection) -> None:
    """Do what `task` says; events and at the end the result go through `events`, what programs print to `output`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group; the parent decides
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    os.environ.clear()
    os.environ.update(task.environment)
    os.chdir(task.folder)
    reporter = Reporter(task, events)
    command = Command(task.engine)
    signal.signal(signal.SIGTERM, lambda _number, _frame: command.stop())
    reporter.broken = command.stop  # nobody listens any more: the parent is gone, so end cleanly
    reporter.result(_Work(task, reporter, command).done())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # the engine is gone; a program that it gave up may still sleep in a thread of its own


class _Work:
    """The operations on one stack."""

    def __init__(self, task: Task, reporter: Reporter, command: Command) -> None:
        self.task, self.reporter, self.command = task, reporter, command
        self.started = time.monotonic()

    def done(self) -> Result:
        """Do it and say how it went; nothing that a stack can do wrong leaves this as an exception."""
        outputs: Mapping[str, Any] | None = None
        problem = ""
        try:
            outputs = self._outputs() if self._act() else None
        except StackNotFoundError as error:
            if self.task.action in (Action.UP, Action.PREVIEW):  # they make it
                problem = self._problem(str(error))
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
        """Do the action; returns whether the stack exists afterwards.

        Raises:
            StackNotFoundError: it does not exist and the action makes none.
        """
        action, report = self.task.action, self.reporter.event
        workspace = LocalWorkspace(
            work_dir=str(self.task.folder), program=self._program, pulumi_command=self.command, env_vars={}
        )
        stack = QuickStack(self.task.stack, workspace)
        if action is Action.OUTPUTS:
            return True
        settled = self._settled(stack)
        if action is Action.PREVIEW:
            stack.preview(on_event=report, color="never")
        elif action is Action.UP:
            # The program runs for the refresh too: its providers may have moved since (a cluster's address).
            first = self.task.refresh or settled
            run = True if first else None
            self._locking(stack, lambda: stack.up(on_event=report, color="never", refresh=first, run_program=run))
        elif action is Action.REFRESH:
            clear = self.task.clear_pending
            self._locking(stack, lambda: stack.refresh(on_event=report, color="never", clear_pending_creates=clear))
        elif action is Action.DESTROY:
            self._locking(
                stack, lambda: stack.destroy(on_event=report, color="never", refresh=self.task.refresh or settled)
            )
            if self.task.remove:
                workspace.remove_stack(self.task.stack, preserve_config=True)
                return False
        return True

    def _program(self) -> None:
        folder = str(self.task.folder)
        sys.path.insert(0, folder)
        try:
            runpy.run_path(str(self.task.folder / "__main__.py"), run_name="__main__")
        except TrihullError as error:  # says all there is to say; a traceback would bury it
            raise pulumi.RunError(str(error)) from error

    def _settled(self, stack: Stack) -> bool:
        """Make sure that the stack exists, and look after what a killed run left in its state.

        Returns whether a refresh must come first.
        """
        # Not the SDK's export_stack: that one decrypts every secret, and writes them in clear to import them again.
        try:
            exported = json.loads(self._said("stack", "export"))
        except StackNotFoundError:
            if self.task.action not in (Action.UP, Action.PREVIEW):
                raise
            self._locking(stack, lambda: stack.workspace.create_stack(self.task.stack))
            return False
        state = exported.get("deployment") or {}
        count = len(pending.operations(state))
        if not count or self.task.clear_pending or self.task.action is Action.PREVIEW:
            return False
        settled, unknown = pending.adopt(state)
        if unknown and self.task.action is Action.UP:
            if not self.task.emulated:
                raise DeployError(pending.advice(self.task.stack, self.task.stack.partition("-")[0], unknown))
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
            try:
                stack.cancel()
            except StackNotFoundError:  # killed before it had made the stack
                if not all(locks.remove(holder) for holder in found):
                    raise
            else:
                self._settled(stack)
            operation()

    def _outputs(self) -> Mapping[str, Any]:
        if self.task.action is Action.PREVIEW or self.task.action is Action.DESTROY:
            return {}
        shown = ["--show-secrets"] if self.task.show_secrets else []
        value = json.loads(self._said("stack", "output", "--json", *shown))
        assert isinstance(value, dict)
        return value

    def _problem(self, said: str) -> str:
        if self.reporter.errors:
            return "\n".join(str(error) for error in self.reporter.errors)
        lines = [COLOUR.sub("", line) for line in said.splitlines()]
        errors = [line.removeprefix(" stderr: ").strip() for line in lines if "error:" in line]
        return "\n".join(errors) or said.strip()
