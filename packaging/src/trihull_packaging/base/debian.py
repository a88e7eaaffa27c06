"""A base from Debian packages: made without root, Docker or an emulated CPU, from the machine's own archive."""

import json
from pathlib import Path
from typing import Final

from trihull_packaging import cache
from trihull_packaging.base import apt, interpreter, merging, sources
from trihull_packaging.base.image import Base
from trihull_packaging.oci import layers, tars
from trihull_runtime.contract.codec import write_file
from trihull_runtime.paths import cache_home

WANTED: Final = (
    "base-files", "ca-certificates", "libc-bin", "libpython3-stdlib", "libstdc++6", "netbase",
    "python3-minimal", "tzdata",
)  # fmt: skip
# Needed by maintainer scripts and by dpkg, which do not run here. A name that a release does not have harms nothing.
NOT_NEEDED: Final = frozenset({
    "debconf", "dpkg", "libacl1", "libdebconfclient0", "libmd0", "libpcre2-8-0", "libselinux1", "mawk", "openssl",
    "original-awk", "readline-common", "tar",
})  # fmt: skip


def debian_base(architecture: str, *, refresh: bool = False) -> Base:
    """Return the base of the machine's own distribution, made now unless it is in the cache.

    Args:
        architecture: `amd64` or `arm64`.
        refresh: ask the archive again which versions are current, although a base is there.

    Raises:
        ToolError: apt is not here, the archive cannot be reached or its signature is wrong.
    """
    archives = apt.machine_sources()
    recipe = cache.source_key(
        *(str(module.__file__) for module in (apt, interpreter, merging, sources, tars)), __file__
    )
    inputs = cache.key(recipe, architecture, [source.line() for source in archives])
    pointer = cache_home() / "packaging" / "bases" / f"current-{inputs}.json"
    with cache.locked(pointer):
        name = None if refresh else _current(pointer)
        if name is None or not (pointer.parent / name).is_dir():
            scratch = pointer.parent / f".apt-{inputs}.partial"
            cache.remove(scratch)  # left by a build that was killed
            try:
                name = _make(scratch, archives, architecture, recipe)
            finally:
                cache.remove(scratch)
            write_file(pointer, json.dumps({"base": name}).encode())
    folder = pointer.parent / name
    layer = layers.read_layer(folder)
    if layer is None:
        cache.remove(folder)  # damaged: made again from the archive
        return debian_base(architecture)
    version = interpreter.find_python(folder / "root")
    return Base((layer,), folder / "root", version, architecture, "packages of the machine's distribution")


def _current(pointer: Path) -> str | None:
    try:
        name = json.loads(pointer.read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def _make(scratch: Path, archives: tuple[sources.Source, ...], architecture: str, recipe: str) -> str:
    machine = apt.Apt(scratch, archives, architecture)
    machine.update()
    packages = tuple(package for package in machine.resolve(WANTED) if package.name not in NOT_NEEDED)
    name = cache.key(recipe, architecture, [[package.name, package.sha256] for package in packages])

    def make(folder: Path) -> None:
        root = folder / "root"
        root.mkdir()
        merging.merge(packages, machine.download(packages), root)
        python = f"/usr/lib/python{interpreter.find_python(root)}"
        interpreter.compile_folder(root, root / python.lstrip("/"), python)
        layers.write_layer(tars.entries_of(root, ""), folder, f"base: {len(packages)} packages of the distribution")

    cache.made_once("bases", name, make)
    return name
