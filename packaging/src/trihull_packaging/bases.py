"""The bases of an image's architectures: this machine's first, since its Python makes the bytecode of the others."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trihull_packaging.base import apt, debian, given, interpreter
from trihull_packaging.base.image import Base
from trihull_packaging.base.interpreter import Interpreter
from trihull_packaging.errors import LockError, StepError
from trihull_packaging.lock import Lock
from trihull_packaging.steps.layers import joined
from trihull_runtime.artifacts.registry.layout import host_platform


def check(reference: str | None, platforms: Sequence[str], folder: Path) -> None:
    """Raise before the long work what would stop the base afterwards: a wrong reference, no package archive."""
    if reference is None:
        apt.machine_sources()
        return
    for platform in platforms:
        given.check(reference, _architecture(platform), folder)


def newest(reference: str | None, platforms: Sequence[str], folder: Path) -> dict[str, Base]:
    """Return platform -> its base as it is now; errors as `debian.newest` and `given.given_base` have them.

    Args:
        reference: of the given base, None for packages of the distribution.
        platforms: `linux/amd64` and the like.
        folder: what a relative path in the reference is relative to.
    """

    def make(platform: str, compiler: Interpreter | None) -> Base:
        if reference is not None:
            return given.given_base(reference, _architecture(platform), folder, compiler)
        return debian.newest(_architecture(platform), compiler)

    return _each(platforms, make)


def locked(lock: Lock, reference: str | None, folder: Path, source: str) -> dict[str, Base]:
    """Return platform -> the base that a lock names.

    Args:
        lock: a checked one.
        reference: as of `newest`.
        folder: as of `newest`.
        source: what errors call the lock.

    Raises:
        LockError: the base cannot be had any more, or comes out differently.
    """

    def make(platform: str, compiler: Interpreter | None) -> Base:
        wanted = lock.platforms[platform]
        architecture = _architecture(platform)
        if reference is not None:
            found = given.given_base(reference, architecture, folder, compiler)
        else:
            found = debian.locked(architecture, compiler, wanted.base_packages, lock.base, source)
        if found.diff_ids != wanted.base_diff_ids:
            raise LockError(
                f"{source}: the base for {platform} comes out as {joined(found.diff_ids)}, not as the"
                f" {joined(wanted.base_diff_ids)} that it names: this trihull makes it in another way; make a new lock,"
                " or use the trihull that made this one"
            )
        return found

    return _each(tuple(lock.platforms), make)


def _each(platforms: Sequence[str], make: Callable[[str, Interpreter | None], Base]) -> dict[str, Base]:
    host = host_platform()
    result: dict[str, Base] = {}
    for platform in sorted(platforms, key=lambda name: (name != host, name)):
        own = result[host].compiler if host in result else interpreter.of_this_process()
        result[platform] = make(platform, None if platform == host else own)
    versions = {base.python_version for base in result.values()}
    if len(versions) > 1:
        found = ", ".join(f"{platform} has {base.python_version}" for platform, base in sorted(result.items()))
        raise StepError(f"one image needs one Python, and the base's architectures have different ones: {found}")
    return dict(sorted(result.items()))


def _architecture(platform: str) -> str:
    return platform.partition("/")[2]
