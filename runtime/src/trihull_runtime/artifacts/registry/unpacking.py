"""Layers into a folder, as a plain user, from images that nobody has to trust.

What an entry may do is decided before it touches the disk: its name and every link it passes stay inside the root.
Absolute links are written relative, so that they mean the same to a process in the root and to one outside.
Ownership is left to the user who unpacks; set-user-id bits are dropped; device nodes, which only root could make and no
model needs, are refused. The owner may always read and enter what was unpacked, so it can be removed again.
Whiteouts follow the OCI image specification v1.1, layer.md.
"""

import contextlib
import hashlib
import io
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from trihull_runtime.artifacts.errors import LayoutError

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
LINKS_MAX: Final = 40  # as Linux: more symbolic links on one path are a loop
CHUNK_BYTES: Final = 1 << 20


def unpack_layers(layers: Sequence[tuple[Path, object]], root: Path) -> None:
    """Apply layers to an existing folder, lowest first.

    Args:
        layers: each the file of a layer (tar, plain or gzip) and its diff_id, the digest of the uncompressed tar.
        root: the folder.

    Raises:
        LayoutError: a layer is damaged, does not have its diff_id, or has an entry that would leave `root`.
    """
    for path, diff_id in layers:
        try:
            with path.open("rb") as file:
                stream = Uncompressed(file)
                _unpack_layer(path, stream, root)
                stream.drain()
        except (tarfile.TarError, zlib.error, EOFError, UnicodeError) as error:
            raise LayoutError(f"{path}: is no intact layer: {error}") from error
        if stream.digest() != diff_id:
            raise LayoutError(f"{path}: unpacks to {stream.digest()} instead of {diff_id}; it is damaged")


class Uncompressed(io.RawIOBase):
    """A layer's tar as a stream whose digest is counted while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._checksum = hashlib.sha256()
        head = file.read(2)
        file.seek(0)
        self._inflate = zlib.decompressobj(31) if head == b"\x1f\x8b" else None
        self._buffer = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of the tar, none at its end."""
        if size < 0:
            size = CHUNK_BYTES
        while not self._buffer:
            if self._inflate is None:
                self._buffer = self._file.read(CHUNK_BYTES)
                if not self._buffer:
                    return b""
            elif self._inflate.eof:
                data = self._inflate.unused_data or self._file.read(CHUNK_BYTES >> 2)
                if not data:
                    return b""
                self._inflate = zlib.decompressobj(31)  # RFC 1952: a file may hold several members
                self._buffer = self._inflate.decompress(data, CHUNK_BYTES)
            else:
                data = self._inflate.unconsumed_tail or self._file.read(CHUNK_BYTES >> 2)
                self._buffer = self._inflate.decompress(data, CHUNK_BYTES)
                if not data and not self._buffer:
                    raise EOFError("the file ends before the gzip stream does")
        result, self._buffer = self._buffer[:size], self._buffer[size:]
        self._checksum.update(result)
        return result

    def drain(self) -> None:
        """Read what follows the tar's end, which belongs to the digest too."""
        while self.read(CHUNK_BYTES):
            pass

    def digest(self) -> str:
        """Return the digest of what was read: the layer's diff_id once all is."""
        return f"sha256:{self._checksum.hexdigest()}"


def _unpack_layer(layer: Path, stream: Uncompressed, root: Path) -> None:
    made: set[Path] = set()  # by this layer: an opaque whiteout hides only what lower layers put there
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            name = _inside_name(layer, member.name)
            if name == ".":
                continue
            parent = _resolve_folder(layer, root, posixpath.dirname(name), make=True)
            path = parent / posixpath.basename(name)
            if path.name == OPAQUE:
                for child in parent.iterdir():
                    if child not in made:
                        _remove(child)
            elif path.name.startswith(WHITEOUT):
                hidden = path.name.removeprefix(WHITEOUT)
                if hidden in ("", ".", ".."):
                    raise LayoutError(f"{layer}: {member.name!r} hides nothing that has a name")
                _remove(parent / hidden)
            else:
                _unpack_member(layer, tar, member, root, path)
                while path not in made and path != root:
                    made.add(path)
                    path = path.parent


def _unpack_member(layer: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, path: Path) -> None:
    if member.isdir():
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            _remove(path)
        path.mkdir(exist_ok=True)
        path.chmod((member.mode & 0o1777) | 0o700)
        return
    if member.issym():
        target = _link_target(layer, root, path, member)
        _remove(path)
        path.symlink_to(target)
    elif member.islnk():
        source = _resolve_file(layer, root, member)
        if source != path:
            _remove(path)
            os.link(source, path)
    elif member.isreg():
        _remove(path)
        content = tar.extractfile(member)
        assert content is not None
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file, CHUNK_BYTES)
        path.chmod((member.mode & 0o777) | 0o400)
    else:
        raise LayoutError(f"{layer}: {member.name!r} is a device, a pipe or something else that is no file; refused")


def _inside_name(layer: Path, name: str) -> str:
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\0" in name:
        raise LayoutError(f"{layer}: {name!r} would leave the folder it is unpacked into; refused")
    return posixpath.normpath(name)


def _link_target(layer: Path, root: Path, path: Path, member: tarfile.TarInfo) -> str:
    """Return a symbolic link's target relative to its own folder."""
    place = path.parent.relative_to(root).as_posix()
    target = member.linkname
    inside = posixpath.normpath(target.lstrip("/") if target.startswith("/") else posixpath.join(place, target))
    parts = PurePosixPath(target).parts
    # After a name, `..` means what that name leads to, which a later entry may change; so only leading ones are judged.
    judged = ".." not in parts[next((i for i, part in enumerate(parts) if part != ".."), len(parts)) :]
    if not target or not judged or inside == ".." or inside.startswith("../"):
        raise LayoutError(f"{layer}: the link {member.name!r} -> {target!r} leaves the folder; refused")
    return posixpath.relpath(inside, place) if target.startswith("/") else target


def _resolve_file(layer: Path, root: Path, member: tarfile.TarInfo) -> Path:
    name = _inside_name(layer, member.linkname)
    source = _resolve_folder(layer, root, posixpath.dirname(name), make=False) / posixpath.basename(name)
    if not source.is_file() or source.is_symlink():
        raise LayoutError(f"{layer}: the hard link {member.name!r} -> {member.linkname!r} points at no file; refused")
    return source


def _resolve_folder(layer: Path, root: Path, name: str, *, make: bool) -> Path:
    """Return the real folder that `name` means inside `root`, following links as a process in the root would."""
    todo = [part for part in name.split("/") if part not in ("", ".")]
    current, links = root, 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            if current == root:
                raise LayoutError(f"{layer}: {name!r} leads through a link out of the folder; refused")
            current = current.parent
            continue
        step = current / part
        if step.is_symlink():
            links += 1
            if links > LINKS_MAX:
                raise LayoutError(f"{layer}: {name!r} leads through a loop of links; refused")
            target = step.readlink().as_posix()  # relative: `_link_target` wrote it
            todo = [part for part in target.split("/") if part not in ("", ".")] + todo
            continue
        if not step.exists() and make:
            step.mkdir(mode=0o755)
        elif not step.is_dir():
            if not make:
                raise LayoutError(f"{layer}: {name!r} is no folder; refused")
            _remove(step)
            step.mkdir(mode=0o755)
        current = step
    return current


def _remove(path: Path) -> None:
    """Remove whatever lies at `path` without following links; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
