"""The rig: a daemon of its own state home, the real engine, and small programs on the real SDKs."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests import forking
from tests.forking import Ask
from trihull_infra import engine
from trihull_infra.emulators import client
from trihull_infra.emulators.client import Daemon

REPOSITORY = Path(__file__).parents[2]
OPERATION_S = 110.0
# What README shows, word for word, of plain Pulumi: no command of trihull's but `emulators env`.
SETTING = 'cd stacks/{project} && eval "$(trihull emulators env)" && pulumi stack select --create {stack} && '


class OperationError(Exception):
    """The engine ended an operation with an error; the text is all it printed."""


@dataclass
class Stack:
    """One stack of a program in programs.py; `options` go to the program."""

    name: str
    program: str
    environment: dict[str, str]
    folder: Path
    ask: Ask
    options: dict[str, Any] = field(default_factory=dict)
    project: str = "emulated"
    outputs: dict[str, Any] = field(default_factory=dict)
    secret: set[str] = field(default_factory=set)
    there: bool = False  # whether something of it may be: nothing was destroyed since the last deployment

    def _run(self, operation: str) -> dict[str, Any]:
        asked = {
            "stack": self.name,
            "program": f"tests.emulated.programs:{self.program}",
            "project": self.project,
            "folder": str(self.folder),
            "options": self.options,
            "operation": operation,
            "environment": {**os.environ, **self.environment},
        }
        answer: dict[str, Any] = self.ask(asked, OPERATION_S)
        if "error" in answer:
            raise OperationError(answer["error"])
        return answer

    def _changes(self, operation: str) -> dict[str, int]:
        self.there |= operation == "up"
        answer = self._run(operation)
        if operation == "up":
            self.outputs, self.secret = answer["outputs"], set(answer["secret"])
        elif operation == "destroy":
            self.there = False
        changes: dict[str, int] = answer["changes"]
        return changes

    def up(self) -> dict[str, int]:
        """Deploy; what it exports is in `outputs`, the names of its secrets in `secret`."""
        return self._changes("up")

    def preview(self) -> dict[str, int]:
        return self._changes("preview")

    def refresh(self) -> dict[str, int]:
        return self._changes("refresh")

    def destroy(self) -> dict[str, int]:
        return self._changes("destroy")

    def resources(self) -> list[dict[str, Any]]:
        """Return what the engine's state holds."""
        found: list[dict[str, Any]] = self._run("export")["deployment"].get("resources", [])
        return found


Make = Callable[..., Stack]


@pytest.fixture(scope="session")
def engine_folder() -> Path:
    found = engine.find()
    if found is None:
        pytest.fail("the Pulumi engine is not there; make it with `python -m trihull_infra.engine`")
    return found.folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state home for one module; whatever runs in it ends with the module."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIHULL_HOME", str(folder))
        yield folder
        client.stop()


@pytest.fixture(scope="module")
def daemon(home: Path) -> Daemon:
    return client.start()


@pytest.fixture(scope="session")
def operations() -> Iterator[Ask]:
    """Ask for what `operation.py` does."""
    with forking.server("tests.emulated.operation") as ask:
        yield ask


@pytest.fixture
def stack(home: Path, daemon: Daemon, engine_folder: Path, operations: Ask, tmp_path: Path) -> Iterator[Make]:
    """Make stacks of programs.py; each that is there is destroyed at the end."""
    made: list[Stack] = []

    def make(name: str, program: str, **options: Any) -> Stack:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        one = Stack(name, program, client.environment(engine_folder), folder, operations, options)
        made.append(one)
        return one

    yield make
    for one in reversed([one for one in made if one.there]):
        with contextlib.suppress(OperationError):  # what a test broke on purpose stays in its home
            one.destroy()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stacks of this checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "models", "local.*.json")
    shutil.copytree(REPOSITORY / "stacks", folder / "stacks", ignore=ignore)
    return folder


class Pulumi(Protocol):
    """Runs one `pulumi` command on a stack of the checkout; returns its output, where that is JSON without messages."""

    def __call__(self, project: str, stack: str, *arguments: str, code: int = 0) -> str: ...


@pytest.fixture(scope="module")
def pulumi(checkout: Path, daemon: Daemon, engine_folder: Path) -> Pulumi:
    """What `shell` does with README's line, its environment made once: for tests that need many commands."""
    assert daemon.pid
    programs = (REPOSITORY / "tests" / "toolchain", Path(sys.executable).parent)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    inside = client.environment(engine_folder)
    environment = {**outside, **inside, "PATH": os.pathsep.join((*map(str, programs), inside["PATH"]))}

    def run(project: str, stack: str, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments, "--stack", stack],
            cwd=checkout / "stacks" / project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{done.stdout}{done.stderr}"
        assert done.returncode == code, f"pulumi {arguments} on {stack}: exit code {done.returncode}\n{said}"
        return done.stdout if {"--json", "export"} & set(arguments) else said

    return run


@pytest.fixture
def shell(checkout: Path, daemon: Daemon, engine_folder: Path) -> Any:
    """Run a line in a shell of somebody who has trihull and Pulumi installed; return its output."""
    assert daemon.pid
    programs = (REPOSITORY / "tests" / "toolchain", Path(sys.executable).parent, engine_folder)
    path = os.pathsep.join((*map(str, programs), os.environ["PATH"]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}

    def run(line: str, code: int = 0) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=checkout,
            env={**kept, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{line}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    return run
