"""`model.lock`: what an image is made of, resolved once. A build takes exactly that, or stops and says why it cannot.

It pins the base (its layers, and the packages they come from), every wheel of every architecture by its hash, the
Python that trains, and the compressor, whose version decides the layers' digests. `inputs` tells when it is stale.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import zlib_ng

from trihull_packaging import closures
from trihull_packaging.errors import LockError
from trihull_runtime.contract.codec import Digest, Document, Pattern, Range

if TYPE_CHECKING:
    from trihull_packaging.spec import ModelSpec

FILE: Final = "model.lock"
PACKAGES: Final = "packages of the distribution"  # the base that is made when none is given

Sha256 = Annotated[str, Pattern(r"[0-9a-f]{64}")]
Text = Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9.+~:_!\-]*")]  # names and versions of packages, never an option
Platform = Annotated[str, Pattern(r"linux/(amd64|arm64)")]


@dataclass(frozen=True)
class LockedPackage:
    """A package of the base: `sha256` is its file's, as the archive's signed index names it."""

    name: Text
    version: Text
    sha256: Sha256


@dataclass(frozen=True)
class LockedWheel:
    """A wheel; `size_bytes` of its file, None where the index does not tell."""

    name: Text
    version: Text
    file: Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9.+_!\-]*\.whl")]
    sha256: Sha256
    size_bytes: Annotated[int, Range(minimum=0)] | None


@dataclass(frozen=True)
class LockedPlatform:
    """One architecture: the digests of the base's uncompressed layers, the base's packages, the wheels."""

    base_diff_ids: tuple[Digest, ...]
    base_packages: tuple[LockedPackage, ...]
    wheels: tuple[LockedWheel, ...]


@dataclass(frozen=True)
class Training:
    """The Python that trains and converts, as `3.11.7`: another one may give other bytes."""

    python: Annotated[str, Pattern(r"3\.\d+\.\d+")]


@dataclass(frozen=True)
class Lock(Document):
    """All of a `model.lock`.

    Attributes:
        version: of the format.
        inputs: what it was resolved from -> a digest of that.
        base: the reference of the given base, or whose packages it is made of (`debian bookworm`).
        python: the image's Python, as `3.11`.
        compressor: name and version.
        substitutions: package that was asked for -> what is installed instead.
        training: None for an image without a model.
        platforms: `linux/amd64` and the like.
    """

    version: int
    inputs: Mapping[str, Digest]
    base: str
    python: Annotated[str, Pattern(r"3\.\d+")]
    compressor: str
    substitutions: Mapping[str, str]
    training: Training | None
    platforms: Mapping[Platform, LockedPlatform]

    def to_json(self) -> str:
        """Return the document, written once."""
        return self._text

    @functools.cached_property
    def _text(self) -> str:
        return super().to_json()

    def digest(self) -> str:
        """Return the digest of the document, which evidence names."""
        return _digest(self.to_json())


def requirements(wheels: Sequence[LockedWheel]) -> str:
    """Return requirements that let an installer take exactly these files."""
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)


def compressor() -> str:
    """Return the compressor of this trihull, as locks name it."""
    return f"zlib-ng {zlib_ng.__version__}"


def inputs(
    part: closures.Part, base: str | None, spec: "ModelSpec | None" = None, folder: Path = Path()
) -> dict[str, str]:
    """Return what a lock depends on -> its digest.

    Args:
        part: whose closure goes into the image.
        base: the given base's reference, None for packages of the distribution.
        spec: of the model, None for the router.
        folder: the model's.
    """
    result = {
        "the base": _digest(base or PACKAGES),
        f"the closure of trihull-runtime[{part}]": _digest(closures.read(part)),
    }
    if spec is not None:
        image = {"platforms": sorted(spec.image.platforms), "packages": spec.image.packages, "gpu": spec.image.gpu}
        result["image of model.yaml"] = _digest(image)
        result[spec.requirements] = _digest((folder / spec.requirements).read_text(encoding="utf-8"))
    return result


def check(lock: Lock, wanted: Mapping[str, str], source: Path | str, again: str) -> None:
    """Raise unless a lock is up to date.

    Args:
        lock: as it was read.
        wanted: `inputs` of now.
        source: what errors call the lock.
        again: the command that makes it anew.

    Raises:
        LockError: names what has changed since the lock was made.
    """
    changed = [name for name in sorted({*wanted, *lock.inputs}) if wanted.get(name) != lock.inputs.get(name)]
    if changed:
        raise LockError(f"{source}: is stale: since it was made, {' and '.join(changed)} changed; run `{again}`")
    if lock.compressor != compressor():
        raise LockError(
            f"{source}: its layers are compressed by {lock.compressor}, and this trihull has {compressor()}, whose"
            f" bytes may differ; install that version, or run `{again}`"
        )


def _digest(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
