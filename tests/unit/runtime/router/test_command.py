import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from trihull_runtime.errors import TrihullError
from trihull_runtime.router.command import command


def test_a_fleet_that_cannot_be_read_is_refused_before_anything_runs(tmp_path: Path) -> None:
    arguments = ["--fleet", str(tmp_path / "none.json"), "--state", str(tmp_path / "state"), "--admin-port", "0"]
    found = CliRunner().invoke(command, arguments)
    assert isinstance(found.exception, TrihullError)
    assert found.exception.exit_code == 65
    assert "none.json cannot be read" in str(found.exception)
    assert not list((tmp_path / "state").rglob("*.sock"))


@pytest.mark.parametrize("option", [["--policy", "nearest"], ["--timings", "moon"], ["--port", "0"]])
def test_a_wrong_option_is_refused(option: list[str]) -> None:
    found = CliRunner().invoke(command, ["--fleet", "fleet.json", *option])
    assert found.exit_code == 2
    assert option[1] in found.output


def test_the_command_line_stays_light() -> None:
    code = "import sys, trihull_runtime.router.command; print([m for m in ('uvicorn', 'asyncio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_container_without_its_variables_says_which() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trihull_runtime.router"], capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == 64
    assert done.stderr.startswith("trihull: TRIHULL_FLEET and TRIHULL_STATE must be set")
