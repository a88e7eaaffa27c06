"""Content-addressed blobs of an OCI layout: where they lie, how they are stored and read, always by digest."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.contract.codec import DIGEST, write_file

DOCUMENT_BYTES: Final = 4 << 20  # the distribution specification's bound for manifests; ours for every JSON document
CHUNK_BYTES: Final = 1 << 20
SMALL_BYTES: Final = 1 << 16


def blob_path(layout: Path, digest: object) -> Path:
    """Return where a blob lies.

    Raises:
        LayoutError: not a SHA-256 digest; so no text from a document becomes a path unchecked.
    """
    if not isinstance(digest, str) or re.fullmatch(DIGEST, digest) is None:
        raise LayoutError(f"{layout}: {digest!r} is not a digest (sha256:<64 hex digits>)")
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def file_digest(path: Path) -> str:
    """Return a file's SHA-256 as `sha256:<hex>`; memory does not grow with its size."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= SMALL_BYTES:  # a large buffer would cost more than what is read into it
            return bytes_digest(file.read())
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def document_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON with one form only (sorted keys, no spaces), so that equal documents have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def put_document(layout: Path, media_type: str, value: Mapping[str, Any], *, durable: bool = True) -> dict[str, Any]:
    """Store a JSON document as a blob and return its descriptor; `durable` as `write` has it."""
    data = document_bytes(value)
    digest = bytes_digest(data)
    put_bytes(layout, digest, data, durable=durable)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def bytes_digest(data: bytes) -> str:
    """Return the SHA-256 of bytes as `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def put_bytes(layout: Path, digest: str, data: bytes, *, durable: bool = True) -> None:
    """Store bytes as a blob unless it is there; `durable` as `write` has it.

    Raises:
        LayoutError: they do not have the digest.
    """
    if bytes_digest(data) != digest:
        raise LayoutError(f"{layout}: {len(data)} bytes do not have the digest {digest}; they are damaged")
    path = blob_path(layout, digest)
    if not path.is_file() or path.read_bytes() != data:
        write(path, data, durable=durable)


def write(path: Path, data: bytes, *, durable: bool) -> None:
    """Write a file as `write_file` does; or, where nobody looks before all is on the disk, plainly and much faster.

    `durable=False` is for a new folder that takes its place as a whole: whoever writes there brings it to the disk.
    """
    if durable:
        write_file(path, data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(data)


def read_document(layout: Path, digest: str) -> dict[str, Any]:
    """Read a JSON blob, verified.

    Raises:
        LayoutError: missing, damaged, too large or no JSON object.
    """
    return parse_document(blob_path(layout, digest), read_document_bytes(layout, digest))


def read_document_bytes(layout: Path, digest: str) -> bytes:
    """Read a blob of at most `DOCUMENT_BYTES`, verified; raises `LayoutError`."""
    path = blob_path(layout, digest)
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise LayoutError(f"{path}: is no regular file; copy the image again")
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES + 1)
    except OSError as error:
        raise LayoutError(f"{layout}: {digest} cannot be read: {error.strerror or error}") from error
    if len(data) > DOCUMENT_BYTES:
        raise LayoutError(f"{path}: is no document: it has more than {DOCUMENT_BYTES >> 20} MiB")
    if bytes_digest(data) != digest:
        raise LayoutError(f"{path}: its content does not have the digest that is its name; copy the image again")
    return data


def parse_document(path: Path, data: bytes) -> dict[str, Any]:
    """Return a JSON object of at most `DOCUMENT_BYTES`; `path` is what errors call it."""
    try:
        value = json.loads(data) if len(data) <= DOCUMENT_BYTES else None
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise LayoutError(f"{path}: expected a JSON object of at most {DOCUMENT_BYTES >> 20} MiB")
    return value


def verify_blob(layout: Path, descriptor: Mapping[str, Any]) -> None:
    """Check that a blob is there with its size and its digest; raises `LayoutError`."""
    path = blob_path(layout, descriptor["digest"])
    if not path.is_file():
        raise LayoutError(f"{layout}: {descriptor['digest']} is missing; copy the image again")
    size = path.stat().st_size
    if size != descriptor["size"]:
        raise LayoutError(f"{path}: has {size} bytes instead of {descriptor['size']}; copy the image again")
    if file_digest(path) != descriptor["digest"]:
        raise LayoutError(f"{path}: its content does not have the digest that is its name; copy the image again")


def put_file(layout: Path, origin: Path, digest: str) -> None:
    """Store a file as a blob, verified while it is copied; the blob appears complete or not at all.

    Raises:
        LayoutError: the file's content is not what `digest` says.
    """
    path = blob_path(layout, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".incoming.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file, origin.open("rb") as source:
            os.fchmod(file.fileno(), 0o644)
            checksum = hashlib.sha256()
            while chunk := source.read(CHUNK_BYTES):
                checksum.update(chunk)
                file.write(chunk)
            if f"sha256:{checksum.hexdigest()}" != digest:
                raise LayoutError(f"{origin}: its content does not have the digest {digest}; it is damaged")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def link_file(layout: Path, origin: Path, digest: str) -> None:
    """Store a file that nobody will write to any more as a blob, without copying it where the file system can link.

    The caller has verified the file; a copy (another file system) is verified once more.

    Raises:
        LayoutError: as `put_file`.
    """
    path = blob_path(layout, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(origin, path)
    except FileExistsError:
        return
    except OSError:  # another file system, or one without hard links
        put_file(layout, origin, digest)
