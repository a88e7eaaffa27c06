"""Running other programs: every one has a time limit, is reaped with its children, and fails with a clear message."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from trihull_packaging.errors import ToolError
from trihull_runtime import signals
from trihull_runtime.errors import TrihullError

SHOWN_LINES = 12


def run(
    arguments: Sequence[str | Path],
    *,
    doing: str,
    timeout_s: float,
    environment: Mapping[str, str],
    cwd: Path,
    failure: type[TrihullError] = ToolError,
) -> str:
    """Run a program to its end and return its standard output.

    Args:
        arguments: the program and its arguments.
        doing: what it is for, as errors say it: `resolving the base's packages`.
        timeout_s: after this many seconds the program and its children are killed.
        environment: all of its environment.
        cwd: where it runs.
        failure: what to raise when the program says no.

    Raises:
        ToolError: the program is not there or took too long.
        failure: it ended with another code than 0; the message carries the last lines it wrote.
    """
    with contextlib.ExitStack() as stack:
        try:
            with signals.delayed():
                process = subprocess.Popen(
                    [str(argument) for argument in arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    env=dict(environment),
                    cwd=cwd,
                    start_new_session=True,  # a group of its own, so that its children can be ended with it
                )
                stack.callback(_end, process)
        except OSError as error:
            raise ToolError(f"{doing}: {arguments[0]} cannot be started: {error.strerror or error}") from error
        try:
            output, problems = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                f"{doing}: {Path(arguments[0]).name} did not end within {timeout_s:.0f} s; try again"
            ) from error
    if process.returncode != 0:
        text = "\n".join((problems.strip() or output.strip() or "it wrote nothing").splitlines()[-SHOWN_LINES:])
        raise failure(f"{doing}: {Path(arguments[0]).name} failed with code {process.returncode}:\n{text}")
    return output


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a program that was not waited for to its end, and its children."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
