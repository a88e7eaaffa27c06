"""A layer's files, read as a stream: nothing is written, memory grows with the number of files and not with their size.

Layers come from images that nobody has to trust: what is kept of one is bounded, a bomb ends at a bound as well, and
the digests are counted over what was read.
"""

import hashlib
import io
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, Self, cast

from zlib_ng import gzip_ng, zlib_ng

from trihull_packaging.inspecting.facts import LayerState
from trihull_runtime.artifacts.errors import LayoutError, RegistryError
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry

CHUNK_BYTES: Final = 1 << 20
UNPACKED_BYTES_MAX: Final = 256 << 30
FILES_MAX: Final = 1_000_000
HEADER_BYTES_MAX: Final = 1 << 20  # of an extended header; tarfile reads it whole
TEXT_BYTES_MAX: Final = 4 << 20
TEXTS_BYTES_MAX: Final = 64 << 20
INFLATE_ERROR: Final = cast(type[Exception], zlib_ng.error)  # its stubs call it a value
DAMAGE: Final = (tarfile.TarError, INFLATE_ERROR, EOFError, ValueError, OSError)
WHITEOUT: Final = ".wh."  # OCI image specification v1.1, layer.md
OPAQUE: Final = ".wh..wh..opq"

# The files whose text says which packages and which model are there, and how much of each is kept.
TEXTS: Final = (
    (re.compile(r"var/lib/dpkg/status"), TEXT_BYTES_MAX),
    (re.compile(r"var/lib/dpkg/status\.d/[^/]+"), 64 << 10),
    (re.compile(r"(.+/)?[^/]+\.dist-info/METADATA"), 8 << 10),
    (re.compile(r"(.+/)?[^/]+\.dist-info/(RECORD|top_level\.txt)"), TEXT_BYTES_MAX),
    (re.compile(r"models/[^/]+/manifest\.json"), TEXT_BYTES_MAX),
)


@dataclass(frozen=True)
class File:
    """A file of a layer.

    Attributes:
        size_bytes: of its content; 0 for a link.
        attributes: mode, owner and time, as text to compare.
        content: what stands for it: the digest where it was asked for, a link's target.
    """

    size_bytes: int
    attributes: str
    content: str


@dataclass(frozen=True)
class LayerContents:
    """What a layer holds.

    Attributes:
        diff_id: the digest of the uncompressed tar, as counted.
        size_bytes: of the uncompressed tar.
        files: name -> file; links too, folders not.
        texts: name -> content of the files that say what is in the image, cut at their bounds.
        removed: names that lower layers put there and this one takes away, with all below them.
    """

    diff_id: str
    size_bytes: int
    files: Mapping[str, File]
    texts: Mapping[str, bytes]
    removed: frozenset[str]


@dataclass(frozen=True)
class Reading:
    """A layer that was read, or why it could not be."""

    state: LayerState
    contents: LayerContents | None
    detail: str


