"""One server process with every test model, shared by the tests that do not stop it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, start_servers, write_model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, "digits", "linear")
    for kind in ("slow", "types", "divide"):
        write_model(folder, kind, kind)
    return folder


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Server]:
    with start_servers(models, settings={"TRIHULL_MAX_BODY_BYTES": "100000"}) as servers:
        yield servers[0]


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
