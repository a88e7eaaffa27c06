"""What a person may give to `trihull verify`: whatever `trihull inspect` takes; an image by its digest comes of it."""

import re
from dataclasses import dataclass
from pathlib import Path

from trihull_packaging.inspecting.references import open_source
from trihull_packaging.lock import FILE as LOCK
from trihull_runtime.artifacts.registry import layout
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Registry
from trihull_runtime.contract.codec import DIGEST
from trihull_runtime.contract.release import Release, RouterBuild


@dataclass(frozen=True)
class ToVerify:
    """An image by its digest, and the documents that came with it, if any did; `router` is of a router build."""

    registry: Registry
    digest: str
    release: Release | None
    lock_digest: str | None
    router: RouterBuild | None = None


def open_image(text: str) -> ToVerify:
    """Find the image that a person means.

    Raises:
        TrihullError: as `open_source` raises it: it names no image, or several.
        RegistryError: the registry cannot be reached, or does not know the tag.
    """
    source = open_source(text)
    if isinstance(source.registry, LayoutRegistry):
        layout.entries(source.registry.folder)  # no layout at all is bad input, not broken evidence
    known = re.fullmatch(DIGEST, source.reference) is not None
    digest = source.reference if known else source.registry.read_manifest(source.reference).digest
    lock_digest = _lock_beside(text) if source.release or source.router else None
    return ToVerify(source.registry, digest, source.release, lock_digest, source.router)


def _lock_beside(text: str) -> str | None:
    path = Path(text).expanduser()
    lock = (path if path.is_dir() else path.parent) / LOCK
    return file_digest(lock) if lock.is_file() else None
