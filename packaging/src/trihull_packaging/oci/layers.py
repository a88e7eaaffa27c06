"""Layers as files: made once for equal inputs, verified whenever they are used."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from trihull_packaging import cache
from trihull_packaging.oci import tars
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.artifacts.registry.layout import LAYER_TYPE

BLOB = "layer.tar.gz"
RECORD = "layer.json"


@dataclass(frozen=True)
class Layer:
    """A layer: its file, its digests, its size in bytes, and what it is for (the image's history says it)."""

    path: Path
    digest: str
    diff_id: str
    size_bytes: int
    purpose: str
    media_type: str = LAYER_TYPE


def write_layer(entries: Iterable[tars.Entry], folder: Path, purpose: str) -> Layer:
    """Write a layer and its record into a folder."""
    with (folder / BLOB).open("wb") as file:
        packed = tars.pack(entries, file)
    (folder / RECORD).write_text(json.dumps({**asdict(packed), "purpose": purpose}, indent=2) + "\n", encoding="utf-8")
    return Layer(folder / BLOB, packed.digest, packed.diff_id, packed.size_bytes, purpose)


def read_layer(folder: Path) -> Layer | None:
    """Return the layer that a folder holds; None when it is damaged."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        layer = Layer(folder / BLOB, record["digest"], record["diff_id"], record["size_bytes"], record["purpose"])
        return layer if file_digest(layer.path) == layer.digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cached_layer(name: str, purpose: str, entries: Callable[[Path], Iterable[tars.Entry]]) -> Layer:
    """Return a layer from the cache, made now unless it is there.

    Args:
        name: the key of everything that the layer depends on.
        purpose: what it is for.
        entries: gives the content; it may use the folder that it is passed, which is removed afterwards.
    """

    def make(folder: Path) -> None:
        scratch = folder / "scratch"
        scratch.mkdir()
        write_layer(entries(scratch), folder, purpose)
        cache.remove(scratch)

    folder = cache.made_once("layers", name, make)
    layer = read_layer(folder)
    if layer is None:  # a full disk or a hand in the cache: what can be made again is made again
        with cache.locked(folder):
            cache.remove(folder)
        layer = read_layer(cache.made_once("layers", name, make))
        assert layer is not None, f"{folder}: a layer just written cannot be read"
    return layer
