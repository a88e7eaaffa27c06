"""Machine classes: what an environment names instead of an instance type, so that every cloud gets the same size.

`data/machines.toml` holds the classes with the date and the source of each row.
"""

import enum
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from trihull_infra.cloud import Cloud

DATA: Final = Path(__file__).parent / "data" / "machines.toml"
VERSION: Final = 2  # of the table's format


class Architecture(enum.StrEnum):
    """A CPU architecture, by its name in image platforms and in the node label `kubernetes.io/arch`."""

    AMD64 = "amd64"
    ARM64 = "arm64"


@dataclass(frozen=True)
class Accelerator:
    """What a class promises of the devices in one node: at least `count` devices of at least `memory_gib` each."""

    class_name: str
    memory_gib: float
    count: int


@dataclass(frozen=True)
class Actual:
    """What a node of a cloud's first type has, never less than the class promises.

    `accelerator_memory_gib` is of one device; 0 where the class has no accelerators.
    """

    vcpus: int
    memory_gib: float
    accelerators: int
    accelerator_memory_gib: float


@dataclass(frozen=True)
class Machine:
    """A class of machines: `vcpus` and `memory_gib` are of one node.

    They are the same on every cloud, but of a class with an accelerator they are what every cloud has at least.
    `types` maps every cloud to its instance types, the preferred one first; the others serve where spot capacity of the
    first is gone and the cloud can choose among several. A cloud without types does not have this class as far as is
    known. The other mappings have the clouds that they say something about: `actual` each cloud that has types,
    `products` each cloud whose devices have a name for people, `accelerator_types` each that wants a device named.
    """

    name: str
    vcpus: int
    memory_gib: float
    architecture: Architecture
    accelerator: Accelerator | None
    types: Mapping[Cloud, tuple[str, ...]]
    products: Mapping[Cloud, str]
    accelerator_types: Mapping[Cloud, str]
    actual: Mapping[Cloud, Actual]


def _accelerator(row: Mapping[str, Any]) -> Accelerator | None:
    found = row.get("accelerator")
    return Accelerator(found["class"], float(found["memory_gib"]), found["count"]) if found else None


def _actual(row: Mapping[str, Any], accelerator: Accelerator | None, found: Mapping[str, Any]) -> Actual:
    return Actual(
        vcpus=found.get("vcpus", row["vcpus"]),
        memory_gib=float(found.get("memory_gib", row["memory_gib"])),
        accelerators=found.get("accelerators", accelerator.count if accelerator else 0),
        accelerator_memory_gib=float(
            found.get("accelerator_memory_gib", accelerator.memory_gib if accelerator else 0),
        ),
    )


def _names(row: Mapping[str, Any], key: str) -> Mapping[Cloud, str]:
    return MappingProxyType({Cloud(cloud): name for cloud, name in row.get(key, {}).items()})


def _machine(name: str, row: Mapping[str, Any]) -> Machine:
    accelerator = _accelerator(row)
    types = {cloud: tuple(row["types"].get(cloud, [])) for cloud in Cloud}
    actual = row.get("actual", {})
    return Machine(
        name=name,
        vcpus=row["vcpus"],
        memory_gib=float(row["memory_gib"]),
        architecture=Architecture(row["architecture"]),
        accelerator=accelerator,
        types=MappingProxyType(types),
        products=_names(row, "products"),
        accelerator_types=_names(row, "accelerator_types"),
        actual=MappingProxyType(
            {cloud: _actual(row, accelerator, actual.get(cloud, {})) for cloud in Cloud if types[cloud]}
        ),
    )


def read(path: Path = DATA) -> dict[str, Machine]:
    """Read the machine classes, the smallest first; raises ValueError for a table of another format version."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if table["version"] != VERSION:
        raise ValueError(f"{path}: expected format version {VERSION}, found {table['version']}")
    machines = [_machine(name, row) for name, row in table["classes"].items()]
    return {one.name: one for one in sorted(machines, key=lambda one: (one.vcpus, one.memory_gib))}


MACHINES: Final[Mapping[str, Machine]] = MappingProxyType(read())
