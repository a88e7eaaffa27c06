"""The protocol of progress displays: what a deploy reports while it runs. Displays of trihull are in display.py."""

from typing import Protocol

from trihull_infra.deploy.stacks import Diagnostic, Result, Task


class Display(Protocol):
    """Shows what goes on; every method returns at once."""

    def started(self, task: Task) -> None:
        """A stack's process has started."""

    def step(self, task: Task, phase: str, operation: str, token: str, urn: str) -> None:
        """The engine began (`start`), finished (`done`) or failed (`failed`) an operation on a resource."""

    def said(self, task: Task, diagnostic: Diagnostic) -> None:
        """The engine or the program said something."""

    def finished(self, task: Task, result: Result) -> None:
        """A stack's process has ended."""

    def note(self, text: str) -> None:
        """Something that concerns no single stack."""

    def tick(self) -> None:
        """Called several times a second while something runs."""
