"""Two at once, and one that is ended in the middle: in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.signals import disposition
from tests.unit.infra.engine.conftest import Machine
from trihull_infra import engine
from trihull_infra.engine import cache, processes

PROGRAM = """
import sys
from trihull_infra.engine import __main__, installer
installer.reachable = lambda: False
sys.exit(__main__.main())
"""


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(machine: Machine) -> Iterator[Start]:
    """Starts an installation that writes its errors to a file; whatever still runs at the end is killed."""
    del machine  # it is there first, and ends what builds have left after these processes have ended
    processes: list[subprocess.Popen[str]] = []

    def begin(errors: Path, interrupt: "signal._HANDLER" = signal.default_int_handler) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", PROGRAM]
        with errors.open("w") as file, disposition(signal.SIGINT, interrupt):
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for 60 s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_at_once_build_once_and_both_get_the_engine(machine: Machine, start: Start, tmp_path: Path) -> None:
    machine.go(before_build=f"while [ ! -e {tmp_path / 'go-on'} ]; do sleep 0.05; done")
    first = start(tmp_path / "first")
    until(lambda: "build" in machine.asked())
    second = start(tmp_path / "second")
    until(lambda: "waiting" in (tmp_path / "second").read_text())
    assert f"process {first.pid} is installing it" in (tmp_path / "second").read_text()
    (tmp_path / "go-on").touch()
    outputs = [process.communicate(timeout=60)[0].strip() for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert outputs == [str(cache.folder() / "bin" / "pulumi")] * 2
    assert machine.asked().count("build") == 1


@pytest.mark.parametrize(
    ("number", "interrupt"),
    [
        (signal.SIGTERM, signal.default_int_handler),
        (signal.SIGKILL, signal.default_int_handler),
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_IGN),  # as in the background job of a script
    ],
)
def test_a_build_that_is_ended_leaves_nothing_that_the_next_one_would_use(
    machine: Machine, start: Start, tmp_path: Path, number: signal.Signals, interrupt: "signal._HANDLER"
) -> None:
    builder = tmp_path / "builder"
    machine.go(before_build=f"echo half > pulumi; echo $$ > {builder}; while :; do sleep 0.05; done")
    process = start(tmp_path / "errors", interrupt)
    until(lambda: builder.exists() and builder.read_text().strip())
    pid = int(builder.read_text())
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)
    if number == signal.SIGKILL:
        os.killpg(pid, signal.SIGKILL)  # nobody was left to end it
        assert list((machine.cache / "engine").glob(".staging-*"))
    else:
        assert not list((machine.cache / "engine").glob(".staging-*"))
    until(lambda: not alive(pid))
    assert engine.find(lambda _line: None) is None
    machine.go()
    assert engine.ensure(lambda _line: None).source == "build"
    assert not list((machine.cache / "engine").glob(".staging-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_moment_in_which_the_build_starts_ends_it_too(
    machine: Machine, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    builder = tmp_path / "builder"
    machine.go(before_build=f"echo $$ > {builder}; kill -{number.value} $PPID; while :; do sleep 0.05; done")
    process = start(tmp_path / "errors")
    process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)
    until(lambda: not alive(int(builder.read_text())))


def test_the_time_limit_ends_a_program_and_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"sleep 300 & echo $! > {child}; echo started; wait"
    outcome = processes.run(["/bin/sh", "-c", script], timeout_s=1.0)
    assert outcome.code is None
    assert outcome.tail == ("started",)
    until(lambda: not alive(int(child.read_text())))


def test_output_without_a_final_newline_and_the_exit_code_are_kept() -> None:
    lines: list[str] = []
    outcome = processes.run(["/bin/sh", "-c", "echo a; printf b; exit 7"], timeout_s=60, on_line=lines.append)
    assert (outcome.code, outcome.tail, lines) == (7, ("a", "b"), ["a", "b"])
