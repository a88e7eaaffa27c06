"""The seam between images and where they are kept: one repository, on the network or in an OCI layout on disk.

Everything is addressed by digest and verified by whoever reads it; a tag is only a name that may move. Caching,
retrying and counting are wrappers of the same Protocol. Sources: OCI distribution and image specifications v1.1.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol


@dataclass(frozen=True)
class Descriptor:
    """What a manifest or an index says of a blob: `artifact_type` only where evidence is listed."""

    media_type: str
    digest: str
    size_bytes: int
    artifact_type: str | None = None


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index: its bytes as they were stored, never written anew, and so its digest."""

    digest: str
    media_type: str
    data: bytes


def subject_of(document: Mapping[str, Any]) -> str | None:
    """Return the digest of what a manifest is evidence of, None when it is no evidence."""
    subject = document.get("subject")
    digest = subject.get("digest") if isinstance(subject, Mapping) else None
    return digest if isinstance(digest, str) else None


class Registry(Protocol):
    """One repository.

    Every method raises `RegistryError` (temporary after its retries, or permanent) or `LayoutError`; the message names
    the repository and the digest.
    """

    @property
    def name(self) -> str:
        """What errors and `inspect` call it: `host:port/repository`, or `oci-layout://PATH`."""
        ...

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the blob is there with its size."""
        ...

    def read_blob(self, descriptor: Descriptor, file: BinaryIO) -> None:
        """Write a blob's content to `file`, at the place where it stands; refused unless size and digest are right."""
        ...

    def blob_file(self, descriptor: Descriptor) -> AbstractContextManager[Path]:
        """Give a blob as a file to read: its own where it lies on this disk, else a temporary one. Verified."""
        ...

    def write_blob(self, descriptor: Descriptor, content: Path | bytes, *, asked: bool = False) -> int:
        """Store a file, streamed, or a document as a blob; return the bytes sent (0 when it was there or was mounted).

        `asked` says that `has_blob` has just said no, so that it is not asked once more.
        """
        ...

    def read_manifest(self, reference: str) -> Manifest:
        """Return what a digest or a tag names; refused unless its bytes have the digest that was asked for."""
        ...

    def write_manifest(self, manifest: Manifest, tag: str | None = None, *, part: bool = False) -> None:
        """Store a manifest whose blobs are all there, and then name it; one that is part of an index has no name.

        One with a `subject` is evidence: it is found by `referrers` of its subject afterwards, by the registry's own
        referrers API where there is one, else by the fallback tag `sha256-<hex>`.
        """
        ...

    def write_evidence(self, documents: Sequence[Manifest]) -> None:
        """Store manifests with subjects, whose blobs are all there; `referrers` gives all of them afterwards.

        The same as `write_manifest` of each, with one change of a subject's list instead of one for each of them.
        """
        ...

    def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the evidence that names `digest` as its subject, by artifact type and digest; may be empty."""
        ...
