"""Layers as files: made once for equal inputs, verified whenever they are used."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trihull_packaging import cache
from trihull_packaging.contents import Package
from trihull_packaging.oci import tars
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.artifacts.registry.layout import LAYER_TYPE

BLOB = "layer.tar.gz"
RECORD = "layer.json"


@dataclass(frozen=True)
class Layer:
    """A layer: its file, digests, size in bytes, what it is for (the image's history says it), what is in it."""

    path: Path
    digest: str
    diff_id: str
    size_bytes: int
    purpose: str
    media_type: str = LAYER_TYPE
    packages: tuple[Package, ...] = ()


def pack_layer(entries: Iterable[tars.Entry], folder: Path, purpose: str, level: int) -> Layer:
    """Write a layer's file into a folder, for whoever brings it to the disk; `level` as `tars.pack` has it."""
    with (folder / BLOB).open("wb") as file:
        packed = tars.pack(entries, file, level)
        os.fchmod(file.fileno(), 0o444)  # releases share this file by hard links
    return Layer(folder / BLOB, packed.digest, packed.diff_id, packed.size_bytes, purpose)


def write_layer(
    entries: Iterable[tars.Entry], folder: Path, purpose: str, packages: Sequence[Package], level: int
) -> Layer:
    """Write a layer and its record into a folder of the cache; `level` as `tars.pack` has it.

    `packages` is read after the entries, so whoever gives them may find out meanwhile.
    """
    layer = replace(pack_layer(entries, folder, purpose, level), packages=tuple(packages))
    with layer.path.open("rb") as file:
        os.fsync(file.fileno())  # the cache outlives a crash of the machine, and is read by its digest only once
    record = {
        "digest": layer.digest,
        "diff_id": layer.diff_id,
        "size_bytes": layer.size_bytes,
        "purpose": purpose,
        "packages": [asdict(package) for package in packages],
        "written": _written(layer.path),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return layer


def read_layer(folder: Path) -> Layer | None:
    """Return the layer that a folder holds; None when it is damaged.

    A file that nobody wrote to since (by its number, size and time, as git looks at its own) is not read for that:
    those of both architectures' layers are most of what a build would read when only a model changed.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        packages = tuple(Package.from_value(value) for value in record["packages"])
        layer = Layer(
            folder / BLOB, record["digest"], record["diff_id"], record["size_bytes"], record["purpose"],
            packages=packages,
        )  # fmt: skip
        untouched = record.get("written") == _written(layer.path)
        return layer if untouched or file_digest(layer.path) == layer.digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _written(path: Path) -> list[int]:
    """Return what changes when a file is written to or replaced."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def cached_layer(
    name: str, purpose: str, entries: Callable[[Path, list[Package]], Iterable[tars.Entry]], level: int = tars.SMALL
) -> Layer:
    """Return a layer from the cache, made now unless it is there.

    Args:
        name: the key of everything that the layer depends on.
        purpose: what it is for.
        entries: gives the content; it may use the folder that it is passed, which is removed afterwards, and adds to
            the list which packages are in it.
        level: as `tars.pack` has it.
    """

    def make(folder: Path) -> None:
        scratch = folder / "scratch"
        scratch.mkdir()
        packages: list[Package] = []
        write_layer(entries(scratch, packages), folder, purpose, packages, level)
        cache.remove(scratch)

    folder = cache.made_once("layers", name, make)
    layer = read_layer(folder)
    if layer is None:  # a full disk or a hand in the cache: what can be made again is made again
        cache.discard(folder)
        layer = read_layer(cache.made_once("layers", name, make))
        assert layer is not None, f"{folder}: a layer just written cannot be read"
    return layer
