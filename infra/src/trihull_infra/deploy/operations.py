"""The protocol between the order of a deploy (flow.py) and what carries out its operations on stacks (children.py)."""

from collections.abc import Sequence
from typing import Protocol

from trihull_infra.deploy.progress import Display
from trihull_infra.deploy.stacks import Result, Task
from trihull_infra.deploy.stopping import Stop


class Operations(Protocol):
    """Runs operations on stacks."""

    def __call__(self, tasks: Sequence[Task], display: Display, stop: Stop) -> list[Result]:
        """Run all tasks side by side and return their results in the order of the tasks.

        A task that fails stops no other: its result says what is wrong. Once `stop.signal` is set, what runs is
        finished cleanly and what has not begun never begins; the results of both say `stopped`.

        Args:
            tasks: each of another stack.
            display: gets `started` and `finished` of every task that began, and what happens in between.
            stop: says whether the user wants an end.
        """
