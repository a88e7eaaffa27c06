"""The lock: read and checked, or resolved anew. What a build takes afterwards comes from here and from nowhere else."""

import platform as machine
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trihull_packaging import bases, closures, lock
from trihull_packaging.base import debian
from trihull_packaging.base.image import Base
from trihull_packaging.closures import Part
from trihull_packaging.errors import LockError, StepError
from trihull_packaging.lock import Lock, LockedPackage, LockedPlatform, Training
from trihull_packaging.spec import BudgetSpec, ImageSpec, ModelSpec

if TYPE_CHECKING:
    from trihull_packaging.wheels import Resolved


@dataclass(frozen=True)
class Request:
    """What an image is to be made of, as people asked for it.

    Attributes:
        part: whose closure goes into it.
        image: platforms, packages, budgets.
        base: reference of a given base, None for packages of the distribution.
        folder: what a relative base is relative to.
        spec: of the model, None for the router.
        model: its folder.
        source: what errors call the lock.
        again: the command that makes the lock anew.
    """

    part: Part
    image: ImageSpec
    base: str | None
    folder: Path
    spec: ModelSpec | None
    model: Path
    source: str
    again: str

    def inputs(self) -> dict[str, str]:
        """Return what the lock depends on, as `lock.inputs` does."""
        return lock.inputs(self.part, self.base, self.spec, self.model)


def read(request: Request, path: Path) -> Lock:
    """Read a lock that is up to date.

    Raises:
        LockError: it is stale. ContractError: it is no lock.
    """
    found = Lock.read(path)
    lock.check(found, request.inputs(), request.source, request.again)
    return found


def resolve(request: Request, folder: Path) -> Lock:
    """Resolve everything anew; `folder` is to write to.

    Raises:
        ToolError: the archive or the index cannot be reached, or has no package that fits.
        StepError: the wheels are larger than the image may be; the largest are named.
    """
    from trihull_packaging import wheels  # slow to load: most builds find a lock

    inputs = request.inputs()
    found = bases.newest(request.base, request.image.platforms, request.folder)
    version = next(iter(found.values())).python_version
    wanted = wheels.Wanted(closures.read(request.part), tuple(request.image.packages), request.image.gpu)

    def resolved(platform: str) -> "Resolved":
        place = folder / platform.replace("/", "-")
        place.mkdir()
        return wheels.resolve(wanted, version, platform.partition("/")[2], place)

    with ThreadPoolExecutor() as pool:
        chosen = dict(zip(found, pool.map(resolved, found), strict=True))
    if not request.image.gpu:
        check_sizes(chosen, request.image.budgets_mb)
    return Lock(
        version=Lock.CURRENT,
        inputs=inputs,
        base=request.base or debian.origin(),
        python=version,
        compressor=lock.compressor(),
        substitutions={name: other for one in chosen.values() for name, other in one.substitutions.items()},
        training=Training(machine.python_version()) if request.spec is not None else None,
        platforms={platform: _platform(found[platform], chosen[platform]) for platform in found},
    )


def check_sizes(chosen: "Mapping[str, Resolved]", budgets: BudgetSpec) -> None:
    """Raise `StepError` when wheels alone are beyond the dependencies' budget: before anything is downloaded."""
    for platform, resolved in sorted(chosen.items()):
        size = sum(wheel.size_bytes or 0 for wheel in resolved.wheels)
        if size > budgets.dependencies * 10**6:
            largest = sorted(resolved.wheels, key=lambda wheel: -(wheel.size_bytes or 0))[:5]
            named = ", ".join(
                f"{wheel.name} {wheel.version} ({(wheel.size_bytes or 0) / 1e6:.0f} MB)" for wheel in largest
            )
            raise StepError(
                f"{platform}: the wheels have {size / 1e6:.0f} MB, image.budgets_mb.dependencies is"
                f" {budgets.dependencies}; largest: {named}"
            )


def missing(request: Request) -> LockError:
    """Return the error of a lock that is not there and may not be made."""
    return LockError(f"{request.source}: is not there; run `{request.again}`")


def _platform(base: Base, resolved: "Resolved") -> LockedPlatform:
    packages = tuple(
        LockedPackage(package.name, package.version, package.sha256)
        for package in base.packages
        if package.kind == "deb" and package.sha256
    )
    return LockedPlatform(base.diff_ids, packages, resolved.wheels)
