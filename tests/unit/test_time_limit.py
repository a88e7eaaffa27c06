"""The limit on a unit test's processor time, on tests made for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    time.sleep(0.1)

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


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the same tests in tests/unit and in tests/emulated."""
    root = tmp_path_factory.mktemp("limited")
    (root / "pytest.ini").write_text("[pytest]\nmarkers = nightly: left out\n")
    for folder in ("unit", "emulated"):
        (root / "tests" / folder).mkdir(parents=True)
        (root / "tests" / folder / f"test_{folder}.py").write_text(TESTS)
    shutil.copy(CONFTEST, root / "tests")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-o",
        "unit_limit_s=0.05",
        "tests",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def outcomes(report: str, folder: str) -> dict[str, str]:
    """The name of each test of a folder, and what became of it."""
    prefix = f"tests/{folder}/test_{folder}.py::test_"
    lines = [line.split(" ", 2) for line in report.splitlines() if f" {prefix}" in line]
    return {words[1].removeprefix(prefix): words[0] for words in lines}


def test_a_busy_test_fails_and_one_that_waits_or_is_given_much_passes(report: str) -> None:
    assert outcomes(report, "unit") == {
        "quick": "PASSED",
        "busy": "FAILED",
        "busy_child": "FAILED",
        "waiting": "PASSED",
        "of_what_a_fixture_made": "PASSED",
        "marked": "PASSED",
        "busy_and_wrong": "FAILED",
    }


def test_other_folders_have_no_limit(report: str) -> None:
    failed = [name for name, outcome in outcomes(report, "emulated").items() if outcome == "FAILED"]
    assert failed == ["busy_and_wrong"]


def test_the_message_names_limit_and_remedy_and_hides_no_other_reason(report: str) -> None:
    assert "and a unit test may take 0.05: share what takes long by a fixture, or move the test" in report
    assert report.count("s of processor time, and a unit test may take") >= 2
    assert "its own reason" in report
    assert "test_busy_and_wrong - Failed: took" not in report
