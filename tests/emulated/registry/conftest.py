"""A real registry, a proxy before it, a repository of each test's own, and an image to put there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated import faulty, registries
from tests.emulated.faulty import Proxy
from tests.emulated.registries import Server
from tests.unit.runtime.artifacts.images import file, make_image
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.keychain import anonymous
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.retrying import Retry

BLOB = "/blobs/uploads/.*digest="  # the request that sends a blob


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registries.running(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with faulty.before(server.host) as started:
        yield started


@pytest.fixture
def repository(tmp_path: Path) -> str:
    return f"tests/{tmp_path.name.lower()}"


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def registry(proxy: Proxy, repository: str, waits: list[float]) -> DistributionRegistry:
    retry = Retry(attempts=4, sleep=waits.append, jitter=lambda: 0)
    return DistributionRegistry(proxy.host, repository, anonymous, retry=retry)


@pytest.fixture
def source(tmp_path: Path) -> LayoutRegistry:
    return LayoutRegistry(tmp_path / "source")


@pytest.fixture
def digest(source: LayoutRegistry) -> str:
    """An image whose one layer does not shrink when it is compressed."""
    return make_image(source.folder, [file("noise", os.urandom(300_000))])