def read_layer(
    registry: Registry,
    layer: Descriptor,
    diff_id: str,
    *,
    hashed: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Reading:
    """Read a layer from where it is kept.

    Args:
        registry: holds it.
        layer: the blob; its media type names the compression.
        diff_id: what the uncompressed tar must be; empty when nobody says.
        hashed: also take each file's digest.
        advance: told of every piece that arrives, in bytes of the blob.

    Raises:
        RegistryError: the registry cannot be reached.
    """
    if layer.media_type.endswith(("+zstd", ".zstd", "+encrypted")):
        return Reading(LayerState.UNSUPPORTED, None, f"{layer.media_type} is not read")
    with tempfile.TemporaryFile(prefix="trihull-layer-") as file:
        try:
            registry.read_blob(layer, cast(BinaryIO, _Told(file, advance)))
            file.seek(0)
            contents = contents_of(file, hashed=hashed)
        except RegistryError:
            if registry.has_blob(layer):
                raise
            return Reading(LayerState.DAMAGED, None, "is missing there")
        except LayoutError as error:
            return Reading(LayerState.DAMAGED, None, str(error))
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:  # this machine's disk, not the layer
                raise
            return Reading(LayerState.DAMAGED, None, f"is no intact layer: {error}")
    if diff_id and contents.diff_id != diff_id:
        return Reading(LayerState.DAMAGED, contents, f"unpacks to {contents.diff_id} instead of {diff_id}")
    return Reading(LayerState.READ, contents, "")


def contents_of(file: BinaryIO, *, hashed: bool = False) -> LayerContents:
    """Read a layer from a file: a tar, plain or gzip.

    Raises:
        DAMAGE: damaged, or larger than what is read.
    """
    head = file.read(2)
    file.seek(0)
    stream = _Counted(_inflated(file) if head == b"\x1f\x8b" else file)
    files: dict[str, File] = {}
    texts: dict[str, bytes] = {}
    removed: set[str] = set()
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Bounded) as tar:
        for member in tar:
            tar.members = []  # type: ignore[attr-defined]  # tarfile keeps them all; its stubs leave the list out
            name = posixpath.normpath(member.name).lstrip("/")
            folder, base = posixpath.split(name)
            if base == OPAQUE:
                removed.add(folder)
            elif base.startswith(WHITEOUT):
                removed.add(posixpath.join(folder, base.removeprefix(WHITEOUT)))
            elif not member.isdir():
                files[name] = _file(tar, member, name, texts, hashed=hashed)
                if len(files) > FILES_MAX or sum(map(len, texts.values())) > TEXTS_BYTES_MAX:
                    raise ValueError(f"it holds more than {FILES_MAX} files, or too much text about packages")
    while stream.read(CHUNK_BYTES):  # what follows the tar's end belongs to the digest too
        pass
    return LayerContents(stream.digest(), stream.size_bytes, files, texts, frozenset(removed))


def merged(layers: Iterable[LayerContents]) -> tuple[dict[str, File], dict[str, bytes]]:
    """Return the files and the texts of layers on top of each other, lowest first."""
    files: dict[str, File] = {}
    texts: dict[str, bytes] = {}
    for layer in layers:
        if layer.removed:
            files = {name: file for name, file in files.items() if not _covered(name, layer.removed)}
            texts = {name: text for name, text in texts.items() if name in files}
        files |= layer.files
        texts |= layer.texts
    return files, texts


def _covered(name: str, removed: frozenset[str]) -> bool:
    while name:
        if name in removed:
            return True
        name = posixpath.dirname(name)
    return "" in removed


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, texts: dict[str, bytes], *, hashed: bool) -> File:
    attributes = f"{member.mode:o} {member.uid}:{member.gid} {member.mtime}"
    if not member.isfile():
        return File(0, attributes, f"{member.type.decode('ascii', 'replace')} {member.linkname}")
    kept = next((bound for pattern, bound in TEXTS if pattern.fullmatch(name)), 0)
    if not kept and not hashed:
        return File(member.size, attributes, "")
    source = tar.extractfile(member)
    assert source is not None, f"{name}: is a file, so it can be read"
    checksum, text = hashlib.sha256(), b""
    while chunk := source.read(CHUNK_BYTES):
        text += chunk[: kept - len(text)]
        if not hashed and len(text) >= kept:
            break
        checksum.update(chunk)
    if kept:
        texts[name] = text
    return File(member.size, attributes, checksum.hexdigest() if hashed else "")


def _inflated(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip_ng.GzipFile(fileobj=file, mode="rb"))  # type: ignore[no-untyped-call]  # as published


class _Bounded(tarfile.TarInfo):
    """A header that claims no more than what may be read whole: tarfile would take gigabytes for a name."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if (
            info.type in (*extended, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
            and info.size > HEADER_BYTES_MAX
        ):
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


class _Counted(io.RawIOBase):
    """A stream whose digest and size are counted while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._checksum = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if size >= 0 else CHUNK_BYTES)
        self._checksum.update(data)
        self.size_bytes += len(data)
        if self.size_bytes > UNPACKED_BYTES_MAX:
            raise ValueError(f"it unpacks to more than {UNPACKED_BYTES_MAX >> 30} GiB")
        return data

    def digest(self) -> str:
        return f"sha256:{self._checksum.hexdigest()}"


class _Told(io.RawIOBase):
    """A file that tells how much of it arrived."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # what registries write
        self._advance(len(data))
        return self._file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)
