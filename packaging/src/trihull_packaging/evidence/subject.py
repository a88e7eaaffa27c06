"""The facts that evidence is made of, as they are known once the index is written."""

from collections.abc import Mapping
from dataclasses import dataclass

from trihull_packaging.contents import Package
from trihull_runtime.artifacts.evidence.predicates import Parity
from trihull_runtime.artifacts.registry.protocol import Descriptor
from trihull_runtime.contract.manifest import ModelManifest
from trihull_runtime.contract.release import Evaluation


@dataclass(frozen=True)
class PlatformSubject:
    """One platform's image: its manifest, and the packages of all its layers."""

    manifest: Descriptor
    packages: tuple[Package, ...]


@dataclass(frozen=True)
class Subject:
    """A release before its `release.json` is written.

    Attributes:
        manifest: the model's, as it lies in the image.
        release_digest: of that manifest.
        index: of the image.
        platforms: `linux/amd64` and the like -> its image.
        evaluation: metrics, gates, verdict.
        parity: over all rows that were compared.
        test_rows: rows of the test split.
        lock_digest: of `model.lock`, which lies beside the release.
        materials: URI -> digest of what the image was made of.
        distribution: whose Debian packages the base holds, as package URLs name it: `debian`, `ubuntu`.
        version: of trihull.
    """

    manifest: ModelManifest
    release_digest: str
    index: Descriptor
    platforms: Mapping[str, PlatformSubject]
    evaluation: Evaluation
    parity: Parity
    test_rows: int
    lock_digest: str
    materials: Mapping[str, str]
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self.manifest.name

    @property
    def image_version(self) -> str:
        """Return the model's version."""
        return self.manifest.model_version


@dataclass(frozen=True)
class RouterSubject:
    """The router's image before its `router.json` is written; fields as those of `Subject`.

    Attributes:
        name: as the image calls itself.
        image_version: likewise.
    """

    name: str
    image_version: str
    index: Descriptor
    platforms: Mapping[str, PlatformSubject]
    lock_digest: str
    materials: Mapping[str, str]
    distribution: str
    version: str
