import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.signals import disposition
from trihull_packaging import processes, resolver
from trihull_packaging.errors import StepError, ToolError


def run(code: str, tmp_path: Path, timeout_s: float = 30) -> str:
    return processes.run(
        [sys.executable, "-c", code],
        doing="trying",
        timeout_s=timeout_s,
        environment=dict(os.environ),
        cwd=tmp_path,
        failure=StepError,
    )


def test_standard_output_is_returned(tmp_path: Path) -> None:
    assert run("print('hello')", tmp_path) == "hello\n"


def test_a_failure_says_what_was_done_and_shows_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"(?s)^trying: .* failed with code 7:\n.*line 49$") as caught:
        run("import sys; [print('line', n, file=sys.stderr) for n in range(50)]; sys.exit(7)", tmp_path)
    assert "line 10\n" not in str(caught.value)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="trying: no-such-program cannot be started: No such file"):
        processes.run(["no-such-program"], doing="trying", timeout_s=5, environment={}, cwd=tmp_path)


def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); open('pid', 'w').write(str(p.pid)); p.wait()"
    )
    with pytest.raises(ToolError, match="did not end within 2 s"):
        run(code, tmp_path, timeout_s=2)
    assert_ends(int((tmp_path / "pid").read_text()))


def test_a_signal_in_the_moment_in_which_a_program_starts_ends_it_too(tmp_path: Path) -> None:
    script = f"echo $$ > pid; kill -INT {os.getpid()}; exec sleep 30"
    with disposition(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        processes.run(
            ["/bin/sh", "-c", script], doing="trying", timeout_s=30, environment=dict(os.environ), cwd=tmp_path
        )
    assert_ends(int((tmp_path / "pid").read_text()))


def assert_ends(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline, "the process outlived the call that started it"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process is there and is more than a zombie that nobody has reaped yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() not in ("", "Z")


def test_what_would_change_the_meaning_of_python_or_uv_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = {
        "PYTHONPATH": "/elsewhere", "PYTHONHOME": "/elsewhere", "PYTHONHASHSEED": "5", "VIRTUAL_ENV": "/elsewhere",
        "UV_PYTHON": "3.9", "UV_TARGET": "/elsewhere", "UV_NO_BINARY": "1", "UV_PYTHON_DOWNLOADS": "automatic",
        "UV_PROJECT_ENVIRONMENT": "x", "UV_SYSTEM_PYTHON": "1", "CONDA_PREFIX": "/elsewhere",
    }  # fmt: skip
    kept = {
        "UV_INDEX_URL": "https://mirror.invalid",
        "UV_INDEX_INTERNAL_PASSWORD": "x",
        "HTTPS_PROXY": "http://proxy.invalid",
    }
    for name, value in (hostile | kept).items():
        monkeypatch.setenv(name, value)
    result = resolver.clean_environment()
    assert set(result) & set(hostile) == {"UV_PYTHON_DOWNLOADS"}
    assert result["UV_PYTHON_DOWNLOADS"] == "never"
    assert {name: result[name] for name in kept} == kept
    assert result["UV_HTTP_TIMEOUT"] == "30"


def test_uv_is_the_one_that_came_with_the_package() -> None:
    assert resolver.uv_binary().is_file()


def test_packages_are_installed_for_known_machines_only(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no wheels for riscv64"):
        resolver.install_target(tmp_path / "lock", tmp_path / "target", "3.11", "riscv64", gpu=False)


def test_one_installation_waits_for_another_that_failed_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = []

    def fails(*_: object, **__: object) -> str:
        alone.append(resolver.INSTALLING.locked())
        raise ToolError("no network")

    monkeypatch.setattr(processes, "run", fails)
    for architecture in ("amd64", "arm64"):
        with pytest.raises(ToolError, match="no network"):
            resolver.install_target(tmp_path / "lock", tmp_path / "target", "3.11", architecture, gpu=False)
    assert alone == [True, True]
    assert not resolver.INSTALLING.locked()
