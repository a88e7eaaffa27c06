"""A base from Debian packages: made without root, Docker or an emulated CPU, from the machine's own archive."""

import contextlib
import functools
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from trihull_packaging import cache
from trihull_packaging.base import apt, interpreter, merging, sources
from trihull_packaging.base.image import Base
from trihull_packaging.base.interpreter import Interpreter
from trihull_packaging.contents import Package
from trihull_packaging.errors import LockError
from trihull_packaging.lock import LockedPackage
from trihull_packaging.oci import layers, tars

WANTED: Final = (
    "base-files", "ca-certificates", "libc-bin", "libpython3-stdlib", "libstdc++6", "netbase",
    "python3-minimal", "tzdata",
)  # fmt: skip
# Needed by maintainer scripts and by dpkg, which do not run here. A name that a release does not have harms nothing.
NOT_NEEDED: Final = frozenset({
    "debconf", "dpkg", "libacl1", "libdebconfclient0", "libmd0", "libpcre2-8-0", "libselinux1", "mawk", "openssl",
    "original-awk", "readline-common", "tar",
})  # fmt: skip


def origin() -> str:
    """Return whose packages a base of this machine is made of, as locks say it: `debian bookworm`."""
    release = platform.freedesktop_os_release()
    return f"{release.get('ID', 'linux')} {release.get('VERSION_CODENAME', '')}".strip()


def newest(architecture: str, compiler: Interpreter | None) -> Base:
    """Return a base of the versions that the archive has now.

    Args:
        architecture: `amd64` or `arm64`.
        compiler: makes the bytecode; None when the base's own Python runs here.

    Raises:
        ToolError: apt is not here, the archive cannot be reached or its signature is wrong.
    """
    with _machine(architecture) as machine:
        machine.update()
        packages = tuple(package for package in machine.resolve(WANTED) if package.name not in NOT_NEEDED)
        locked = tuple(LockedPackage(package.name, package.version, package.sha256) for package in packages)
        return _base(architecture, locked, compiler, lambda folder: _fill(machine, packages, compiler, folder))


def locked(
    architecture: str, compiler: Interpreter | None, packages: tuple[LockedPackage, ...], made_of: str, source: str
) -> Base:
    """Return the base of exactly these packages, from the cache or from the archive.

    Args:
        architecture: `amd64` or `arm64`.
        compiler: as of `newest`.
        packages: by name, as a lock has them.
        made_of: `origin` of when the lock was made.
        source: what errors call the lock.

    Raises:
        LockError: the archive no longer has them, or this machine's is another distribution's.
        ToolError: as of `newest`.
    """

    def make(folder: Path) -> None:
        if made_of != origin():
            raise LockError(
                f"{source}: its base is made of packages of {made_of}, and this machine's archive is {origin()}'s:"
                " build there, put the base into a registry and name it as `base`, or make a new lock"
            )
        with _machine(architecture) as machine:
            machine.update()
            wanted = [(package.name, package.version) for package in packages]
            found = {(package.name, package.version): package for package in machine.show(wanted)}
            gone = [
                f"{package.name} {package.version}"
                for package in packages
                if package.sha256 != getattr(found.get((package.name, package.version)), "sha256", None)
            ]
            if gone:
                raise LockError(
                    f"{source}: the archive of {made_of} no longer has {', '.join(gone)}; make a new lock, or keep"
                    " bases in a registry, which forgets nothing (`base` in model.yaml)"
                )
            _fill(machine, tuple(found[entry] for entry in wanted), compiler, folder)

    return _base(architecture, packages, compiler, make)


def _base(
    architecture: str,
    packages: tuple[LockedPackage, ...],
    compiler: Interpreter | None,
    make: Callable[[Path], None],
) -> Base:
    made_by = list(compiler.key) if compiler is not None else []
    name = cache.key(_recipe(), architecture, made_by, [[package.name, package.sha256] for package in packages])
    folder = cache.made_once("bases", name, make)
    layer = layers.read_layer(folder)
    if layer is None:  # damaged: made again
        cache.discard(folder)
        folder = cache.made_once("bases", name, make)
        layer = layers.read_layer(folder)
        assert layer is not None, f"{folder}: a base just made cannot be read"
    root = folder / "root"
    own = compiler or interpreter.of_root(root, (layer.diff_id,))
    return Base((layer,), root, interpreter.find_python(root), architecture, origin(), own)


@functools.cache  # of this process's own code
def _recipe() -> str:
    return cache.source_key(
        *(str(module.__file__) for module in (apt, interpreter, layers, merging, sources, tars)), __file__
    )


@contextlib.contextmanager
def _machine(architecture: str) -> Iterator[apt.Apt]:
    """Give an apt in a folder of its own, which is removed afterwards."""
    archives = apt.machine_sources()
    with cache.scratch("apt") as folder:
        yield apt.Apt(folder, archives, architecture)


def _fill(machine: apt.Apt, packages: tuple[apt.Package, ...], compiler: Interpreter | None, folder: Path) -> None:
    root = folder / "root"
    root.mkdir()
    sizes = merging.merge(packages, machine.download(packages), root)
    library = f"/usr/lib/python{interpreter.find_python(root)}"
    python = compiler or interpreter.of_root(root, ())
    interpreter.check_fits(python, root)
    interpreter.compile_folder(python, root / library.lstrip("/"), library)
    contents = tuple(
        Package("deb", package.name, package.version, package.sha256, sizes[package.name]) for package in packages
    )
    layers.write_layer(
        tars.entries_of(root, ""), folder, f"base: {len(packages)} packages of {origin()}", contents, tars.SMALL
    )
