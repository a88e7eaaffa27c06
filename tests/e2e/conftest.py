"""One release of the digits model for all tests that do not ask how it is built, and caches that begin warm."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from trihull_packaging import builder, cache
from trihull_packaging.builder import Options
from trihull_packaging.progress import Progress
from trihull_runtime.contract import Release

DIGITS = Path(__file__).parents[2] / "stacks" / "models" / "digits"
ENTRIES = ("environments", "bases", "layers")


@dataclass(frozen=True)
class Packaged:
    """The model's folder with its lock, the folder of its release, and the release."""

    model: Path
    target: Path
    release: Release


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A release built with the user's cache: what other tests and the demo have made is not made again."""
    folder = tmp_path_factory.mktemp("packaged")
    model = folder / "digits"
    shutil.copytree(DIGITS, model, ignore=shutil.ignore_patterns("model.lock"))
    return Packaged(model, folder / "whole", builder.package_model(model, folder / "whole", Options(), Progress()))


@pytest.fixture(scope="session")
def warm_cache(packaged: Packaged) -> Callable[[Path], None]:
    """Fill a folder with what the user's cache has; files are linked, since no entry of a cache is ever changed."""
    assert packaged.release.image.platforms
    source = cache.home()

    def fill(folder: Path) -> None:
        for kind in ENTRIES:
            for entry in (source / kind).glob("[!.]*"):
                shutil.copytree(entry, folder / "packaging" / kind / entry.name, symlinks=True, copy_function=_link)

    return fill


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)
