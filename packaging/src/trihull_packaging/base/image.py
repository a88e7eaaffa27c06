"""What a base is: its layers, and its root on disk, whose interpreter compiles what lies above it."""

from dataclasses import dataclass
from pathlib import Path

from trihull_packaging.oci.layers import Layer


@dataclass(frozen=True)
class Base:
    """Layers, lowest first; the unpacked root; `python_version` as `3.11`; `origin` says where it came from."""

    layers: tuple[Layer, ...]
    root: Path
    python_version: str
    architecture: str
    origin: str
