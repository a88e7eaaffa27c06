"""What a build says while it runs: each step with its time, on standard error, so that output stays for the result."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Progress:
    """Announces steps; `seconds` keeps what each took. A spinner on a terminal, plain lines elsewhere."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str, doing: str) -> Iterator["Note"]:
        """Announce a step; what its block notes is said with its time when it ends."""
        note = Note()
        begin = self.clock()
        with self._shown(name, doing):
            yield note
        self.seconds[name] = round(self.clock() - begin, 3)
        detail = f"  {note.text}" if note.text else ""
        print(f"{name:<9} {self.seconds[name]:6.1f} s{detail}", file=self.stream, flush=True)

    def _shown(self, name: str, doing: str) -> contextlib.AbstractContextManager[object]:
        if self.stream.isatty():
            from rich.console import Console  # only where it is seen; it takes a tenth of a second

            return Console(file=self.stream).status(f"{name}: {doing}")
        print(f"{name}: {doing}", file=self.stream, flush=True)
        return contextlib.nullcontext()


@dataclass
class Note:
    """What a step found out, in a few words."""

    text: str = ""
