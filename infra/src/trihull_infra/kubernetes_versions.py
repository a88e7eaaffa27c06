"""How long each cloud supports a minor version of Kubernetes, so that an environment hears of an end before it comes.

`data/kubernetes.toml` holds the dates with their sources. A cloud moves its dates: they warn, they decide nothing.
"""

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trihull_infra.cloud import Cloud

DATA: Final = Path(__file__).parent / "data" / "kubernetes.toml"
VERSION: Final = 1  # of the table's format


@dataclass(frozen=True)
class Support:
    """Until when a cloud supports a minor version; None where no source says.

    `standard_until` is the day on which standard support ends. `extended_until` is the day on which the support ends
    that a cluster must ask or pay for: extended support on EKS and GKE, long-term support on AKS.
    """

    standard_until: datetime.date | None
    extended_until: datetime.date | None


def _date(row: Mapping[str, str], key: str) -> datetime.date | None:
    return datetime.date.fromisoformat(row[key]) if key in row else None


def read(path: Path = DATA) -> dict[str, Mapping[Cloud, Support]]:
    """Read minor version (such as "1.34") -> cloud -> its support; raises ValueError for another format version."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if table["version"] != VERSION:
        raise ValueError(f"{path}: expected format version {VERSION}, found {table['version']}")
    return {
        version: MappingProxyType(
            {
                Cloud(cloud): Support(_date(row, "standard_until"), _date(row, "extended_until"))
                for cloud, row in clouds.items()
            }
        )
        for version, clouds in table["versions"].items()
    }


VERSIONS: Final[Mapping[str, Mapping[Cloud, Support]]] = MappingProxyType(read())


def support(version: str) -> Mapping[Cloud, Support]:
    """Return the support of a minor version by the clouds of which it is known; none for an unknown version."""
    return VERSIONS.get(version, MappingProxyType({}))
