"""How long each cloud supports a minor version of Kubernetes, so that an environment hears of an end before it comes.

`data/kubernetes.toml` holds the dates with their sources. A cloud moves its dates: they warn, and choose what a new
environment begins with; what is refused is a version that the table does not have.
"""

import datetime
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trihull_infra.cloud import Cloud

DATA: Final = Path(__file__).parent / "data" / "kubernetes.toml"
IMAGES: Final = DATA.with_name("images.toml")
VERSION: Final = 1  # of the table's format
LEFT_DAYS: Final = (
    90  # of standard support: what a new environment, and every one that ships with trihull, has at least
)


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


CLOUDS: Final = frozenset(cloud for clouds in VERSIONS.values() for cloud in clouds)  # that the table is about


def ordered(versions: Sequence[str]) -> list[str]:
    """Return minor versions, the oldest first: 1.9 before 1.10."""
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".")])


def offered(clouds: Sequence[Cloud]) -> list[str]:
    """Return the versions that each of some clouds offers, the oldest first; clouds without a table do not count."""
    wanted = CLOUDS & set(clouds)
    return ordered([version for version, known in VERSIONS.items() if wanted <= known.keys()])


def newest(cloud: Cloud) -> str:
    """Return the newest version that a cloud of the table offers."""
    return offered([cloud])[-1]


def default(clouds: Sequence[Cloud], today: datetime.date) -> str:
    """Return the version that a new environment begins with.

    It is the newest that each of the clouds offers with LEFT_DAYS of standard support left, and whose agents have
    images (data/images.toml); of clouds that the table does not know (a cluster of one's own) the newest that all of
    the others offer. Where the table has grown too old to have one, it is the newest offered.

    Args:
        clouds: of the environment.
        today: from when on days are counted.
    """
    wanted = (CLOUDS & set(clouds)) or CLOUDS
    agents = [one for one in tomllib.loads(IMAGES.read_text(encoding="utf-8")).values() if isinstance(one, dict)]
    candidates = [version for version in offered(sorted(wanted)) if all(version in images for images in agents)]
    lasting = [version for version in candidates if days_left(version, sorted(wanted), today) >= LEFT_DAYS]
    return (lasting or candidates)[-1]


def days_left(version: str, clouds: Sequence[Cloud], today: datetime.date) -> int:
    """Return the days of standard support that a version has on each of some clouds at least; 0 where none is known."""
    ends = [VERSIONS.get(version, {}).get(cloud, Support(None, None)).standard_until for cloud in clouds]
    return min((0 if end is None else (end - today).days for end in ends), default=0)


def support(version: str) -> Mapping[Cloud, Support]:
    """Return the support of a minor version by the clouds of which it is known; none for an unknown version."""
    return VERSIONS.get(version, MappingProxyType({}))
