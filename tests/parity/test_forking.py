"""The process that answers questions in forks of itself, which the tests here and of the emulators stand on."""

import subprocess
import sys

import pytest

from tests import forking
from tests.forking import Ask

KILLED = """
import os, subprocess, sys
command = [sys.executable, "-m", "tests.forking", "tests.parity.imports"]
process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
assert int(process.stdout.readline())
os._exit(7)
"""


def test_it_ends_with_whoever_started_it() -> None:
    # Standard error stays open as long as the process lives, and is waited for.
    done = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=forking.ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 7, done.stderr


def test_what_a_question_raises_is_told(imports: Ask) -> None:
    with pytest.raises(AssertionError, match="KeyError: 'folder'"):
        imports({"project": "site"}, 60)
