"""`make demo`: the product's own commands in their order, each announced with its time, and what stays up afterwards.

The demo does nothing that a person could not type: it starts `trihull` commands as processes and reads the documents
they leave. Any step that fails ends it with that step's exit code.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trihull_infra.deploy import pages
from trihull_infra.emulators import client
from trihull_runtime import signals

ENVIRONMENT = "local"
MODEL = "digits"
BROKEN_SITE = "aws"
ROUTERS = Path("stacks/environments") / f"{ENVIRONMENT}.routers.json"
RELEASES = Path("build/releases")
REPORT = Path("build/drill")


@dataclass(frozen=True)
class Step:
    """One finished command: what it was and how long it took, in seconds."""

    command: str
    seconds: float


class StepError(Exception):
    """A command of the demo failed; carries its exit code."""

    def __init__(self, command: str, code: int) -> None:
        """Keep the command line and its exit code."""
        self.command, self.code = command, code
        super().__init__(f"{command} ended with exit code {code}")


class Stopped(BaseException):
    """The demo was asked to stop by a signal."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number."""
        self.number = number
        super().__init__(number)


def _stop(number: int, _frame: object) -> None:
    raise Stopped(number)


class Demo:
    """Runs the steps and remembers them."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self.console = console
        self.steps: list[Step] = []

    def run(self, *arguments: str) -> None:
        """Run one `trihull` command in the foreground, its output shown as it comes.

        Raises:
            StepError: it returned another code than 0.
        """
        command = " ".join(("trihull", *arguments))
        self.console.print(f"\n[bold cyan]▶ {command}[/]")
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            with signals.delayed():
                process = subprocess.Popen([*_trihull(), *arguments], stdin=subprocess.DEVNULL)
                stack.callback(_end, process)
            self.finished(command, started, process.wait())

    def finished(self, command: str, started: float, code: int) -> None:
        """Record a command that ended with `code`; raises `StepError` when that is not 0."""
        seconds = time.monotonic() - started
        if code != 0:
            self.console.print(f"[bold red]✗ {command}: exit code {code} after {seconds:.1f} s[/]")
            raise StepError(command, code)
        self.steps.append(Step(command, seconds))
        self.console.print(f"[green]✓[/] {command} [dim]{seconds:.1f} s[/]")


class Background:
    """A command that runs beside the others, its lines shown under its name."""

    def __init__(self, demo: Demo, name: str, command: Sequence[str]) -> None:
        """Start `command`."""
        self.demo, self.name = demo, name
        self.started = time.monotonic()
        demo.console.print(f"[bold cyan]▶ {name}[/] [dim](beside the next steps)[/]")
        self.process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._show, daemon=True)
        self.reader.start()

    def _show(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.demo.console.print(f"[dim][{self.name}] {line.rstrip()}[/]", highlight=False)

    def wait(self) -> None:
        """Wait for the end; raises `StepError` when it failed."""
        code = self.process.wait()
        self.reader.join(timeout=5)
        self.demo.finished(self.name, self.started, code)

    def stop(self) -> None:
        """End the command when it still runs."""
        _end(self.process)


def _end(process: "subprocess.Popen[Any]") -> None:
    """Let a command that still runs stop in its own way, and wait for it."""
    if process.poll() is None:
        process.terminate()
        process.wait()


def _trihull() -> list[str]:
    return [sys.executable, "-c", "from trihull_runtime.cli import main; main()"]


def _routers() -> dict[str, str]:
    value = json.loads(ROUTERS.read_text())
    routers = value["routers"]
    assert isinstance(routers, dict)
    return routers


def play(demo: Demo) -> None:
    """Run the main job: package, deploy to three clouds, ask every site and every router, lose a cloud."""
    with contextlib.ExitStack() as stack:
        with signals.delayed():
            engine = Background(demo, "engine", [sys.executable, "-m", "trihull_infra.engine"])
            stack.callback(engine.stop)
        demo.run("package", f"stacks/models/{MODEL}")
        demo.run("package", "--router")
        engine.wait()
    demo.run("release", ENVIRONMENT, str(RELEASES / MODEL), "--router", str(RELEASES / "router"))
    demo.run("up", ENVIRONMENT)
    demo.run("answers", ENVIRONMENT, "--model", MODEL)
    demo.run("drill", ENVIRONMENT, "--site", BROKEN_SITE, "--kind", "kill", "--report-dir", str(REPORT))


def closing(demo: Demo, started: float) -> None:
    """Show what was done, what stays up, where to look, and how to take it down."""
    table = Table(title="The main job", title_justify="left")
    table.add_column("command")
    table.add_column("seconds", justify="right")
    for step in demo.steps:
        table.add_row(step.command, f"{step.seconds:.1f}")
    table.add_section()
    table.add_row("all of it", f"{time.monotonic() - started:.1f}")
    demo.console.print()
    demo.console.print(table)
    demo.console.print("[bold]What stays up[/] (emulated clouds and processes on this machine, nothing else):")
    for site, url in _routers().items():
        demo.console.print(f"  router on {site:<9} {url}/v2/models/{MODEL}", highlight=False)
    for line in pages.lines(pages.emulated(client.connect().sites(), _routers()), ENVIRONMENT):
        demo.console.print(f"  {line}", highlight=False)
    report = (REPORT / "report.html").resolve()
    demo.console.print(f"  drill report        {report.as_uri()}", highlight=False, soft_wrap=True)
    demo.console.print("Look around: [bold]trihull emulators status[/]. Take it down: [bold]make clean-demo[/].")


def main() -> int:
    """Run the demo from a checkout's top folder; returns the exit code."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not Path("stacks/models", MODEL, "model.yaml").is_file():
        console.print("demo: run it in the top folder of a checkout of trihull (make demo does)")
        return 64
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    demo, started = Demo(console), time.monotonic()
    try:
        play(demo)
    except StepError as failure:
        console.print(f"[bold red]The demo failed:[/] {failure}. Take down what stands: [bold]make clean-demo[/].")
        return failure.code
    except Stopped as stop:
        console.print("\nstopped; take down what stands: [bold]make clean-demo[/]")
        return 128 + stop.number
    closing(demo, started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
