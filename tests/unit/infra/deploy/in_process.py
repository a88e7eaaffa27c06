"""Operations on stacks in the test's own process: no engine, no state folder, no child process.

The projects' own programs run, with a stand-in for the module `pulumi` that remembers what they register and export.
tests/emulated/deploy/test_operations.py holds this and the real engine to the same contract.
"""

import contextlib
import json
import sys
import time
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from trihull_infra.deploy.progress import Display
from trihull_infra.deploy.stacks import Action, Result, Task
from trihull_infra.deploy.stopping import Stop
from trihull_runtime.errors import TrihullError


@dataclass(frozen=True)
class Secret:
    """A secret of a program's outputs, shown as a mask unless a task wants secrets in clear."""

    value: object


@dataclass
class State:
    """What a stack holds: its resources with their inputs, and its outputs, secrets as `Secret`."""

    resources: dict[str, object] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)


class InProcess:
    """An `Operations`; `stacks` holds the state of each project folder's stacks, `tasks` what was asked for."""

    def __init__(self) -> None:
        self.stacks: dict[tuple[Path, str], State] = {}
        self.tasks: list[Task] = []

    def __call__(self, tasks: Sequence[Task], display: Display, stop: Stop) -> list[Result]:
        if stop.signal is not None:
            return [Result(task.title, 0.0, problem="stopped before it began", stopped=True) for task in tasks]
        for task in tasks:
            display.started(task)
        results: list[Result] = []
        for task in tasks:
            self.tasks.append(task)
            results.append(self._run(task, stop))
            display.finished(task, results[-1])
        return results

    def _run(self, task: Task, stop: Stop) -> Result:
        begin_s = time.monotonic()
        changes: Mapping[str, int] = {}
        outputs: dict[str, Any] | None = None
        problem = ""
        try:
            if stop.signal is None:
                changes, outputs = self._act(task)
        except TrihullError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - a program may raise anything, and that fails its stack alone
            problem = f"{type(error).__name__}: {error}"
        if stop.signal is not None:
            problem = f"stopped on request ({task.title})"
        return Result(task.title, time.monotonic() - begin_s, changes, outputs, problem, stop.signal is not None)

    def _act(self, task: Task) -> tuple[dict[str, int], dict[str, Any] | None]:
        """Return the changes and the outputs; None when the stack does not exist."""
        key = (task.folder, task.stack)
        if task.action in (Action.UP, Action.PREVIEW):
            before = self.stacks.setdefault(key, State())  # a preview makes the stack too
            after = _evaluate(task)
            if task.action is Action.PREVIEW:
                return _changes(before, after), {}
            self.stacks[key] = after
            return _changes(before, after), _shown(after, task)
        state = self.stacks.get(key)
        if state is None:
            return {}, None
        if task.action is Action.DESTROY:
            self.stacks[key] = State()
            if task.remove:
                del self.stacks[key]
            return _changes(state, State()), None if task.remove else {}
        return _changes(state, state) if task.action is Action.REFRESH else {}, _shown(state, task)


def _shown(state: State, task: Task) -> dict[str, Any]:
    """Return the outputs as the engine shows them."""
    return {
        name: (value.value if task.show_secrets else "[secret]") if isinstance(value, Secret) else value
        for name, value in state.outputs.items()
    }


def _changes(before: State, after: State) -> dict[str, int]:
    """Count operations as the engine's summary does."""
    operations = [
        "create" if name not in before.resources else "same" if before.resources[name] == inputs else "update"
        for name, inputs in after.resources.items()
    ]
    operations += ["delete" for name in before.resources if name not in after.resources]
    return {operation: operations.count(operation) for operation in dict.fromkeys(operations)}


def _evaluate(task: Task) -> State:
    """Run a project's program and return what it registers and exports."""
    state = State({"Stack": {}})

    def register(token: str, name: str, inputs: object = None) -> None:
        state.resources[f"{token}::{name}"] = inputs

    def export(name: str, value: object) -> None:
        state.outputs[name] = value if isinstance(value, Secret) else json.loads(json.dumps(value))

    pulumi = types.ModuleType("pulumi")
    vars(pulumi).update(
        get_stack=lambda: task.stack,
        ComponentResource=register,
        export=export,
        Output=types.SimpleNamespace(secret=Secret),
    )
    program = (task.folder / "__main__.py").read_text()
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(task.folder):
        patch.setitem(sys.modules, "pulumi", pulumi)
        exec(compile(program, str(task.folder / "__main__.py"), "exec"), {"__name__": "__main__"})  # noqa: S102
    return state
