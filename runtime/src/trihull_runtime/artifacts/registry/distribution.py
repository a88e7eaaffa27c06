"""A registry on the network: the OCI distribution API, one repository of it.

A blob is asked for (HEAD), mounted from another repository where that is known to have it, else sent in one streaming
PUT with its length: no chunks, which some registries do not take. Uploads that break begin anew; downloads that break
go on by Range. Nothing that a registry gives is believed: sizes and digests are counted here.
"""

import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from trihull_runtime.artifacts.errors import ContentError, RegistryError
from trihull_runtime.artifacts.registry import listing
from trihull_runtime.artifacts.registry.blobs import bytes_digest, document_bytes
from trihull_runtime.artifacts.registry.connection import Connection, MissingError
from trihull_runtime.artifacts.registry.downloads import Download, document_of
from trihull_runtime.artifacts.registry.keychain import Keychain
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, MANIFEST_TYPE
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest, subject_of
from trihull_runtime.artifacts.registry.retrying import Retry
from trihull_runtime.contract.codec import DIGEST

ACCEPT: Final = ", ".join(
    (
        INDEX_TYPE,
        MANIFEST_TYPE,
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# What Debian's docker-registry answered for a manifest, seldom, while another push wrote the same blob; it said too
# that the digest is invalid, as if it had read an empty link (inferred). Blobs were asked for before, so it passes.
PASSING: Final = frozenset({"MANIFEST_BLOB_UNKNOWN"})
WRITERS_MAX: Final = 8  # attempts to add to a list that others add to as well
LISTED_MAX: Final = 4  # attempts to stay in it
PARALLEL: Final = 4  # manifests of one subject


class DistributionRegistry:
    """One repository of a registry."""

    def __init__(
        self,
        host: str,
        repository: str,
        keychain: Keychain,
        *,
        mounts: Sequence[str] = (),
        retry: Retry | None = None,
        insecure: bool | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            host: with its port.
            repository: its name there.
            keychain: whom to say one is.
            mounts: other repositories of this registry that may have the same blobs.
            retry: how often to try.
            insecure: plain HTTP; None speaks it with this machine only.
        """
        self._connection = Connection(host, repository, keychain, retry or Retry(), insecure)
        self._mounts = tuple(mounts)

    @property
    def name(self) -> str:
        """What errors call it."""
        return self._connection.name

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the registry says it has the blob, with this size."""
        try:
            response = self._connection.request(
                "head", f"blobs/{descriptor.digest}", f"asking for {descriptor.digest}", expect=(200,),
                headers={"Accept-Encoding": "identity"},
            )  # fmt: skip
        except MissingError:
            return False
        length = response.headers.get("Content-Length", "")
        if length != str(descriptor.size_bytes):
            raise ContentError(
                f"{self.name}: {descriptor.digest} has {length or 'no'} bytes there instead of {descriptor.size_bytes};"
                " the registry is damaged, or is not what it says"
            )
        return True

    def read_blob(self, descriptor: Descriptor, file: BinaryIO) -> None:
        """Write a blob to `file`; a download that breaks goes on where it was."""
        begin = file.tell()
        state = Download(file, begin, descriptor)

        def consume(response: requests.Response) -> None:
            with response:
                state.take(response, self.name)

        self._connection.request(
            "get",
            f"blobs/{descriptor.digest}",
            f"reading {descriptor.digest}",
            expect=(200, 206),
            consume=consume,
            body=state.prepare,
            stream=True,
            headers=state.headers,
        )
        if state.digest() != descriptor.digest:
            raise ContentError(f"{self.name}: {descriptor.digest} has other content there: {state.digest()}; refused")

    @contextmanager
    def blob_file(self, descriptor: Descriptor) -> Iterator[Path]:
        """Give a blob as a temporary file."""
        with tempfile.TemporaryDirectory(prefix="trihull-blob.") as folder:
            path = Path(folder) / "blob"
            with path.open("wb") as file:
                self.read_blob(descriptor, file)
            yield path

    def write_blob(self, descriptor: Descriptor, content: Path | bytes, *, asked: bool = False) -> int:
        """Send a file or a document; returns the bytes sent."""
        size, what = (len(content), "it") if isinstance(content, bytes) else (content.stat().st_size, str(content))
        if size != descriptor.size_bytes:
            raise RegistryError(f"{what}: has {size} bytes, not the {descriptor.size_bytes} of {descriptor.digest}")
        if not asked and self.has_blob(descriptor):
            return 0
        for other in self._mounts:
            if self._mounted(descriptor, other):
                return 0
        self._send(descriptor, content)
        return descriptor.size_bytes

    def read_manifest(self, reference: str) -> Manifest:
        """Return what a digest or a tag names."""

        def consume(response: requests.Response) -> Manifest:
            return self._believed(reference, document_of(response, f"{self.name}: {reference}"), response)

        found: Manifest = self._connection.request(
            "get",
            f"manifests/{reference}",
            f"reading {reference}",
            expect=(200,),
            consume=consume,
            stream=True,
            headers={"Accept": ACCEPT},
        )
        return found

    def write_manifest(self, manifest: Manifest, tag: str | None = None, *, part: bool = False) -> None:
        """Store a manifest, found by its digest or by a tag; evidence is listed for what it refers to."""
        response = self._put(manifest, tag or manifest.digest)
        subject = subject_of(json.loads(manifest.data))
        if subject is not None and not _lists(response):
            self._list(subject, [manifest])

    def write_evidence(self, documents: Sequence[Manifest]) -> None:
        """Store manifests side by side; then their subjects' lists, and look at those again: others write them too."""
        missing = list(documents)
        with ThreadPoolExecutor(PARALLEL) as pool:
            for _ in range(LISTED_MAX):
                answers = list(pool.map(lambda document: self._put(document, document.digest), missing))
                without = [document for document, answer in zip(missing, answers, strict=True) if not _lists(answer)]
                ours = listing.by_subject(without)
                theirs = [subject for subject in listing.by_subject(missing) if subject not in ours]
                list(pool.map(self._list, ours.keys(), ours.values()))
                found = [*pool.map(self._listed, map(listing.fallback, ours)), *pool.map(self._entries, theirs)]
                known = {entry.get("digest") for entries in found for entry in entries}
                missing = [document for document in missing if document.digest not in known]
                if not missing:
                    return
        subjects = ", ".join(listing.by_subject(missing))
        raise RegistryError(f"{self.name}: others write the list of what refers to {subjects}; run it again")

    def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return what refers to a digest."""
        index = self._entries(digest)
        result = {}
        for entry in index:
            kind, size, own = entry.get("artifactType"), entry.get("size"), str(entry.get("digest"))
            if re.fullmatch(DIGEST, own) is None or type(size) is not int or size < 0:
                raise ContentError(f"{self.name}: referrers of {digest}: expected a descriptor, found {entry!r:.120}")
            kind = kind if isinstance(kind, str) else None
            result[own] = Descriptor(str(entry.get("mediaType")), own, size, kind)
        return tuple(sorted(result.values(), key=lambda found: (found.artifact_type or "", found.digest)))

    def _mounted(self, descriptor: Descriptor, other: str) -> bool:
        """Ask for a blob of another repository; a registry that does not do that opens an upload, which is left."""
        query = urlencode({"mount": descriptor.digest, "from": other})
        try:
            response = self._connection.request(
                "post", f"blobs/uploads/?{query}", f"mounting {descriptor.digest} from {other}", expect=(201, 202)
            )
        except RegistryError:  # no such repository, or none of ours: it is sent then
            return False
        return bool(response.status_code == 201)

    def _send(self, descriptor: Descriptor, content: Path | bytes) -> None:
        doing = f"sending {descriptor.digest}"

        def upload() -> str:
            response = self._connection.request("post", "blobs/uploads/", doing, expect=(202,))
            return self._location(response, descriptor)

        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:

            def again() -> BinaryIO | bytes:
                file.seek(0)
                # A file of nothing would be sent in chunks.
                return content if isinstance(content, bytes) else file if descriptor.size_bytes else b""

            response = self._connection.request(
                "put",
                upload,
                doing,
                expect=(201,),
                body=again,
                headers={"Content-Type": "application/octet-stream"},
            )
        said = response.headers.get("Docker-Content-Digest")
        if said is not None and said != descriptor.digest:
            raise RegistryError(f"{self.name}: {descriptor.digest} was stored as {said!r:.90}; it is not to be trusted")

    def _location(self, response: requests.Response, descriptor: Descriptor) -> str:
        place = response.headers.get("Location")
        if not place:
            raise RegistryError(f"{self.name}: opened an upload without saying where (no Location)")
        address = urljoin(self._connection.address, place)
        if urlsplit(address).scheme not in (("http", "https") if self._connection.plain else ("https",)):
            raise RegistryError(f"{self.name}: wants the upload sent to {urlsplit(address).scheme}://; refused")
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode({'digest': descriptor.digest})}"

    def _put(self, manifest: Manifest, reference: str) -> requests.Response:
        if bytes_digest(manifest.data) != manifest.digest:
            raise RegistryError(f"{self.name}: {manifest.digest} is not the digest of its bytes; nothing was written")
        response: requests.Response = self._connection.request(
            "put",
            f"manifests/{reference}",
            f"writing {reference}",
            expect=(201,),
            body=lambda: manifest.data,
            passing=PASSING,
            headers={"Content-Type": manifest.media_type},
        )
        said = response.headers.get("Docker-Content-Digest")
        if said is not None and said != manifest.digest:
            raise RegistryError(
                f"{self.name}: {manifest.digest} was stored as {said!r:.90}; the registry is not to be trusted"
            )
        return response

    def _believed(self, reference: str, data: bytes, response: requests.Response) -> Manifest:
        digest = bytes_digest(data)
        said = response.headers.get("Docker-Content-Digest")
        wanted = reference if reference.startswith("sha256:") else said or digest
        if digest != wanted or said not in (None, digest):
            raise ContentError(f"{self.name}: {reference} has content of {digest} there, said to be {said}; refused")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ContentError(f"{self.name}: {reference} is not valid JSON: {error}") from error
        if not isinstance(document, dict):
            raise ContentError(f"{self.name}: {reference} is no JSON object")
        own = document.get("mediaType")
        told = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(digest, own if isinstance(own, str) else told, data)

    def _entries(self, digest: str) -> list[dict[str, Any]]:
        """Return the entries of the registry's own list, else of the one under the fallback tag."""
        found = listing.own(self._connection, digest)
        return self._listed(listing.fallback(digest)) if found is None else found

    def _listed(self, tag: str) -> list[dict[str, Any]]:
        """Return the entries of the list under a fallback tag; none when it is not there."""
        try:
            return listing.entries(self.read_manifest(tag).data, f"{self.name}: {tag}")
        except MissingError:
            return []

    def _list(self, subject: str, documents: Sequence[Manifest]) -> None:
        """Add to the list under the fallback tag, and look whether all are still there: others may write it too."""
        tag = listing.fallback(subject)
        wanted = {document.digest: listing.entry(document) for document in documents}
        for _ in range(WRITERS_MAX):
            known = self._listed(tag)
            new = wanted.keys() - {other.get("digest") for other in known}
            if not new:
                return
            entries = sorted([*known, *(wanted[digest] for digest in new)], key=lambda other: str(other.get("digest")))
            data = document_bytes({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
            self._put(Manifest(bytes_digest(data), INDEX_TYPE, data), tag)
        raise RegistryError(f"{self.name}: {tag}: others write this list at the same time; run it again")


def _lists(response: requests.Response) -> bool:
    """Return whether a registry that took evidence lists it itself (distribution specification, OCI-Subject)."""
    return "OCI-Subject" in response.headers
