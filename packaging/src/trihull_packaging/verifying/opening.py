"""What a person may give to `trihull verify`: a reference, a release's folder or its document, a layout."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging.lock import FILE as LOCK
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, entries
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Registry
from trihull_runtime.artifacts.registry.references import SCHEME, open_registry
from trihull_runtime.contract.codec import DIGEST
from trihull_runtime.contract.release import Release
from trihull_runtime.errors import InputError, UsageError

RELEASE: Final = "release.json"


@dataclass(frozen=True)
class ToVerify:
    """An image by its digest, and the documents that came with it, if any did."""

    registry: Registry
    digest: str
    release: Release | None = None
    lock_digest: str | None = None


def open_image(text: str) -> ToVerify:
    """Find the image that a person means.

    Raises:
        UsageError: no reference, no path that is there, or one that names no image or several.
        ContractError: a `release.json` that is none. LayoutError: no layout. InputError: it names no folder beside it.
        RegistryError: the registry cannot be reached, or does not know the tag.
    """
    path = Path(text).expanduser()
    if not text.startswith(SCHEME):
        if path.is_file() or (path / RELEASE).is_file():
            return _release(path if path.is_file() else path / RELEASE)
        if (path / "index.json").is_file():
            return _only(LayoutRegistry(path), path)
        if path.is_dir() or text.startswith(("/", "./", "../", "~")):
            raise UsageError(f"{text}: holds neither {RELEASE} nor an OCI layout; give what `trihull package` wrote")
    opened = open_registry(text)
    if isinstance(opened.registry, LayoutRegistry):
        entries(opened.registry.folder)  # no layout at all is bad input, not broken evidence
    if opened.reference is None:
        if isinstance(opened.registry, LayoutRegistry):
            return _only(opened.registry, opened.registry.folder)
        raise UsageError(f"{text}: names no image: add :TAG or @sha256:...")
    if re.fullmatch(DIGEST, opened.reference):
        return ToVerify(opened.registry, opened.reference)
    return ToVerify(opened.registry, opened.registry.read_manifest(opened.reference).digest)


def _release(file: Path) -> ToVerify:
    release = Release.read(file)
    layout, folder = file.parent / release.image.layout, file.parent.resolve()
    if not release.image.layout or not layout.resolve().is_relative_to(folder):
        raise InputError(f"{file}: image.layout: {release.image.layout!r:.80} is no folder beside it")
    entries(layout)
    lock = file.parent / LOCK
    lock_digest = file_digest(lock) if lock.is_file() else None
    return ToVerify(LayoutRegistry(layout), release.image.index_digest, release, lock_digest)


def _only(registry: LayoutRegistry, folder: Path) -> ToVerify:
    images = [str(entry["digest"]) for entry in entries(folder) if entry.get("mediaType") == INDEX_TYPE]
    if len(images) != 1:
        choices = "".join(f"\n  {SCHEME}{folder}@{digest}" for digest in images[:20])
        raise UsageError(f"{folder}: holds {len(images)} images; name one by its digest{choices}")
    return ToVerify(registry, images[0])
