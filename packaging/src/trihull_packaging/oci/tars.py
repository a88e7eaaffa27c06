"""Tar archives whose bytes follow from their content alone: sorted, one time, one owner, two modes.

No clock, user, umask or order of a folder's files reaches the archive, so equal content has an equal digest everywhere.
"""

import hashlib
import io
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
    for path in folder.rglob("*"):
        name = f"{prefix}/{path.relative_to(folder).as_posix()}" if prefix else path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield Entry(name, link=path.readlink().as_posix())
        elif path.is_dir():
            yield Entry(name, mode=0o1777 if path.stat().st_mode & 0o1000 else 0o755)
        else:
            yield Entry(name, path=path, mode=0o755 if path.stat().st_mode & 0o100 else 0o644)


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
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK_BYTES) as tar:
        for entry in with_folders(entries):
            info = tarfile.TarInfo(entry.name)
            info.mtime, info.mode = MTIME_S, entry.mode
            if entry.link is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
                tar.addfile(info)
            elif entry.data is not None:
                info.size = len(entry.data)
                tar.addfile(info, io.BytesIO(entry.data))
            elif entry.path is not None:
                info.size = entry.path.stat().st_size
                with entry.path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
    return stream.finish()


class _Compressed(io.RawIOBase):
    """Compresses what is written to it and counts both digests."""

    def __init__(self, file: BinaryIO, level: int) -> None:
        self._file = file
        self._deflate = zlib_ng.compressobj(level, zlib_ng.DEFLATED, GZIP)
        self._inner, self._outer, self._size = hashlib.sha256(), hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # tarfile writes bytes and nothing else
        self._inner.update(data)
        self._put(self._deflate.compress(data))
        return len(data)

    def finish(self) -> Packed:
        self._put(self._deflate.flush())
        return Packed(f"sha256:{self._outer.hexdigest()}", f"sha256:{self._inner.hexdigest()}", self._size)

    def _put(self, data: bytes) -> None:
        self._outer.update(data)
        self._size += len(data)
        self._file.write(data)
