"""Runs one program with a time limit and a line at a time; the whole process group ends with it."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from trihull_runtime import signals

_GRACE_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its exit code (None when the time limit ended it) and its last lines of output."""

    code: int | None
    tail: tuple[str, ...]
    seconds: float


def run(
    arguments: Sequence[str | Path],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[float], None] | None = None,
    tick_s: float = 5.0,
) -> Outcome:
    """Run a program to its end or to the time limit, standard output and error as one stream.

    Args:
        arguments: program and arguments; no shell.
        timeout_s: after this long the process group gets SIGTERM, then SIGKILL.
        environment: the whole environment of the program; ours when None.
        folder: where it runs.
        on_line: called with each line.
        on_tick: called about every `tick_s` seconds with the seconds since the start.
        tick_s: see `on_tick`.

    Raises:
        OSError: the program cannot be started.
    """
    started = time.monotonic()
    tail: list[str] = []
    with contextlib.ExitStack() as stack:
        with signals.delayed():
            process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.enter_context(_ended(process))
        assert process.stdout is not None
        buffer = b""
        next_tick = started + tick_s
        with selectors.DefaultSelector() as selector:
            os.set_blocking(process.stdout.fileno(), False)
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if now - started >= timeout_s:
                    return Outcome(None, tuple(tail), now - started)
                if on_tick is not None and now >= next_tick:
                    on_tick(now - started)
                    next_tick = now + tick_s
                wait_s = min(timeout_s - (now - started), max(next_tick - now, 0.05) if on_tick else 60.0)
                if not selector.select(wait_s):
                    continue
                chunk = process.stdout.read(65536)
                if chunk is None:
                    continue
                *lines, buffer = (buffer + chunk).split(b"\n")
                if not chunk and buffer:
                    lines, buffer = [*lines, buffer], b""
                for line in lines:
                    text = line.decode(errors="replace").rstrip("\r")
                    tail = [*tail[-39:], text]
                    if on_line is not None:
                        on_line(text)
                if not chunk:
                    break
        remaining = max(timeout_s - (time.monotonic() - started), 0.0)
        try:
            code: int | None = process.wait(remaining)
        except subprocess.TimeoutExpired:
            code = None
        return Outcome(code, tuple(tail), time.monotonic() - started)


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End the program's whole group when the block is left, however that happens."""
    try:
        yield
    finally:
        if process.poll() is None:
            _signal(process.pid, signal.SIGTERM)
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                _signal(process.pid, signal.SIGKILL)
                process.wait()
        else:
            _signal(process.pid, signal.SIGKILL)  # what it may have left in its group


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into SystemExit(143) inside the block, so that programs are ended and temporary folders go."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever is decides about signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
