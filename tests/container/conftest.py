"""What these tests run: a release packaged as anybody would, in a real registry, and the engines."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from tests.container import engines
from tests.container.containers import Container
from tests.container.engines import TOOLS, Containerd, Docker
from tests.emulated import registries
from trihull_packaging import builder
from trihull_packaging.builder import Options
from trihull_packaging.progress import Progress
from trihull_runtime.artifacts.publishing import run
from trihull_runtime.contract import Release

DIGITS = Path(__file__).parents[2] / "stacks" / "models" / "digits"


@dataclass(frozen=True)
class Published:
    """A release, its folder, and its image's reference by digest in a running registry."""

    release: Release
    folder: Path
    reference: str

    @property
    def rows(self) -> Path:
        """The test split with the bare model's answers."""
        return self.folder / "test_split.json"


def pytest_sessionstart() -> None:
    """Refuse to run without what these tests need; a missing part is no reason to pass."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.getuid() != 0 or missing:
        need = f"{', '.join(missing)} (`sh .ci/container-tools` installs them)" if missing else "root"
        pytest.exit(f"tests/container need {need}", returncode=1)
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """End the session in order, so that the engines end too."""
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("release")
    release = builder.package_model(DIGITS, folder / "digits", Options(), Progress())
    with registries.running(folder / "registry") as server:
        (outcome,) = run.to_all([run.source(folder / "digits")], {"test": f"{server.host}/digits"}, lambda _: None)
        assert outcome.problem == ""
        yield Published(release, folder / "digits", f"{server.host}/digits@{release.image.index_digest}")


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    with engines.folder_of("docker") as folder, engines.docker(folder) as started:
        yield started


@pytest.fixture(scope="session")
def containerd() -> Iterator[Containerd]:
    with engines.folder_of("containerd") as folder, engines.containerd(folder) as started:
        yield started


@pytest.fixture(scope="session")
def in_docker(docker: Docker, published: Published) -> Iterator[Container]:
    docker("pull", published.reference)
    with docker.container(published.reference) as (_, container):
        container.wait_ready()
        yield container


@pytest.fixture(scope="session")
def in_containerd(containerd: Containerd, published: Published) -> Iterator[Container]:
    containerd.pull(published.reference)
    with engines.network() as (name, host), containerd.container(published.reference, name, host) as container:
        container.wait_ready()
        yield container
