"""Which regions each cloud has, so that a mistyped one is refused before anything is made (`data/regions.toml`)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trihull_infra.cloud import Cloud

DATA: Final = Path(__file__).parent / "data" / "regions.toml"
VERSION: Final = 1  # of the table's format


def read(path: Path = DATA) -> dict[Cloud, tuple[str, ...]]:
    """Read cloud -> its regions, sorted; raises ValueError for another format version."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if table["version"] != VERSION:
        raise ValueError(f"{path}: expected format version {VERSION}, found {table['version']}")
    return {Cloud(cloud): tuple(sorted(regions)) for cloud, regions in table["regions"].items()}


REGIONS: Final[Mapping[Cloud, tuple[str, ...]]] = MappingProxyType(read())
