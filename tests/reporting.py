"""Says at the end of a run what the run left out: tests marked `nightly`, and folders with a target of their own.

pytest's closing line counts the tests; the line above it names the commands. With pytest-xdist each worker collects all
tests, so the controlling process takes the largest count that a worker sends.
"""

import types
from typing import Any

import pytest

NIGHTLY = "nightly"
LEFT = "left to make test-nightly"
OWN_TARGETS = "tests/container (make test-container, root), tests/page (make test-page, Chromium)"
_COUNT = pytest.StashKey[int]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count the tests that only `make test-nightly` runs."""
    left = [item for item in items if item.get_closest_marker(NIGHTLY)]
    if left:
        stash = left[0].config.stash
        stash[_COUNT] = stash.get(_COUNT, 0) + len(left)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Take a worker's count; a worker that crashed (`error`) sent none."""
    sent = getattr(node, "workeroutput", {}).get(NIGHTLY, 0)
    node.config.stash[_COUNT] = max(node.config.stash.get(_COUNT, 0), sent)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the count from a worker, or put it into the closing line."""
    count = session.config.stash.get(_COUNT, 0)
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[NIGHTLY] = count
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter) and count:
        reporter.stats[LEFT] = [
            types.SimpleNamespace() for _ in range(count)
        ]  # plugins read attributes of what is counted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the targets that run what this run left out."""
    if count := len(terminalreporter.stats.get(LEFT, [])):
        terminalreporter.write_line(f"left out: {count} long tests (make test-nightly), {OWN_TARGETS}")
