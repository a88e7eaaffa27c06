"""The run itself, on a repository of one module and one test: what is caught, what survives, what proves nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.mutation import run
from tests.mutation.fault import Area, Fault
from tests.mutation.run import Outcome, Result

TEST = "tests/test_total.py"


def fault(name: str, old: str, new: str, test: str = TEST) -> Fault:
    return Fault(name, Area.SERVER, "runtime/src/total.py", old, new, "sums are wrong", (test,))


CAUGHT = fault("caught", "left + right", "left - right")
SURVIVES = fault("survives", "right < 0", "right < -1")
STALE = fault("stale", "left * right", "left / right")
TWICE = fault("twice", "right", "left")
SAME = fault("same", "left + right", "left + right")
BROKEN = fault("broken", "left + right", "left +")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    files = {
        "runtime/src/total.py": "def total(left, right):\n    assert not right < 0\n    return left + right\n",
        TEST: "from total import total\n\ndef test_two_and_three():\n    assert total(2, 3) == 5\n",
        "pytest.ini": "[pytest]\n",
        ".gitignore": "built/\n",
        **{f"{source}/trihull_{source.partition('/')[0]}/__init__.py": "" for source in run.SOURCES},
        "built/large": "x",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def results(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    reported: list[Result] = []
    faults = [CAUGHT, SURVIVES, STALE, TWICE, SAME, BROKEN]
    results = run.run(repository, tmp_path_factory.mktemp("copies"), faults, 2, reported.append)
    assert [result.name for result in results] == [each.name for each in faults]
    assert sorted(reported, key=lambda result: result.name) == sorted(results, key=lambda result: result.name)
    return {result.name: result for result in results}


def test_each_fault_has_the_outcome_that_its_tests_give_it(results: dict[str, Result]) -> None:
    assert {name: result.outcome for name, result in results.items()} == {
        "caught": Outcome.CAUGHT,
        "survives": Outcome.SURVIVED,
        "stale": Outcome.STALE,
        "twice": Outcome.STALE,
        "same": Outcome.STALE,
        "broken": Outcome.BROKEN,
    }
    assert results["caught"].caught_by == f"{TEST}::test_two_and_three"
    assert "SyntaxError" in results["broken"].output


def test_the_sources_are_as_they_were_and_nothing_built_was_copied(
    repository: Path, results: dict[str, Result], tmp_path: Path
) -> None:
    assert results
    assert "return left + right" in (repository / "runtime/src/total.py").read_text()
    run.copy(repository, tmp_path)
    assert not (tmp_path / "built").exists()
    with run.with_fault(tmp_path, CAUGHT) as applied:
        assert applied
        assert "left - right" in (tmp_path / CAUGHT.file).read_text()
    assert (tmp_path / CAUGHT.file).read_bytes() == (repository / CAUGHT.file).read_bytes()


def test_results_are_written_for_machines(results: dict[str, Result], tmp_path: Path) -> None:
    run.write(tmp_path / "build" / "mutation.json", list(results.values()))
    written = json.loads((tmp_path / "build" / "mutation.json").read_text())
    assert {each["name"]: each["outcome"] for each in written}["survives"] == "survived"
    assert written[0]["tests"] == [TEST]


@pytest.mark.parametrize(
    ("returncode", "output", "outcome", "caught_by"),
    [
        (0, "1 passed", Outcome.SURVIVED, ""),
        (1, "FAILED tests/a.py::test_b[x - y] - AssertionError", Outcome.CAUGHT, "tests/a.py::test_b[x"),
        (1, "ERROR tests/a.py::test_b - OSError", Outcome.CAUGHT, "tests/a.py::test_b"),
        (1, "no summary", Outcome.BROKEN, ""),
        (2, "ERROR tests/a.py\nInterrupted: 1 error during collection", Outcome.BROKEN, ""),
        (4, "ERROR: not found: tests/a.py::test_gone", Outcome.BROKEN, ""),
        (5, "no tests ran", Outcome.BROKEN, ""),
        (-1, "did not end", Outcome.BROKEN, ""),
    ],
)
def test_only_a_failed_test_catches(returncode: int, output: str, outcome: Outcome, caught_by: str) -> None:
    assert run.judge(returncode, output) == (outcome, caught_by)


def test_tests_that_fail_without_a_fault_prove_nothing(repository: Path, tmp_path: Path) -> None:
    run.copy(repository, tmp_path)
    (tmp_path / TEST).write_text("def test_wrong():\n    assert False\n")
    problem = run.check_sound(tmp_path, [CAUGHT])
    assert problem.startswith("the tests fail without any fault:")
    assert "test_wrong" in problem


def test_packages_that_are_not_the_copys_prove_nothing(repository: Path, tmp_path: Path) -> None:
    run.copy(repository, tmp_path)
    (tmp_path / "packaging/src/trihull_packaging/__init__.py").unlink()
    assert "are not those that are imported" in run.check_sound(tmp_path, [CAUGHT])
