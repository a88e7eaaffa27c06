"""Provenance: what an image was made of, and by what. Source: SLSA provenance v1.

There is no time and no name of a machine in it: the image is the same wherever it is built from the same lock, and so
is this.
"""

import re
from pathlib import Path
from typing import Any, Final

from trihull_packaging import spec as model_spec
from trihull_packaging.evidence import purls
from trihull_packaging.evidence.subject import RouterSubject, Subject
from trihull_packaging.lock import Lock
from trihull_packaging.spec import ModelSpec
from trihull_runtime.artifacts.evidence.predicates import BUILD_TYPE, LOCK
from trihull_runtime.artifacts.registry.blobs import file_digest
from trihull_runtime.contract.codec import DIGEST

BUILDER: Final = "https://trihull.dev/packaging"
DISTRIBUTIONS: Final = ("debian", "ubuntu")


def document(subject: Subject | RouterSubject) -> dict[str, Any]:
    """Return the predicate."""
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "name": subject.name,
                "version": subject.image_version,
                "platforms": sorted(subject.platforms),
            },
            "resolvedDependencies": [
                {"name": LOCK, "digest": _digest(subject.lock_digest)},
                *({"uri": uri, "digest": _digest(digest)} for uri, digest in sorted(subject.materials.items())),
            ],
        },
        "runDetails": {"builder": {"id": BUILDER, "version": {"trihull-packaging": subject.version}}},
    }


def materials(lock: Lock, spec: ModelSpec, folder: Path) -> dict[str, str]:
    """Return URI -> digest of what a model's image is made of: the model's own files, and what the lock names.

    Args:
        lock: that the image is built from.
        spec: of the model.
        folder: the model's; of the files in it, those that `model.yaml` names.
    """
    names = (model_spec.FILE, spec.requirements, spec.train.script)
    return {**{f"file:{name}": file_digest(folder / name) for name in names}, **locked_materials(lock)}


def locked_materials(lock: Lock) -> dict[str, str]:
    """Return URI -> digest of what a lock names: the base, its packages, the wheels."""
    result = _base(lock.base)
    for platform, locked in lock.platforms.items():
        architecture = platform.partition("/")[2]
        for package in locked.base_packages:
            purl = purls.deb(package.name, package.version, distribution(lock), architecture)
            result[purl] = f"sha256:{package.sha256}"
        for wheel in locked.wheels:
            result[purls.pypi(wheel.name, wheel.version, {"file_name": wheel.file})] = f"sha256:{wheel.sha256}"
    return result


def distribution(lock: Lock) -> str:
    """Return whose Debian packages a lock's base holds, as package URLs name it."""
    first = lock.base.partition(" ")[0]
    return first if first in DISTRIBUTIONS else DISTRIBUTIONS[0]


def _base(reference: str) -> dict[str, str]:
    """Return a base that was given; where a layout of it lies on this machine says nothing elsewhere."""
    place, _, digest = reference.rpartition("@")
    if re.fullmatch(DIGEST, digest) is None:
        return {}
    if "://" in place:
        return {purls.oci("base", digest, {}): digest}
    return {purls.oci(place.rpartition("/")[2], digest, {"repository_url": place}): digest}


def _digest(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
