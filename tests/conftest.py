"""Fails a unit test that takes long: `make test-fast` is run before every change, by everybody.

Two times count. One is processor time, of this process and of the children that it reaped. The other is time on the
clock in which no process of the machine waited for a processor (Linux's pressure stall information): a test that
sleeps takes long too, while a loaded machine lengthens nothing that counts. Only the test itself counts: what its
fixtures make, others can share.
"""

import resource
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.reporting import (
    NIGHTLY,
    pytest_deselected,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

__all__ = ["pytest_deselected", "pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]

UNIT = Path(__file__).parent / "unit"
PRESSURE = Path("/proc/pressure/cpu")  # https://docs.kernel.org/accounting/psi.html
LIMIT = "unit_limit_s"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a test of this file set another limit."""
    parser.addini(LIMIT, "the most seconds that a test in tests/unit may take", default="5")


def spent_s() -> float:
    """Return the processor time of this process and its reaped children so far, in seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def unloaded_s() -> float:
    """Return the seconds on the clock, from any beginning, in which no process waited for a processor.

    Without pressure stall information (macOS, old kernels) this is 0: there processor time alone counts.
    """
    try:
        stalled = PRESSURE.read_text().split("total=", 1)[1].split()[0]
    except OSError:
        return 0.0
    return time.monotonic() - int(stalled) / 1e6


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a unit test that took more than the limit; one that failed by itself keeps its own reason."""
    spent, unloaded = spent_s(), unloaded_s()
    yield
    used_s, limit_s = max(spent_s() - spent, unloaded_s() - unloaded), float(item.config.getini(LIMIT))
    if used_s > limit_s and item.path.is_relative_to(UNIT) and item.get_closest_marker(NIGHTLY) is None:
        pytest.fail(
            f"took {used_s:.1f} s, and a unit test may take {limit_s:g}: share what takes long by a"
            f" fixture, or move the test to tests/emulated, or mark it {NIGHTLY}",
            pytrace=False,
        )
