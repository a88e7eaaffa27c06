"""Which packages an image's files say are installed, and how large they are: pure functions over its merged layers.

Python packages are known by their `.dist-info` folders (PyPA, recording installed projects), Debian's by dpkg's status
(`status.d` in images without dpkg). A Python package's size is that of its files: those in its RECORD, or, where that
was left out as in our own images, those whose top-level name is the package's. Debian states its own size.
"""

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trihull_packaging.inspecting.facts import InstalledPackage
from trihull_packaging.inspecting.layers import File

SHELLS: Final = ("sh", "bash", "dash", "ash", "zsh", "ksh", "busybox")
SHELL_FOLDERS: Final = ("bin", "usr/bin", "usr/local/bin", "sbin", "usr/sbin")
LIBRARIES: Final = ".libs"  # auditwheel's folder beside the package


def shells(files: Mapping[str, File]) -> tuple[str, ...]:
    """Return the paths of the shells among an image's files."""
    found = (f"{folder}/{name}" for folder in SHELL_FOLDERS for name in SHELLS)
    return tuple(f"/{path}" for path in found if path in files)


def packages(files: Mapping[str, File], texts: Mapping[str, bytes]) -> tuple[InstalledPackage, ...]:
    """Return the packages that are installed, by kind and name."""
    found = [*_debian(texts), *_python(files, texts)]
    return tuple(sorted(found, key=lambda one: (one.kind, one.name, one.version)))


def _debian(texts: Mapping[str, bytes]) -> Iterable[InstalledPackage]:
    for name, text in texts.items():
        if name == "var/lib/dpkg/status" or name.startswith("var/lib/dpkg/status.d/"):
            for paragraph in re.split(r"\n\s*\n", text.decode("utf-8", "replace")):
                fields = _fields(paragraph)
                if "package" in fields and "version" in fields and "deinstall" not in fields.get("status", ""):
                    size = fields.get("installed-size", "")
                    size_bytes = int(size) * 1024 if re.fullmatch(r"[0-9]{1,12}", size) else None
                    yield InstalledPackage("deb", fields["package"], fields["version"], size_bytes)


@dataclass(frozen=True)
class _Distribution:
    """A Python package: where it lies, its folder of metadata, its name and its version."""

    folder: str
    info: str
    name: str
    version: str


def _python(files: Mapping[str, File], texts: Mapping[str, bytes]) -> Iterable[InstalledPackage]:
    distributions = list(_distributions(texts))
    owners = {path: place for place, one in enumerate(distributions) for path in _owned(one, texts)}
    folders = {one.folder for one in distributions}
    sizes: defaultdict[int, int] = defaultdict(int)
    known: set[int] = set()  # a namespace's package (protobuf lies in `google`) is not found by its name
    for path, file in files.items():
        top = _top(path, folders)
        owner = owners.get(path, None if top is None else _owner_of_top(top, owners))
        if owner is not None:
            sizes[owner] += file.size_bytes
            if top != distributions[owner].info:
                known.add(owner)
    for place, one in enumerate(distributions):
        yield InstalledPackage("pypi", one.name, one.version, sizes[place] if place in known else None)


def _distributions(texts: Mapping[str, bytes]) -> Iterable[_Distribution]:
    for path, text in texts.items():
        info, file = posixpath.split(path)
        if file == "METADATA":
            fields = _fields(text.decode("utf-8", "replace").partition("\n\n")[0])
            if "name" in fields and "version" in fields:
                yield _Distribution(posixpath.dirname(info), info, fields["name"], fields["version"])


def _owned(one: _Distribution, texts: Mapping[str, bytes]) -> Iterable[str]:
    """Yield what belongs to a distribution: the files of its RECORD, else the names that are likely its own."""
    yield one.info
    record = texts.get(f"{one.info}/RECORD")
    if record is not None:
        for row in csv.reader(record.decode("utf-8", "replace").splitlines()):
            if row:
                yield posixpath.normpath(posixpath.join(one.folder, row[0]))
        return
    stated = texts.get(f"{one.info}/top_level.txt", b"").decode("utf-8", "replace").split()
    for name in {normalized(one.name), *stated}:
        yield posixpath.join(one.folder, name)


def _top(path: str, folders: Container[str]) -> str | None:
    """Return the top-level name that a file lies under, in the folder of packages that holds it."""
    while path:
        folder = posixpath.dirname(path)
        if folder in folders:
            return path
        path = folder
    return None


def _owner_of_top(top: str, owners: Mapping[str, int]) -> int | None:
    if top in owners:
        return owners[top]
    folder, name = posixpath.split(top)
    stem = normalized(name.removesuffix(LIBRARIES).partition(".")[0])
    return owners.get(posixpath.join(folder, stem))


def normalized(name: str) -> str:
    """Return a Python package's name as its folders spell it (PyPA, name normalization; `_` for `-`)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _fields(paragraph: str) -> dict[str, str]:
    """Return the fields of an RFC 822 paragraph by lower-case name; continued lines are left out."""
    fields: dict[str, str] = {}
    for line in paragraph.splitlines():
        name, colon, value = line.partition(":")
        if colon and name and not line[0].isspace():
            fields.setdefault(name.lower(), value.strip())
    return fields
