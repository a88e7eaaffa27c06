"""What is in a layer: the packages that bills of materials, budgets and `trihull inspect` speak of."""

from dataclasses import dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Package:
    """One installed package.

    Attributes:
        kind: the type of its package URL: `deb` or `pypi` (purl specification).
        name: as its archive or index spells it.
        version: likewise.
        sha256: 64 hex digits, of the `.deb` or the wheel; empty when it is not known (a base that the user gave).
        size_bytes: of its files in the layer, uncompressed.
    """

    kind: Literal["deb", "pypi"]
    name: str
    version: str
    sha256: str
    size_bytes: int

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Build one from what `dataclasses.asdict` gave; raises `KeyError` or `TypeError` on anything else."""
        return cls(value["kind"], value["name"], value["version"], value["sha256"], value["size_bytes"])
