"""What these tests run: a release packaged as anybody would, in a real registry."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container.engines import TOOLS
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


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("release")
    release = builder.package_model(DIGITS, folder / "digits", Options(), Progress())
    with registries.running(folder / "registry") as server:
        (outcome,) = run.to_all([run.source(folder / "digits")], {"test": f"{server.host}/digits"}, lambda _: None)
        assert outcome.problem == ""
        yield Published(release, folder / "digits", f"{server.host}/digits@{release.image.index_digest}")
