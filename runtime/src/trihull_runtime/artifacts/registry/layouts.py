"""An OCI layout on disk as a `Registry`: the same operations as a registry on the network has."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry import layout
from trihull_runtime.artifacts.registry.blobs import (
    CHUNK_BYTES,
    blob_path,
    parse_document,
    put_bytes,
    put_file,
    read_document_bytes,
    verify_blob,
)
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest, subject_of
from trihull_runtime.contract.codec import DIGEST


class LayoutRegistry:
    """One layout; made when something is first written to it."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """Use `folder`, which need not be there yet; documents are written `durable` as `blobs.write` has it."""
        self.folder = folder
        self._durable = durable

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"oci-layout://{self.folder}"

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the blob is there, intact: its digest is counted."""
        try:
            verify_blob(self.folder, {"digest": descriptor.digest, "size": descriptor.size_bytes})
        except LayoutError:  # not there yet, or left half by an earlier copy
            return False
        return True

    def read_blob(self, descriptor: Descriptor, file: BinaryIO) -> None:
        """Write a blob's content to `file`; raises `LayoutError` when it is missing or damaged."""
        with self.blob_file(descriptor) as path, path.open("rb") as source:
            shutil.copyfileobj(source, file, CHUNK_BYTES)

    @contextmanager
    def blob_file(self, descriptor: Descriptor) -> Iterator[Path]:
        """Give a blob's own file, verified; not to be written to."""
        verify_blob(self.folder, {"digest": descriptor.digest, "size": descriptor.size_bytes})
        yield blob_path(self.folder, descriptor.digest)

    def write_blob(self, descriptor: Descriptor, content: Path | bytes, *, asked: bool = False) -> int:
        """Store a file or a document as a blob unless it is there; returns the bytes written."""
        if not asked and self.has_blob(descriptor):
            return 0
        if isinstance(content, bytes):
            put_bytes(self.folder, descriptor.digest, content, durable=self._durable)
        else:
            put_file(self.folder, content, descriptor.digest)
        return descriptor.size_bytes

    def read_manifest(self, reference: str) -> Manifest:
        """Return what a digest or a tag names.

        Raises:
            LayoutError: not there, damaged, or no manifest.
        """
        known = layout.entries(self.folder)
        digest = reference if re.fullmatch(DIGEST, reference) else self._tagged(reference, known)
        data = read_document_bytes(self.folder, digest)
        document = parse_document(blob_path(self.folder, digest), data)
        return Manifest(digest, layout.media_type_of(self.folder, digest, document), data)

    def write_manifest(self, manifest: Manifest, tag: str | None = None, *, part: bool = False) -> None:
        """Store a manifest and name it in `index.json`: an image, an index, or evidence of one."""
        put_bytes(self.folder, manifest.digest, manifest.data, durable=self._durable)
        if part:
            return
        descriptor = _entry(manifest)
        if tag is not None:
            descriptor["annotations"] = {layout.TAG: tag}
        layout.publish(self.folder, descriptor, durable=self._durable)

    def write_evidence(self, documents: Sequence[Manifest]) -> None:
        """Store manifests with subjects and name them in `index.json`, which is written once."""
        for document in documents:
            put_bytes(self.folder, document.digest, document.data, durable=self._durable)
        layout.publish(self.folder, *map(_entry, documents), durable=self._durable)

    def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the evidence that names `digest` as its subject, in one order."""
        result = []
        for entry in layout.entries(self.folder):
            if entry.get("mediaType") == layout.MANIFEST_TYPE:
                document = parse_document(
                    blob_path(self.folder, entry["digest"]), read_document_bytes(self.folder, entry["digest"])
                )
                if subject_of(document) == digest:
                    result.append(_evidence(entry, document))
        return tuple(sorted(result, key=lambda found: (found.artifact_type or "", found.digest)))

    def _tagged(self, tag: str, known: list[dict[str, Any]]) -> str:
        found = [entry for entry in known if (entry.get("annotations") or {}).get(layout.TAG) == tag]
        if len(found) != 1:
            raise LayoutError(f"{self.folder}: {len(found)} images have the tag {tag!r}; name one by its digest")
        return str(found[0]["digest"])


def _entry(manifest: Manifest) -> dict[str, Any]:
    """Return what `index.json` says of a manifest."""
    document = json.loads(manifest.data)
    entry: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.data),
    }
    if subject_of(document) is not None and "artifactType" in document:
        entry["artifactType"] = document["artifactType"]
    return entry


def _evidence(entry: dict[str, Any], document: dict[str, Any]) -> Descriptor:
    kind = document.get("artifactType")
    return Descriptor(entry["mediaType"], entry["digest"], entry["size"], kind if isinstance(kind, str) else None)
