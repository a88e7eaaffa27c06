"""Tar archives whose bytes follow from their content alone: sorted, one time, one owner, two modes.

No clock, user, umask or order of a folder's files reaches the archive, so equal content has an equal digest everywhere.
"""

import hashlib
import io
import mmap
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from zlib_ng import zlib_ng

MTIME_S: Final = 1  # one second after the epoch: some tools read 0 as "unknown"
SMALL: Final = 9  # for what is packed once and pulled by everybody
FAST: Final = 2  # for what is packed again and again (decision 9 has the figures)
GZIP: Final = 31  # zlib's word for a gzip header, with no time in it
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One entry: a file (`path` or `data`), a symbolic link (`link`), or a folder (none of them)."""

    name: str
    path: Path | None = None
    data: bytes | None = None
    link: str | None = None
    mode: int = 0o755


@dataclass(frozen=True)
class Packed:
    """A compressed archive: digest and size of the file, and the digest of the tar in it (OCI: `diff_id`)."""

    digest: str
    diff_id: str
    size_bytes: int


def entries_of(folder: Path, prefix: str) -> Iterator[Entry]:
    """Yield what a folder holds, named below `prefix`; modes become 0644, or 0755 for what its owner may execute."""
    with os.scandir(folder) as found:
        for one in found:
            name = f"{prefix}/{one.name}" if prefix else one.name
            path = Path(one.path)
            if one.is_symlink():
                yield Entry(name, link=path.readlink().as_posix())
            elif one.is_dir():
                yield Entry(name, mode=0o1777 if one.stat().st_mode & 0o1000 else 0o755)
                yield from entries_of(path, name)
            else:
                yield Entry(name, path=path, mode=0o755 if one.stat().st_mode & 0o100 else 0o644)


def with_folders(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries in their one order, with an entry for every folder above them."""
    known = {entry.name: entry for entry in entries}
    for name in list(known):
        while "/" in name:
            name = name.rpartition("/")[0]
            known.setdefault(name, Entry(name))
    return [known[name] for name in sorted(known)]


def pack(entries: Iterable[Entry], file: BinaryIO, level: int) -> Packed:
    """Write entries as a gzip-compressed tar (`level` is `SMALL` or `FAST`); memory does not grow with their size."""
    stream = _Compressed(file, level)
    for entry in with_folders(entries):
        info = tarfile.TarInfo(entry.name)
        info.mtime, info.mode = MTIME_S, entry.mode
        if entry.link is not None:
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            stream.write(_header(info))
        elif entry.data is not None:
            info.size = len(entry.data)
            stream.write(_header(info) + entry.data)
        elif entry.path is not None:
            with entry.path.open("rb", buffering=0) as content:
                info.size = os.fstat(content.fileno()).st_size
                stream.write(_header(info))
                stream.take(content, info.size)
        else:
            info.type = tarfile.DIRTYPE
            stream.write(_header(info))
        stream.fill(tarfile.BLOCKSIZE)
    stream.write(bytes(2 * tarfile.BLOCKSIZE))
    stream.fill(tarfile.RECORDSIZE)
    return stream.finish()


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Compressed:
    """Compresses what is written to it, a chunk at a time whatever it is written in, and counts both digests.

    Files are read into the chunk itself: copied once and not four times, as `tarfile` does it.
    """

    def __init__(self, file: BinaryIO, level: int) -> None:
        self._file = file
        self._deflate = zlib_ng.compressobj(level, zlib_ng.DEFLATED, GZIP)
        self._inner, self._outer, self._size = hashlib.sha256(), hashlib.sha256(), 0
        self._chunk = memoryview(mmap.mmap(-1, CHUNK_BYTES))  # a small archive takes as much memory as it fills
        self._used = self._total = 0

    def write(self, data: bytes) -> None:
        begin = 0
        while begin < len(data):
            count = min(len(data) - begin, CHUNK_BYTES - self._used)
            self._chunk[self._used : self._used + count] = data[begin : begin + count]
            self._advance(count)
            begin += count

    def take(self, content: io.RawIOBase, size_bytes: int) -> None:
        """Read so much of a file; raises `OSError` when it has less."""
        while size_bytes:
            count = content.readinto(self._chunk[self._used : self._used + size_bytes])
            if not count:
                raise OSError("unexpected end of data")  # as tarfile says it: somebody shortened the file
            self._advance(count)
            size_bytes -= count

    def fill(self, block_bytes: int) -> None:
        """Write zeros up to the end of a block."""
        self.write(bytes(-self._total % block_bytes))

    def finish(self) -> Packed:
        self._flush()
        self._put(self._deflate.flush())
        return Packed(f"sha256:{self._outer.hexdigest()}", f"sha256:{self._inner.hexdigest()}", self._size)

    def _advance(self, count: int) -> None:
        self._used += count
        self._total += count
        if self._used == CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = self._chunk[: self._used]
        self._inner.update(data)
        self._put(self._deflate.compress(data))
        self._used = 0

    def _put(self, data: bytes) -> None:
        self._outer.update(data)
        self._size += len(data)
        self._file.write(data)
