"""Images from one registry to another: only what is missing, the index after all of it, the tag last.

A copy that fails or is killed leaves blobs that nothing names; run again, it goes on where it was.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, MANIFEST_TYPE
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest, Registry
from trihull_runtime.contract.codec import DIGEST

PARALLEL: Final = 4
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES: Final = frozenset({INDEX_TYPE, DOCKER_INDEX})
MANIFESTS: Final = frozenset({MANIFEST_TYPE, DOCKER_MANIFEST})
MANIFESTS_MAX: Final = 1000  # of one index: more is no image of anybody's, but an attempt to keep us busy


@dataclass(frozen=True)
class Copied:
    """What a copy did: blobs sent, blobs that were there already, and the bytes of content sent."""

    sent: int
    present: int
    sent_bytes: int


@dataclass(frozen=True)
class Progress:
    """One blob is done: its descriptor, and how many bytes of it were sent (0 when it was there)."""

    blob: Descriptor
    sent_bytes: int


@dataclass(frozen=True)
class Image:
    """An image as its manifests describe it: the top one, those below it, and all blobs, each once."""

    top: Manifest
    manifests: tuple[Manifest, ...]
    blobs: tuple[Descriptor, ...]


def describe(source: Registry, reference: str) -> Image:
    """Read an image's manifests.

    Args:
        source: where it is.
        reference: digest or tag of an index or a manifest.

    Raises:
        LayoutError: a document is not what the image specification asks for.
        RegistryError: the registry does not give it.
    """
    top = source.read_manifest(reference)
    below = []
    if top.media_type in INDEXES:
        entries = _list(source, top, "manifests")
        if len(entries) > MANIFESTS_MAX:
            raise LayoutError(f"{source.name}: {top.digest} lists {len(entries)} manifests; refused")
        for entry in entries:
            descriptor = _descriptor(source, top, entry)
            if descriptor.media_type not in MANIFESTS:
                raise LayoutError(f"{source.name}: {top.digest} lists a {descriptor.media_type!r}, which is no image")
            below.append(source.read_manifest(descriptor.digest))
    elif top.media_type not in MANIFESTS:
        raise LayoutError(f"{source.name}: {top.digest} is a {top.media_type!r}, no image and no index")
    blobs: dict[str, Descriptor] = {}
    for manifest in below or [top]:
        for blob in _blobs(source, manifest):
            known = blobs.setdefault(blob.digest, blob)
            if known.size_bytes != blob.size_bytes:
                raise LayoutError(f"{source.name}: {blob.digest} is listed with two sizes; refused")
    return Image(top, tuple(below), tuple(blobs.values()))


def copy(
    source: Registry,
    target: Registry,
    reference: str,
    *,
    tag: str | None = None,
    evidence: bool = True,
    report: Callable[[Progress], None] = lambda _: None,
) -> Copied:
    """Copy an image, or an index with all its images, and its evidence.

    Args:
        source: where it is.
        target: where it shall be.
        reference: digest or tag at the source.
        tag: its name at the target, given at the very end; none when it is found by its digest.
        evidence: whether what refers to it, or to a manifest in it, is copied too.
        report: told of every blob that is done; called from several threads, one at a time.

    Raises:
        LayoutError: the source does not hold the image, or holds it damaged.
        RegistryError: a registry failed for good. The target then names nothing new.
    """
    image = describe(source, reference)
    said = _evidence(source, image) if evidence else []
    blobs = {blob.digest: blob for document in (image, *said) for blob in document.blobs}
    count = _Count(report)
    with ThreadPoolExecutor(PARALLEL) as pool:
        # The largest first: the others fill the time beside it.
        largest_first = sorted(blobs.values(), key=lambda blob: -blob.size_bytes)
        sent = {blob.digest: pool.submit(_blob_across, source, target, blob, count) for blob in largest_first}
        below = [
            pool.submit(_manifest_across, target, one, [sent[blob.digest] for blob in _blobs(source, one)])
            for one in image.manifests
        ]
        _done([*sent.values(), *below])
        if said or tag is None:  # else naming it by its tag stores it
            target.write_manifest(image.top)
            target.write_evidence([document.top for document in said])
        if tag is not None:
            target.write_manifest(image.top, tag)
    return Copied(count.sent, count.present, count.sent_bytes)


class _Count:
    """Adds up what several threads did."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.sent = self.present = self.sent_bytes = 0
        self._report = report
        self._lock = threading.Lock()

    def done(self, blob: Descriptor, sent_bytes: int | None) -> None:
        with self._lock:
            self.present += sent_bytes is None
            self.sent += sent_bytes is not None
            self.sent_bytes += sent_bytes or 0
            self._report(Progress(blob, sent_bytes or 0))


def _evidence(source: Registry, image: Image) -> list[Image]:
    """Return what refers to an image's manifests."""
    subjects = [manifest.digest for manifest in (image.top, *image.manifests)]
    return [describe(source, one.digest) for subject in subjects for one in source.referrers(subject)]


def _blob_across(source: Registry, target: Registry, blob: Descriptor, count: _Count) -> None:
    """Ask for a blob, and send it when it is missing."""
    if target.has_blob(blob):
        count.done(blob, None)
        return
    with source.blob_file(blob) as path:
        count.done(blob, target.write_blob(blob, path, asked=True))


def _manifest_across(target: Registry, manifest: Manifest, blobs: Sequence[Future[None]]) -> None:
    """Write a part of an index when its blobs are there; they came before it, so somebody is at work on each."""
    for blob in blobs:
        blob.result()
    target.write_manifest(manifest, part=True)


def _done(work: Sequence[Future[None]]) -> None:
    """Wait for everything; the first failure stops what has not begun, and is raised."""
    done, waiting = wait(work, return_when=FIRST_EXCEPTION)
    for future in waiting:
        future.cancel()
    for future in work:
        if future in done:
            future.result()


def _blobs(source: Registry, manifest: Manifest) -> Iterator[Descriptor]:
    document = _document(source, manifest)
    yield _descriptor(source, manifest, document.get("config"))
    for layer in _list(source, manifest, "layers"):
        yield _descriptor(source, manifest, layer)


def _document(source: Registry, manifest: Manifest) -> dict[str, Any]:
    try:
        value = json.loads(manifest.data)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{source.name}: {manifest.digest} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise LayoutError(f"{source.name}: {manifest.digest} is no JSON object")
    return value


def _list(source: Registry, manifest: Manifest, key: str) -> list[Any]:
    value = _document(source, manifest).get(key)
    if not isinstance(value, list):
        raise LayoutError(f"{source.name}: {manifest.digest}: {key}: expected a list")
    return value


def _descriptor(source: Registry, manifest: Manifest, value: Any) -> Descriptor:
    if (
        not isinstance(value, Mapping)
        or not isinstance(value.get("mediaType"), str)
        or not isinstance(value.get("digest"), str)
        or re.fullmatch(DIGEST, value["digest"]) is None
        or type(value.get("size")) is not int
        or value["size"] < 0
    ):
        wanted = "expected a descriptor with mediaType, digest and size"
        raise LayoutError(f"{source.name}: {manifest.digest}: {wanted}, found {value!r:.120}")
    return Descriptor(value["mediaType"], value["digest"], value["size"])
