"""`trihull package --check`: build a release again from its own lock, and compare."""

import tempfile
from dataclasses import replace
from pathlib import Path

from trihull_packaging import builder, lock
from trihull_packaging.builder import Options
from trihull_packaging.errors import RebuiltError
from trihull_packaging.inspecting import difference, explaining, filewise, gathering
from trihull_packaging.progress import Progress
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.contract.release import Release

DOCUMENT = "release.json"


def check(model: Path, release: Path, options: Options, progress: Progress) -> str:
    """Build a model again and return the image's digest, when it is the release's.

    Args:
        model: the model's folder, as it was when the release was made.
        release: the release's folder or its `release.json`.
        options: see `Options`; the lock is the release's own.
        progress: told of every step.

    Raises:
        RebuiltError: another image came out.
        TrihullError: as `package_model` raises it.
    """
    folder = release.parent if release.name == DOCUMENT else release
    wanted = Release.read(folder / DOCUMENT)
    with tempfile.TemporaryDirectory(prefix="trihull-check.") as scratch:
        target = Path(scratch) / "again"
        made = builder.package_model(model, target, replace(options, lock=folder / lock.FILE), progress)
        if made.image.index_digest != wanted.image.index_digest:
            why = "\n  ".join(_differences(folder, wanted, target, made))
            both = f"is {wanted.image.index_digest}, and what was built again is {made.image.index_digest}"
            raise RebuiltError(f"{folder}: {both}:\n  {why}")
    return made.image.index_digest


def _differences(folder: Path, wanted: Release, target: Path, made: Release) -> tuple[str, ...]:
    """Return in what two releases' images differ, down to the files of a layer."""
    one, other = (LayoutRegistry(place / found.image.layout) for place, found in ((folder, wanted), (target, made)))
    before = gathering.gather(one, wanted.image.index_digest, release=wanted)
    after = gathering.gather(other, made.image.index_digest, release=made)
    return explaining.reasons(filewise.with_files(difference.difference(before, after), one, other))
