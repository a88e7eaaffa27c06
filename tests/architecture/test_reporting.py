"""A run says what it left out, in one process and in several."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reporting import LEFT, OWN_TARGETS

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.nightly
@pytest.mark.parametrize("number", range(3))
def test_long(number): pass

def test_short(): pass
"""


def run(folder: Path, *options: str) -> list[str]:
    """Return the lines of a run of `TESTS`."""
    (folder / "conftest.py").write_text("from tests.reporting import *\n")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = nightly: long\n")
    (folder / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_closing_line_counts_the_long_tests_and_the_line_above_names_their_commands(
    tmp_path: Path, processes: str
) -> None:
    *_, above, closing = run(tmp_path, "-m", "not nightly", "-n", processes)
    assert re.search(rf"\b1 passed\b.*\b3 {re.escape(LEFT)}\b", closing)
    assert "3 long tests (make test-nightly)" in above
    assert OWN_TARGETS in above


def test_a_run_that_leaves_nothing_out_says_nothing(tmp_path: Path) -> None:
    lines = run(tmp_path)
    assert re.search(r"\b4 passed\b", lines[-1])
    assert not any(word in "\n".join(lines) for word in ("left out", LEFT))
