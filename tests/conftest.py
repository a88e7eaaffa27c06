"""A unit test that takes long fails: `make test` is run before every change, by everybody.

What counts is processor time, of this process and of the children that it reaped, and not the clock on the wall, which
tells of the machine's load. Only the test itself counts: what its fixtures make, others can share.
"""

import resource
from collections.abc import Generator
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
NIGHTLY = "nightly"  # the marker of tests that `make test` leaves out
LIMIT = "unit_limit_s"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a test of this file set another limit."""
    parser.addini(LIMIT, "the most seconds of processor time that a test in tests/unit may take", default="5")


def spent_s() -> float:
    """Return the processor time of this process and its reaped children so far, in seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a unit test that took more than the limit; one that failed by itself keeps its own reason."""
    before = spent_s()
    yield
    used_s, limit_s = spent_s() - before, float(item.config.getini(LIMIT))
    if used_s > limit_s and item.path.is_relative_to(UNIT) and item.get_closest_marker(NIGHTLY) is None:
        pytest.fail(
            f"took {used_s:.1f} s of processor time, and a unit test may take {limit_s:g}: share what takes long by a"
            f" fixture, or move the test to tests/emulated, or mark it {NIGHTLY}",
            pytrace=False,
        )
