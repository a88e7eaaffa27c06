"""Applies each fault to a copy of the repository, runs its tests there, and reports which test failed."""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutation.fault import Fault

ROOT = Path(__file__).parents[2]
SOURCES = ("infra/src", "packaging/src", "runtime/src")
LIMIT_S = 600  # of one fault's tests; each test has a limit of its own
SOUND_LIMIT_S = 3600  # of all tests together, without a fault
PASSED, FAILED = 0, 1  # what pytest exits with; anything else means that no test gave a verdict
FIRST = re.compile(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - |$)", re.MULTILINE)
# Imports the packages as the tests will, and says where they come from.
WHENCE = """
import trihull_infra, trihull_packaging, trihull_runtime
for module in (trihull_infra, trihull_packaging, trihull_runtime): print(module.__file__)
"""


class Outcome(StrEnum):
    """What became of a fault."""

    CAUGHT = "caught"  # a test failed
    SURVIVED = "survived"  # all tests passed
    STALE = "stale"  # the old text is not there exactly once
    BROKEN = "broken"  # pytest gave no verdict: the fault is none that a test could judge, or the run went wrong


@dataclass(frozen=True)
class Result:
    """One fault, what became of it, the first test that saw it, and how long that took."""

    name: str
    area: str
    file: str
    breaks: str
    tests: tuple[str, ...]
    outcome: Outcome
    caught_by: str
    seconds: float
    output: str = ""


def faulty_text(root: Path, fault: Fault) -> str | None:
    """Return the file's text with the fault in it; None when its old text does not match exactly once."""
    path = root / fault.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text.replace(fault.old, fault.new) if text.count(fault.old) == 1 and fault.new != fault.old else None


def judge(returncode: int, output: str) -> tuple[Outcome, str]:
    """Return what pytest's exit code and output say of a fault: its outcome, and the first test that failed."""
    if returncode == PASSED:
        return Outcome.SURVIVED, ""
    first = FIRST.search(output)
    if returncode == FAILED and first is not None:
        return Outcome.CAUGHT, first.group(1)
    return Outcome.BROKEN, ""


def copy(root: Path, folder: Path) -> None:
    """Copy what git knows of a repository, or is about to; no bytecode and nothing that was built."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, files.decode().split("\0")):
        source, target = root / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which a copy's own packages come before the installed ones."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    path = os.pathsep.join(str(folder / name) for name in (*SOURCES, "."))
    # No bytecode: it is told fresh from stale by size and whole seconds, and a fault may change neither.
    return {**inherited, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TRIHULL_CACHE": str(folder / ".cache")}


def run_tests(folder: Path, tests: Sequence[str], limit_s: float = LIMIT_S) -> tuple[int, str]:
    """Run tests in a copy until the first fails; returns pytest's exit code and what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", *tests]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # what the tests started ends with them
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return -1, f"pytest did not end within {limit_s:g} s"
    return process.returncode, output


@contextlib.contextmanager
def with_fault(folder: Path, fault: Fault) -> Iterator[bool]:
    """Put a fault into a copy and take it out again; gives whether its old text was there exactly once."""
    text, path = faulty_text(folder, fault), folder / fault.file
    if text is None:
        yield False
        return
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield True
    finally:
        path.write_text(before, encoding="utf-8")


def try_fault(folder: Path, fault: Fault) -> Result:
    """Try one fault in a copy that nobody else uses meanwhile."""
    start = time.monotonic()
    with with_fault(folder, fault) as applied:
        returncode, output = run_tests(folder, fault.tests) if applied else (0, "")
        outcome, caught_by = judge(returncode, output) if applied else (Outcome.STALE, "")
    seconds = round(time.monotonic() - start, 1)
    detail = output if outcome is Outcome.BROKEN else ""
    return Result(fault.name, fault.area, fault.file, fault.breaks, fault.tests, outcome, caught_by, seconds, detail)


def check_sound(folder: Path, faults: Sequence[Fault]) -> str:
    """Return why nothing can be learnt from a copy; empty when all tests pass there, on its own sources."""
    imports = subprocess.run(
        [sys.executable, "-c", WHENCE], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    outside = [line for line in imports.stdout.splitlines() if not Path(line).is_relative_to(folder)]
    if imports.returncode or outside:
        return f"the copy's own packages are not those that are imported: {outside or imports.stderr}"
    returncode, output = run_tests(folder, sorted({test for fault in faults for test in fault.tests}), SOUND_LIMIT_S)
    return "" if returncode == PASSED else f"the tests fail without any fault:\n{output}"


def run(root: Path, parent: Path, faults: Sequence[Fault], jobs: int, report: Callable[[Result], None]) -> list[Result]:
    """Try every fault, `jobs` at once, each in a copy of its own below `parent`; `report` is given each result."""
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(jobs):
        copy(root, parent / f"copy{number}")
        copies.put(parent / f"copy{number}")

    def in_a_copy(fault: Fault) -> Result:
        folder = copies.get()
        try:
            result = try_fault(folder, fault)
        finally:
            copies.put(folder)
        report(result)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(in_a_copy, faults))


def write(path: Path, results: Sequence[Result]) -> None:
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")
