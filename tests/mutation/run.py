"""Puts each fault into a copy of the repository, runs its tests there, and tells which saw it."""

import contextlib
import json
import os
import queue
import re
import shutil
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
LIMIT_S = 600  # of one run of pytest; each test has a limit of its own
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


def place(root: Path, fault: Fault) -> str | None:
    """Return the file's text with the fault in it; None when its old text does not match exactly once."""
    path = root / fault.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text.replace(fault.old, fault.new) if text.count(fault.old) == 1 and fault.new != fault.old else None


def judged(returncode: int, output: str) -> tuple[Outcome, str]:
    """Return what pytest's exit code and output say of a fault: its outcome, and the first test that failed."""
    if returncode == PASSED:
        return Outcome.SURVIVED, ""
    first = FIRST.search(output)
    if returncode == FAILED and first is not None:
        return Outcome.CAUGHT, first.group(1)
    return Outcome.BROKEN, ""


def copy(root: Path, folder: Path) -> None:
    """Copy what git knows of a repository, or is about to; no bytecode and nothing that was built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = root / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which a copy's own packages come before the installed ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    path = os.pathsep.join(str(folder / name) for name in (*SOURCES, "."))
    # No bytecode: it is told fresh from stale by size and whole seconds, and a fault may change neither.
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TRIHULL_CACHE": str(folder / ".cache")}


def tested(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests in a copy until the first fails; returns pytest's exit code and what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return -1, f"pytest did not end within {LIMIT_S} s"
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def with_fault(folder: Path, fault: Fault) -> Iterator[bool]:
    """Put a fault into a copy and take it out again; gives whether its old text was there exactly once."""
    text, path = place(folder, fault), folder / fault.file
    if text is None:
        yield False
        return
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield True
    finally:
        path.write_text(before, encoding="utf-8")


def one(folder: Path, fault: Fault) -> Result:
    """Try one fault in a copy that nobody else uses meanwhile."""
    begun = time.monotonic()
    with with_fault(folder, fault) as there:
        returncode, output = tested(folder, fault.tests) if there else (0, "")
        outcome, caught_by = judged(returncode, output) if there else (Outcome.STALE, "")
    seconds = round(time.monotonic() - begun, 1)
    shown = output if outcome is Outcome.BROKEN else ""
    return Result(fault.name, fault.area, fault.file, fault.breaks, fault.tests, outcome, caught_by, seconds, shown)


def check_sound(folder: Path, faults: Sequence[Fault]) -> str:
    """Return why nothing can be learnt from a copy; empty when all tests pass there, on its own sources."""
    found = subprocess.run(
        [sys.executable, "-c", WHENCE], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    outside = [line for line in found.stdout.splitlines() if not Path(line).is_relative_to(folder)]
    if found.returncode or outside:
        return f"the copy's own packages are not those that are imported: {outside or found.stderr}"
    returncode, output = tested(folder, sorted({test for fault in faults for test in fault.tests}))
    return "" if returncode == PASSED else f"the tests fail without any fault:\n{output}"


def run(root: Path, folder: Path, faults: Sequence[Fault], jobs: int, tell: Callable[[Result], None]) -> list[Result]:
    """Try every fault, `jobs` at once, each in a copy of its own below `folder`; `tell` is given each result."""
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(jobs):
        copy(root, folder / f"copy{number}")
        copies.put(folder / f"copy{number}")

    def tried(fault: Fault) -> Result:
        place_of_work = copies.get()
        try:
            result = one(place_of_work, fault)
        finally:
            copies.put(place_of_work)
        tell(result)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(tried, faults))


def write(path: Path, results: Sequence[Result]) -> None:
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")
