from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments import Project, accepting_router, make_project
from tests.unit.infra.deploy.in_process import InProcess


@pytest.fixture
def operations() -> InProcess:
    return InProcess()


@pytest.fixture
def router() -> Iterator[str]:
    """A router that accepts: its address."""
    with accepting_router() as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, router: str, operations: InProcess, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "trihull"))
    return make_project(tmp_path, tmp_path / "no-engine", router, operations)
