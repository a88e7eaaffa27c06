from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments import Project, accepting_router, make_project
from trihull_infra.deploy import children


@pytest.fixture
def router() -> Iterator[str]:
    """A router that accepts: its address."""
    with accepting_router() as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, router: str, engine_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project on the real engine, with a state of its own."""
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "trihull"))
    return make_project(tmp_path, engine_folder / "pulumi", router, children.run)
