"""A router of three stand-ins and a browser."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.failover.rig import Router, fleet_of, router_for
from tests.failover.standin import StandIn, start_standins
from tests.page.browser import Tab, open_browser

NAMES = ["aws", "gcp", "azure"]


@pytest.fixture(scope="session")
def new_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], AbstractContextManager[Tab]]]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def tab(new_tab: Callable[[], AbstractContextManager[Tab]]) -> Iterator[Tab]:
    """A tab as wide as a laptop."""
    with new_tab() as opened:
        opened.size(1400, 900)
        yield opened


@pytest.fixture
def standins() -> Iterator[dict[str, StandIn]]:
    """Three stand-ins: aws first, then gcp, then azure."""
    with start_standins(*NAMES) as sites:
        yield sites


@pytest.fixture
def router(standins: dict[str, StandIn], tmp_path: Path) -> Iterator[Router]:
    """A router of the stand-ins, every one of them healthy."""
    with router_for(tmp_path / "router", fleet_of(standins)) as running:
        running.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        yield running
