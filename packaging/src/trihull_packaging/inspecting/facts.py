"""What can be known of an image, as values: filled by `gathering`, compared by `difference`, shown by `display`.

All sizes are in bytes. Texts are as the image has them: whoever shows them on a terminal escapes them.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from trihull_runtime.contract.manifest import Signature
from trihull_runtime.contract.release import Evaluation


class LayerState(enum.StrEnum):
    """What became of reading a layer's files."""

    UNREAD = "not read"
    READ = "read"
    UNSUPPORTED = "not supported"  # a compression that is not read here, by its media type
    DAMAGED = "damaged"  # missing, truncated, no tar, or not what its digests say


@dataclass(frozen=True)
class InstalledPackage:
    """A package in an image: `kind` is its package URL's type (`deb`, `pypi`); size None when nobody says it."""

    kind: str
    name: str
    version: str
    size_bytes: int | None


@dataclass(frozen=True)
class LayerFacts:
    """One layer.

    Attributes:
        purpose: what its image's history says it is for; empty when it says nothing.
        media_type: of the blob.
        digest: of the blob.
        diff_id: of the uncompressed tar, as the configuration names it; empty when it names none.
        size_bytes: of the blob.
        unpacked_bytes: of the uncompressed tar; None when the layer was not read.
        state: whether it was read.
        detail: what is wrong, when something is.
    """

    purpose: str
    media_type: str
    digest: str
    diff_id: str
    size_bytes: int
    unpacked_bytes: int | None = None
    state: LayerState = LayerState.UNREAD
    detail: str = ""


@dataclass(frozen=True)
class Configuration:
    """How the image runs: the configuration's own words; `ports` as `8080/tcp`, `environment` name -> value."""

    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    working_folder: str
    environment: Mapping[str, str]
    ports: tuple[str, ...]
    labels: Mapping[str, str]
    stop_signal: str
    created: str


@dataclass(frozen=True)
class PlatformFacts:
    """One platform's image.

    Attributes:
        platform: `linux/amd64`, with the variant where there is one.
        digest: of the manifest.
        manifest_bytes: of the manifest.
        config_digest: of the configuration.
        config_bytes: of the configuration.
        layers: lowest first.
        configuration: how it runs.
        shells: the shells in it; None when its layers were not read.
        packages: by name; None when nobody says what is in it.
        packages_from: where the packages come from, or why they are not known.
    """

    platform: str
    digest: str
    manifest_bytes: int
    config_digest: str
    config_bytes: int
    layers: tuple[LayerFacts, ...]
    configuration: Configuration
    shells: tuple[str, ...] | None
    packages: tuple[InstalledPackage, ...] | None
    packages_from: str

    @property
    def size_bytes(self) -> int:
        """Return the layers' compressed size: what a machine without any of them must fetch."""
        return sum({layer.digest: layer.size_bytes for layer in self.layers}.values())

    @property
    def unpacked_bytes(self) -> int | None:
        """Return the layers' uncompressed size; None when one was not read."""
        known = [layer.unpacked_bytes for layer in self.layers if layer.unpacked_bytes is not None]
        return sum(known) if len(known) == len(self.layers) else None


@dataclass(frozen=True)
class ModelFacts:
    """The model in the image; what is not known is empty or None."""

    name: str
    version: str
    framework: str
    format: str
    classes: tuple[str, ...]
    signature: Signature | None
    release_digest: str


@dataclass(frozen=True)
class AttestationFacts:
    """Evidence about the image.

    Attributes:
        predicate_type: a URI; the artifact's own type when it is no in-toto statement.
        digest: of its manifest.
        subject: the digest it is attached to: the index or one platform's manifest.
        signed: whether it lies in a signed envelope; whether the signature holds is `trihull verify`'s question.
        size_bytes: of its manifest and its blobs.
    """

    predicate_type: str
    digest: str
    subject: str
    signed: bool
    size_bytes: int


@dataclass(frozen=True)
class ImageFacts:
    """An image, or an index of one per platform.

    Attributes:
        name: the repository or the layout.
        digest: what the reference names: of the index, or of a manifest that stands alone.
        media_type: of that.
        index_bytes: its size; 0 when it is a manifest that stands alone.
        platforms: by name.
        model: None when there is none, or it cannot be known without reading more.
        evaluation: from release.json or from the gate's evidence; None when neither is there.
        evaluation_from: which of them.
        attestations: by predicate type and subject.
        remarks: what was left out and why, in whole sentences.
    """

    name: str
    digest: str
    media_type: str
    index_bytes: int
    platforms: tuple[PlatformFacts, ...]
    model: ModelFacts | None
    evaluation: Evaluation | None
    evaluation_from: str
    attestations: tuple[AttestationFacts, ...]
    remarks: tuple[str, ...]

    @property
    def blobs(self) -> dict[str, int]:
        """Return digest -> size of all that a registry holds of it: index, manifests, configurations, layers."""
        sizes = {self.digest: self.index_bytes}
        for one in self.platforms:
            sizes |= {one.digest: one.manifest_bytes, one.config_digest: one.config_bytes}
            sizes |= {layer.digest: layer.size_bytes for layer in one.layers}
        return sizes

    @property
    def size_bytes(self) -> int:
        """Return the compressed size of all layers of all platforms; one that platforms share counts once."""
        return sum({layer.digest: layer.size_bytes for one in self.platforms for layer in one.layers}.values())

    @property
    def damage(self) -> tuple[str, ...]:
        """Return one sentence for each layer that is missing or damaged."""
        return tuple(
            f"{one.platform}: layer {layer.digest}: {layer.detail}"
            for one in self.platforms
            for layer in one.layers
            if layer.state is LayerState.DAMAGED
        )


def value_of(facts: Any) -> Any:
    """Return facts as plain values for JSON: fields by their names, in their order."""
    if is_dataclass(facts) and not isinstance(facts, type):
        return {field.name: value_of(getattr(facts, field.name)) for field in fields(facts)}
    if isinstance(facts, enum.Enum):
        return facts.value
    if isinstance(facts, Mapping):
        return {str(key): value_of(item) for key, item in facts.items()}
    if isinstance(facts, tuple | list):
        return [value_of(item) for item in facts]
    return facts


def image_value(image: ImageFacts) -> dict[str, Any]:
    """Return what `--json` says of an image: its facts and the totals."""
    value: dict[str, Any] = value_of(image)
    value["size_bytes"] = image.size_bytes
    for one, shown in zip(image.platforms, value["platforms"], strict=True):
        shown["size_bytes"], shown["unpacked_bytes"] = one.size_bytes, one.unpacked_bytes
    return value
