"""A download over several answers: what broke off goes on by Range, and all of it is counted."""

import hashlib
from typing import BinaryIO

import requests

from trihull_runtime.artifacts.errors import ContentError
from trihull_runtime.artifacts.registry.blobs import CHUNK_BYTES, DOCUMENT_BYTES
from trihull_runtime.artifacts.registry.protocol import Descriptor


class Download:
    """How far a download came, over several answers."""

    def __init__(self, file: BinaryIO, begin: int, descriptor: Descriptor) -> None:
        """Write to `file`, from its place `begin` on."""
        self._file, self._begin, self._descriptor = file, begin, descriptor
        self._checksum = hashlib.sha256()
        self._done = 0
        self.headers: dict[str, str] = {}

    def prepare(self) -> None:
        """Ask for the rest, when there is a part already; called before every attempt."""
        self.headers.clear()
        self.headers["Accept-Encoding"] = "identity"
        if self._done:
            self.headers["Range"] = f"bytes={self._done}-"

    def take(self, response: requests.Response, name: str) -> None:
        """Add an answer.

        Raises:
            ContentError: there is more than there should be.
            requests.ConnectionError: it ended too early.
        """
        if response.status_code == 200 and self._done:  # it does not know Range: from the beginning, then
            self._file.seek(self._begin)
            self._file.truncate()
            self._checksum, self._done = hashlib.sha256(), 0
        for chunk in response.iter_content(CHUNK_BYTES):
            if self._done + len(chunk) > self._descriptor.size_bytes:
                raise ContentError(f"{name}: {self._descriptor.digest} has more bytes there than it should; refused")
            self._checksum.update(chunk)
            self._file.write(chunk)
            self._done += len(chunk)
        if self._done < self._descriptor.size_bytes:
            raise requests.ConnectionError(f"the answer ends after {self._done} of {self._descriptor.size_bytes} bytes")

    def digest(self) -> str:
        """Return the digest of all that came."""
        return f"sha256:{self._checksum.hexdigest()}"


def document_of(response: requests.Response, what: str) -> bytes:
    """Return an answer's body, of at most `DOCUMENT_BYTES`; `what` is what errors call it.

    Raises:
        ContentError: there is more.
        requests.ConnectionError: it ended too early.
    """
    data = b""
    with response:
        for chunk in response.iter_content(CHUNK_BYTES):
            data += chunk
            if len(data) > DOCUMENT_BYTES:
                raise ContentError(f"{what} has more than {DOCUMENT_BYTES >> 20} MiB; refused")
    length = response.headers.get("Content-Length")
    if length is not None and length != str(len(data)) and "Content-Encoding" not in response.headers:
        raise requests.ConnectionError(f"the answer ends after {len(data)} of {length} bytes")
    return data
