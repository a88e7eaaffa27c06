"""A download over several answers: what broke off goes on by Range, and all of it is counted."""

import hashlib
from typing import BinaryIO

import requests

from trihull_runtime.artifacts.errors import ContentError
from trihull_runtime.artifacts.registry.blobs import CHUNK_BYTES
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
