"""What a person may give to `trihull inspect`: an image's name, a layout, a release's folder or its document."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging.inspecting import documents
from trihull_packaging.inspecting.configurations import platform_name
from trihull_packaging.inspecting.printing import printable
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.layout import TAG
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry, subject_of
from trihull_runtime.artifacts.registry.references import SCHEME, open_registry
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.release import Release, RouterBuild
from trihull_runtime.errors import UsageError

RELEASE_FILE: Final = "release.json"
ROUTER_FILE: Final = "router.json"
INDEX_FILE: Final = "index.json"
FALLBACK_TAG: Final = r"sha256-[0-9a-f]{64}(\..*)?"  # the distribution specification's, and cosign's .sig
LISTED_MAX: Final = 20


@dataclass(frozen=True)
class Source:
    """Where an image is kept and what names it there; the document that came with it; whether it is on disk."""

    registry: Registry
    reference: str
    release: Release | None
    on_disk: bool
    router: RouterBuild | None = None


def open_source(text: str) -> Source:
    """Open what a person gave: a path where there is one, else a reference.

    Raises:
        UsageError: neither, or a repository without a tag or a digest.
        LayoutError: no layout; or one that holds several images, none of which was chosen.
        ContractError: a `release.json` that is not one.
    """
    if text.startswith(SCHEME):
        opened = open_registry(text)
        if opened.reference is None:
            return _from_layout(Path(text.removeprefix(SCHEME)).expanduser())
        return Source(opened.registry, opened.reference, None, on_disk=True)
    path = Path(text).expanduser()
    if path.exists():
        return _from_path(path)
    try:
        opened = open_registry(text)
    except UsageError as error:
        raise UsageError(f"{error}; nor is there such a file or folder") from error
    if opened.reference is None:
        raise UsageError(f"{text}: which image of it? Name one: {text}:TAG or {text}@sha256:...")
    return Source(opened.registry, opened.reference, None, on_disk=False)


def _from_path(path: Path) -> Source:
    for file in (path, path / RELEASE_FILE, path / ROUTER_FILE):
        if file.is_file() and file.name == RELEASE_FILE:
            release = Release.read(file)
            layout = _beside(file, release.image.layout)
            return Source(LayoutRegistry(layout), release.image.index_digest, release, on_disk=True)
        if file.is_file() and file.name == ROUTER_FILE:
            build = _router_build(file)
            layout = _beside(file, build.layout)
            return Source(LayoutRegistry(layout), build.index_digest, None, on_disk=True, router=build)
    if (path / INDEX_FILE).is_file():
        return _from_layout(path)
    raise LayoutError(
        f"{path}: is neither a release ({RELEASE_FILE}), nor a router build ({ROUTER_FILE}), nor an OCI layout "
        f"({INDEX_FILE})"
    )


def _router_build(file: Path) -> RouterBuild:
    try:
        return RouterBuild.read(file)
    except ContractError as error:
        raise LayoutError(str(error)) from error


def _beside(file: Path, layout: str) -> Path:
    """Return the layout that a document names; it lies below the document, whatever the document says."""
    folder = file.parent / layout
    if not layout or not folder.resolve().is_relative_to(file.parent.resolve()):
        raise LayoutError(f"{file}: layout: {layout!r:.80} is no folder beside it")
    return folder


def _from_layout(layout: Path) -> Source:
    """Open the one image of a layout; evidence that lies beside it is no image."""
    file = layout / INDEX_FILE
    if not file.is_file():
        raise LayoutError(f"{layout}: is not an OCI layout (it has no {INDEX_FILE})")
    index = documents.parse(str(file), file.read_bytes()[: documents.DOCUMENT_BYTES + 1])
    registry = LayoutRegistry(layout)
    images: dict[str, str] = {}
    for value in documents.items(str(file), index, "manifests", most=10_000):
        entry = documents.descriptor(str(file), value)
        tag = documents.text_mapping(str(file), value, "annotations").get(TAG, "")
        if entry.media_type in documents.INDEX_TYPES | documents.MANIFEST_TYPES and not _is_evidence(
            registry, entry, tag
        ):
            stated = documents.mapping(str(file), value, "platform")
            told = filter(None, (tag, platform_name(str(file), stated) if stated else ""))
            images.setdefault(entry.digest, " ".join(map(printable, told)))
    if len(images) == 1:
        return Source(registry, next(iter(images)), None, on_disk=True)
    if not images:
        raise LayoutError(f"{layout}: holds no image")
    shown = list(images.items())[:LISTED_MAX]
    listed = "".join(f"\n  {SCHEME}{layout}@{digest}  {told}".rstrip() for digest, told in shown)
    more = f"\n  and {len(images) - LISTED_MAX} more" if len(images) > LISTED_MAX else ""
    raise LayoutError(f"{layout}: holds {len(images)} images; choose one:{listed}{more}")


def _is_evidence(registry: Registry, entry: Descriptor, tag: str) -> bool:
    """Return whether an entry of a layout's index is evidence about another, or the list of it."""
    if re.fullmatch(FALLBACK_TAG, tag):
        return True
    if entry.artifact_type or entry.media_type not in documents.MANIFEST_TYPES:
        return bool(entry.artifact_type)
    manifest = documents.parse(f"{registry.name}: {entry.digest}", registry.read_manifest(entry.digest).data)
    return subject_of(manifest) is not None or bool(manifest.get("artifactType"))
