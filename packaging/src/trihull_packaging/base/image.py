"""What a base is: its layers, and its root on disk, whose interpreter compiles what lies above it."""

from dataclasses import dataclass
from pathlib import Path

from trihull_packaging.base.interpreter import Interpreter
from trihull_packaging.contents import Package
from trihull_packaging.oci.layers import Layer


@dataclass(frozen=True)
class Base:
    """A base of one architecture.

    Attributes:
        layers: lowest first.
        root: where they are unpacked.
        python_version: as `3.11`.
        architecture: as images name it.
        origin: says where it came from.
        compiler: makes the bytecode of what lies above it.
    """

    layers: tuple[Layer, ...]
    root: Path
    python_version: str
    architecture: str
    origin: str
    compiler: Interpreter

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Return the digests of the uncompressed layers: what the base is, whatever compressed it."""
        return tuple(layer.diff_id for layer in self.layers)

    @property
    def packages(self) -> tuple[Package, ...]:
        """Return all packages of all layers; empty where nothing is known of them."""
        return tuple(package for layer in self.layers for package in layer.packages)
