"""What a build says while it runs: each step with its time, on standard error, so that output stays for the result."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TextIO

if TYPE_CHECKING:
    from rich.status import Status

REDRAWN_S: Final = 0.1  # on a terminal
SAID_S: Final = 10.0  # in a log, where every line stays


class Meter(Protocol):
    """Told of every piece that was moved, in bytes; several threads may tell it."""

    def __call__(self, size_bytes: int, /) -> None:
        """Count a piece."""
        ...


@dataclass
class Progress:
    """Announces steps; `seconds` keeps what each took. A spinner on a terminal, plain lines elsewhere."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    _spinner: "Status | None" = field(default=None, init=False)

    @contextlib.contextmanager
    def step(self, name: str, doing: str) -> Iterator["Note"]:
        """Announce a step; what its block notes is said with its time when it ends."""
        note = Note()
        begin = self.clock()
        if not self.stream.isatty():
            print(f"{name}: {doing}", file=self.stream, flush=True)
        with self._spinning(f"{name}: {doing}"):
            yield note
        self.seconds[name] = round(self.clock() - begin, 3)
        detail = f"  {note.text}" if note.text else ""
        print(f"{name:<9} {self.seconds[name]:6.1f} s{detail}", file=self.stream, flush=True)

    @contextlib.contextmanager
    def moving(self, doing: str, total_bytes: int) -> Iterator[Meter]:
        """Show how much of something large has moved; in a step, its spinner says it.

        On a terminal it is seen while it lasts and leaves nothing behind; elsewhere there is a line every ten seconds.
        """
        terminal = self.stream.isatty()
        lock = threading.Lock()
        done, said = 0, self.clock()

        def count(size_bytes: int, /) -> None:
            nonlocal done, said
            with lock:
                done += size_bytes
                now = self.clock()
                if now - said < (REDRAWN_S if terminal else SAID_S):
                    return
                said = now
                self._say(f"{doing}: {done / 1e6:.1f} of {total_bytes / 1e6:.1f} MB")

        with self._spinning(doing):
            yield count

    @contextlib.contextmanager
    def _spinning(self, text: str) -> Iterator[None]:
        """Show a spinner on a terminal, one at a time: within another's it is that one, with its text put back."""
        if not self.stream.isatty():
            yield
            return
        from rich.console import Console  # only where it is seen; it takes a tenth of a second
        from rich.text import Text

        if self._spinner is not None:
            before = self._spinner.status
            self._spinner.update(Text(text))
            yield
            self._spinner.update(before)
            return
        with Console(file=self.stream).status(Text(text)) as self._spinner:
            try:
                yield
            finally:
                self._spinner = None

    def _say(self, text: str) -> None:
        if self._spinner is None:
            print(text, file=self.stream, flush=True)
        else:
            from rich.text import Text

            self._spinner.update(Text(text))


@dataclass
class Note:
    """What a step found out, in a few words."""

    text: str = ""
