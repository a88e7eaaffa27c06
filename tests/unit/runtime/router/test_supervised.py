"""The supervisor of the control process, with a shell in that process's place."""

import subprocess
import sys

import pytest

PROGRAM = "import sys; from trihull_runtime.router.supervised import supervise; sys.exit(supervise(sys.argv[1:]))"


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_signal_in_the_moment_in_which_the_control_process_starts_is_passed_on(name: str) -> None:
    script = f"trap 'exit 7' {name}; kill -{name} $PPID; while kill -0 $PPID; do sleep 0.05; done"
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "/bin/sh", "-c", script]) as process:
        try:
            assert process.wait(30) == 7
        finally:
            process.kill()  # the shell ends when it finds its parent gone
