"""The limit on a unit test's time, on tests made for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PRESSURE

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SPIN = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end:\n    pass\n"
TESTS = f"""
import subprocess, sys, time
import pytest

SPIN = {SPIN!r}

def test_quick():
    pass

def test_busy():
    exec(SPIN)

def test_busy_child():
    subprocess.run([sys.executable, "-c", SPIN], check=True)

def test_waiting():
    time.sleep(0.6)

@pytest.fixture
def made():
    exec(SPIN)

def test_of_what_a_fixture_made(made):
    pass

@pytest.mark.nightly
def test_marked():
    exec(SPIN)

def test_busy_and_wrong():
    exec(SPIN)
    assert 1 == 2, "its own reason"
"""


def run(root: Path, pressure: Path, limit_s: float, *options: str) -> str:
    """Return what pytest says of the same tests in unit and in emulated; `pressure` is the kernel's file."""
    (root / "pytest.ini").write_text("[pytest]\nmarkers = nightly: left out\n")
    for folder in ("unit", "emulated"):
        (root / "tests" / folder).mkdir(parents=True)
        (root / "tests" / folder / f"test_{folder}.py").write_text(TESTS)
    text = CONFTEST.read_text()
    assert str(PRESSURE) in text
    (root / "tests" / "conftest.py").write_text(text.replace(str(PRESSURE), str(pressure)))
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-o", f"unit_limit_s={limit_s}"]
    environment = {**os.environ, "PYTHONPATH": str(CONFTEST.parents[1]), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*command, *options, "tests"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says where the kernel has no pressure stall information."""
    root = tmp_path_factory.mktemp("limited")
    return run(root, root / "absent", 0.05)


def outcomes(report: str, folder: str) -> dict[str, str]:
    """The name of each test of a folder, and what became of it."""
    prefix = f"tests/{folder}/test_{folder}.py::test_"
    lines = [line.split(" ", 2) for line in report.splitlines() if f" {prefix}" in line]
    return {words[1].removeprefix(prefix): words[0] for words in lines}


def test_without_pressure_stall_information_processor_time_counts_alone(report: str) -> None:
    assert outcomes(report, "unit") == {
        "quick": "PASSED",
        "busy": "FAILED",
        "busy_child": "FAILED",
        "waiting": "PASSED",
        "of_what_a_fixture_made": "PASSED",
        "marked": "PASSED",
        "busy_and_wrong": "FAILED",
    }


def test_a_test_that_sleeps_on_an_idle_machine_fails_too(tmp_path: Path) -> None:
    idle = tmp_path / "cpu"
    idle.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    (tmp_path / "idle").mkdir()
    told = run(tmp_path / "idle", idle, 0.5, "-k", "quick or waiting")
    assert outcomes(told, "unit") == {"quick": "PASSED", "waiting": "FAILED"}
    assert outcomes(told, "emulated") == {"quick": "PASSED", "waiting": "PASSED"}


def test_other_folders_have_no_limit(report: str) -> None:
    failed = [name for name, outcome in outcomes(report, "emulated").items() if outcome == "FAILED"]
    assert failed == ["busy_and_wrong"]


def test_the_message_names_limit_and_remedy_and_hides_no_other_reason(report: str) -> None:
    assert "and a unit test may take 0.05: share what takes long by a fixture, or move the test" in report
    assert report.count(" s, and a unit test may take") >= 2
    assert "its own reason" in report
    assert "test_busy_and_wrong - Failed: took" not in report
