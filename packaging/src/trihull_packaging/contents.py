"""What is in a layer: the packages that bills of materials, budgets and `trihull inspect` speak of."""

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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


def installed(folder: Path) -> dict[str, tuple[str, set[str]]]:
    """Return distribution -> its version and files, of a folder that an installer just filled.

    Names are as wheels spell them, normalised (PEP 503); files are relative to `folder`, as RECORD has them (PEP 376).
    """
    from packaging.utils import canonicalize_name  # slow to load: most builds find their layers made

    result: dict[str, tuple[str, set[str]]] = {}
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        name, _, version = record.parent.name.removesuffix(".dist-info").rpartition("-")
        with record.open(encoding="utf-8", newline="") as lines:
            result[canonicalize_name(name)] = (version, {row[0] for row in csv.reader(lines) if row})
    return result


def sizes(folder: Path, files: Mapping[str, tuple[str, set[str]]]) -> dict[str, int]:
    """Return distribution -> bytes of its files that are still in `folder`, their bytecode included."""
    owners = {name: owner for owner, (_, names) in files.items() for name in names}
    result = dict.fromkeys(files, 0)
    for top, _, names in os.walk(folder):
        place = Path(top).relative_to(folder)
        compiled = place.name == "__pycache__"
        for name in names:
            # `x.cpython-311.pyc` belongs to whom `x.py` belongs to.
            source = place.parent / f"{name.partition('.')[0]}.py" if compiled else place / name
            owner = owners.get(source.as_posix())
            if owner is not None and not (path := Path(top, name)).is_symlink():
                result[owner] += path.stat().st_size
    return result


def recorded(root: Path) -> tuple[Package, ...]:
    """Return the Debian packages that an unpacked root says it holds; empty when it says nothing.

    Sizes are `Installed-Size` (deb-control(5), in KiB), which is dpkg's estimate; digests are not recorded.
    """
    folder = root / "var/lib/dpkg"
    files = [folder / "status", *sorted((folder / "status.d").glob("*"))]
    result = set()
    for path in files:
        if path.is_file() and not path.is_symlink() and not path.name.endswith(".md5sums"):
            for paragraph in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
                fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
                if "Package" in fields and "Version" in fields:
                    size = fields.get("Installed-Size", "0")
                    kib = int(size) if size.isdecimal() else 0
                    result.add(Package("deb", fields["Package"], fields["Version"], "", kib << 10))
    return tuple(sorted(result, key=lambda package: package.name))
