"""Machine classes: what an environment names instead of an instance type, so that every cloud gets the same size.

`data/machines.toml` holds the classes with the date and the source of each row.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trihull_infra.cloud import Cloud

DATA: Final = Path(__file__).parent / "data" / "machines.toml"


@dataclass(frozen=True)
class Machine:
    """A class of machines: `vcpus` and `memory_gib` are of one node and the same on every cloud.

    `types` maps a cloud to its instance types, the preferred one first; the others serve where spot capacity of the
    first is gone and the cloud can choose among several.
    """

    name: str
    vcpus: int
    memory_gib: float
    types: Mapping[Cloud, tuple[str, ...]]


def read(path: Path = DATA) -> dict[str, Machine]:
    """Read the machine classes, the smallest first."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    machines = [
        Machine(
            name,
            row["vcpus"],
            float(row["memory_gib"]),
            MappingProxyType({cloud: tuple(row["types"][cloud]) for cloud in Cloud}),
        )
        for name, row in table["classes"].items()
    ]
    return {one.name: one for one in sorted(machines, key=lambda one: (one.vcpus, one.memory_gib))}


MACHINES: Final[Mapping[str, Machine]] = MappingProxyType(read())
