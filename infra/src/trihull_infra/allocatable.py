"""What a machine has for pods: its size less what a node keeps for itself (`data/reserves.toml`).

A pod that asks for more is scheduled nowhere and waits for ever; an environment that asks for one is refused.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trihull_infra.cloud import Cloud
from trihull_infra.machines import Actual

DATA: Final = Path(__file__).parent / "data" / "reserves.toml"
VERSION: Final = 1  # of the table's format
MIB_PER_GIB: Final = 1024


@dataclass(frozen=True)
class Reserve:
    """What a node of a cloud keeps; `data/reserves.toml` explains the parts."""

    cpu_millicores: tuple[tuple[int, int], ...]
    memory_mib: int
    eviction_mib: int
    memory_shares: tuple[tuple[int, float], ...] = ()
    memory_share_max: float = 1.0

    def cpu(self, vcpus: int) -> int:
        """Return the millicores that a node with so many vCPUs keeps."""
        return max((millicores for least, millicores in self.cpu_millicores if vcpus >= least), default=0)

    def memory(self, memory_gib: float) -> float:
        """Return the MiB that a node with so much memory keeps."""
        kept, left_gib = float(self.memory_mib), memory_gib
        for band_gib, share in self.memory_shares:
            kept += min(band_gib, left_gib) * share * MIB_PER_GIB
            left_gib = max(left_gib - band_gib, 0)
        return min(kept, self.memory_share_max * memory_gib * MIB_PER_GIB) + self.eviction_mib


@dataclass(frozen=True)
class Allocatable:
    """What pods of one node may ask for together."""

    cpu_millicores: int
    memory_mib: int
    accelerators: int


def read(path: Path = DATA) -> dict[Cloud, Reserve]:
    """Read cloud -> what its nodes keep; raises ValueError for another format version."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if table["version"] != VERSION:
        raise ValueError(f"{path}: expected format version {VERSION}, found {table['version']}")
    return {
        Cloud(cloud): Reserve(
            cpu_millicores=tuple((least, kept) for least, kept in row["cpu_millicores"]),
            memory_mib=row["memory_mib"],
            eviction_mib=row["eviction_mib"],
            memory_shares=tuple((gib, share) for gib, share in row.get("memory_shares", [])),
            memory_share_max=row.get("memory_share_max", 1.0),
        )
        for cloud, row in table["reserves"].items()
    }


RESERVES: Final[Mapping[Cloud, Reserve]] = MappingProxyType(read())


def of(cloud: Cloud, machine: Actual) -> Allocatable:
    """Return what pods of a node may ask for; all of the machine on a cloud of which no reserve is known."""
    reserve = RESERVES.get(cloud, Reserve((), 0, 0))
    return Allocatable(
        cpu_millicores=machine.vcpus * 1000 - reserve.cpu(machine.vcpus),
        memory_mib=int(machine.memory_gib * MIB_PER_GIB - reserve.memory(machine.memory_gib)),
        accelerators=machine.accelerators,
    )


def millicores(cpu: str) -> int:
    """Return a CPU request such as `250m` or `2` in millicores."""
    return int(cpu.removesuffix("m")) if cpu.endswith("m") else int(cpu) * 1000


def mebibytes(memory: str) -> int:
    """Return a memory request such as `512Mi` or `2Gi` in MiB; raises ValueError for another form."""
    match = re.fullmatch(r"([0-9]+)(Mi|Gi)", memory)
    if match is None:
        raise ValueError(f"expected memory such as 512Mi or 2Gi, found {memory}")
    return int(match[1]) * (MIB_PER_GIB if match[2] == "Gi" else 1)
