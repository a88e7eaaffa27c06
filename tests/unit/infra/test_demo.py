"""The demo's steps, with a shell in the place of `trihull`."""

import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from trihull_infra import demo
from trihull_infra.demo import Demo, StepError


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Demo:
    monkeypatch.setattr(demo, "_trihull", lambda: ["/bin/sh", "-c"])
    return Demo(Console(file=io.StringIO()))


def test_a_command_that_fails_ends_the_demo_with_its_code(steps: Demo) -> None:
    steps.run("exit 0")
    with pytest.raises(StepError) as caught:
        steps.run("exit 7")
    assert (caught.value.code, [step.command for step in steps.steps]) == (7, ["trihull exit 0"])


@pytest.mark.usefixtures("interruptible")
def test_a_signal_in_the_moment_in_which_a_command_starts_stops_it_too(steps: Demo, tmp_path: Path) -> None:
    tests = os.getpid()  # the script ends at the latest when they have ended
    loop = f"while kill -0 {tests}; do sleep 0.05; done"
    script = f"trap 'touch {tmp_path}/stopped; exit' TERM; kill -INT {tests}; {loop}"
    with pytest.raises(KeyboardInterrupt):
        steps.run(script)
    assert (tmp_path / "stopped").exists()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
