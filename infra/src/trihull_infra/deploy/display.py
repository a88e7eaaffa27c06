"""Progress of a deploy: a table on a terminal, one line per event elsewhere. Both write to standard error."""

import sys
import time
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trihull_infra.deploy.progress import Display
from trihull_infra.deploy.stacks import Action, Diagnostic, Result, Task, changes_text, type_text, urn_name

_SIGNS = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "replace": "±",
    "create-replacement": "+",
    "delete-replaced": "-",
    "read": ">",
    "import": "=",
}
_PAST = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "create-replacement": "replaced",
    "delete-replaced": "old one deleted",
    "read": "read",
    "import": "imported",
}


def make() -> Display:
    """Return the display that suits standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    return TableDisplay(console) if console.is_terminal and not console.is_dumb_terminal else LineDisplay()


def step_text(task: Task, phase: str, operation: str, token: str, urn: str) -> str | None:
    """Return `+ aws:s3:Bucket releases created`, or None for what nobody wants to read (unchanged, bookkeeping)."""
    if (
        operation not in _SIGNS
        or token in ("pulumi:pulumi:Stack", "pulumi:pulumi:StackReference")
        or token.startswith("pulumi:providers:")
    ):
        return None
    what = f"{_SIGNS[operation]} {type_text(token)} {urn_name(urn)}"
    if phase == "failed":
        return f"{what} failed"
    if task.action is Action.PREVIEW:
        return f"{what} would be {_PAST.get(operation, 'replaced')}" if phase == "start" else None
    if operation not in _PAST or phase != "done":
        return None
    return f"{what} {_PAST[operation]}"


class LineDisplay:
    """Plain lines, as CI wants them."""

    def __init__(self) -> None:
        """Write to standard error."""
        self.titles = 0

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def started(self, task: Task) -> None:
        """Say that a stack began, unless it is only read."""
        if task.action is not Action.OUTPUTS:
            self._print(f"[{task.title}] {task.action} {task.stack}")

    def step(self, task: Task, phase: str, operation: str, token: str, urn: str) -> None:
        """Print what happened to a resource."""
        text = step_text(task, phase, operation, token, urn)
        if text is not None:
            self._print(f"[{task.title}] {text}")

    def said(self, task: Task, diagnostic: Diagnostic) -> None:
        """Print what the engine or the program said."""
        severity = f"{diagnostic.severity}: " if diagnostic.severity != "info" else ""
        for line in str(diagnostic).splitlines():
            self._print(f"[{task.title}] {severity}{line}")

    def finished(self, task: Task, result: Result) -> None:
        """Print how a stack ended."""
        if task.action is Action.OUTPUTS:
            return
        state = "done" if result.ok else "stopped" if result.stopped else "FAILED"
        self._print(f"[{task.title}] {state}: {changes_text(result.changes)}, {result.seconds:.1f} s")

    def note(self, text: str) -> None:
        """Print a line about the whole."""
        self._print(f"[deploy] {text}")

    def tick(self) -> None:
        """Do nothing: lines need no redrawing."""


@dataclass
class _Row:
    task: Task
    begun: float
    changed: int = 0
    current: str = ""
    active: list[str] = field(default_factory=list)
    result: Result | None = None


class TableDisplay:
    """A table that is redrawn in place while stacks run, and stays as it was when they ended."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`."""
        self.console = console
        self.rows: dict[str, _Row] = {}
        self.live: Live | None = None

    def started(self, task: Task) -> None:
        """Add a row."""
        if task.action is Action.OUTPUTS:
            return
        self.rows[task.title] = _Row(task, time.monotonic())
        if self.live is None:
            # Redrawn by `tick`: a thread of its own would be one more thing to stop.
            self.live = Live(console=self.console, auto_refresh=False, get_renderable=self._drawn)
            self.live.start()

    def step(self, task: Task, phase: str, operation: str, token: str, urn: str) -> None:
        """Count, and show what is worked on."""
        row, text = self.rows.get(task.title), step_text(task, phase, operation, token, urn)
        if row is None or operation not in _SIGNS:
            return
        name = f"{type_text(token)} {urn_name(urn)}"
        if phase == "start":
            row.active.append(name)
        elif name in row.active:
            row.active.remove(name)
        row.changed += text is not None
        if phase == "failed" and text is not None:
            self.note(f"[{task.title}] {text}")

    def said(self, task: Task, diagnostic: Diagnostic) -> None:
        """Print above the table."""
        colour = {"error": "red", "warning": "yellow"}.get(diagnostic.severity, "dim")
        self.console.print(f"[{colour}]\\[{task.title}] {escape(str(diagnostic))}[/]")

    def finished(self, task: Task, result: Result) -> None:
        """Show the end in the row; the table is done when all rows are."""
        row = self.rows.get(task.title)
        if row is None:
            return
        row.result = result
        if self.live is not None and all(each.result is not None for each in self.rows.values()):
            self.live.refresh()
            self.live.stop()
            self.live, self.rows = None, {}

    def note(self, text: str) -> None:
        """Print a line about the whole."""
        self.console.print(Text(text))

    def tick(self) -> None:
        """Redraw."""
        if self.live is not None:
            self.live.refresh()

    def _drawn(self) -> Group:
        table = Table(box=None, pad_edge=False, show_header=False)
        for row in self.rows.values():
            result = row.result
            seconds = result.seconds if result is not None else time.monotonic() - row.begun
            if result is None:
                state, what = Text(str(row.task.action), "cyan"), ", ".join(row.active[-2:])
            elif result.ok:
                state, what = Text("done", "green"), changes_text(result.changes)
            else:
                state, what = Text("stopped" if result.stopped else "failed", "red"), changes_text(result.changes)
            table.add_row(row.task.title, state, f"{row.changed}", f"{seconds:5.1f} s", what)
        return Group(table)
