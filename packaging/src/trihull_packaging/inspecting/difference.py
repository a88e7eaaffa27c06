"""What is another between two images: a pure function over their facts.

It answers three questions: why are the digests not equal (a rebuild), what would change for those who use the model (a
new release), and how much of the second must still be sent to a registry that has the first.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trihull_packaging.inspecting.facts import (
    ImageFacts,
    InstalledPackage,
    LayerFacts,
    ModelFacts,
    PlatformFacts,
    image_value,
    value_of,
)
from trihull_packaging.inspecting.signatures import tensors
from trihull_packaging.inspecting.wording import configuration_texts, evidence_texts, gate_texts, model_texts
from trihull_runtime.contract.release import Evaluation


class Kind(enum.StrEnum):
    """How a layer of one image stands to its counterpart in the other."""

    EQUAL = "equal"
    RECOMPRESSED = "recompressed"  # the same files in other bytes: another compressor
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class FileChanges:
    """Which files of a layer are others, by path: `retouched` those of which mode, owner or time alone changed.

    All four may be empty: then the archives differ in their order or in their headers.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    retouched: tuple[str, ...]


@dataclass(frozen=True)
class LayerChange:
    """One layer and its counterpart; `one` is None when it was added, `other` when it was removed.

    `files` says which files are others, where both layers were read for it.
    """

    kind: Kind
    purpose: str
    one: LayerFacts | None
    other: LayerFacts | None
    files: FileChanges | None = None

    @property
    def delta_bytes(self) -> int:
        """Return by how much the compressed layer grew."""
        return (self.other.size_bytes if self.other else 0) - (self.one.size_bytes if self.one else 0)


@dataclass(frozen=True)
class PackageChange:
    """A package that is another: empty where an image has none of it; sizes as `InstalledPackage` has them."""

    kind: str
    name: str
    one: str
    other: str
    one_bytes: int | None
    other_bytes: int | None


@dataclass(frozen=True)
class Change:
    """A text that is another; empty where it is not there."""

    key: str
    one: str
    other: str


@dataclass(frozen=True)
class NumberChange:
    """A metric that is another; None where it is not there."""

    key: str
    one: float | None
    other: float | None


@dataclass(frozen=True)
class PlatformDifference:
    """One platform in both images; `packages` is None when the packages of one are not known."""

    platform: str
    identical: bool
    layers: tuple[LayerChange, ...]
    packages: tuple[PackageChange, ...] | None
    configuration: tuple[Change, ...]


@dataclass(frozen=True)
class Difference:
    """Two images side by side.

    Attributes:
        one: the digest of the first.
        other: the digest of the second.
        identical: whether the digests are equal, so that everything below is.
        platforms_added: only in the second.
        platforms_removed: only in the first.
        platforms: in both.
        model: name, version, format, classes, release digest; what is known of one alone is left out.
        signature: what the model takes and gives, a tensor at a time, where it is known of both.
        metrics: of the evaluations; None when one of the two is not known.
        gates: thresholds and whether they were met; None likewise.
        attestations: predicate types, signed or not, that only one has.
        bytes_to_send: of blobs and documents that a registry which has the first still needs for the second.
        evidence_bytes: of the second's evidence, which comes on top unless it is there too.
    """

    one: str
    other: str
    identical: bool
    platforms_added: tuple[str, ...]
    platforms_removed: tuple[str, ...]
    platforms: tuple[PlatformDifference, ...]
    model: tuple[Change, ...]
    signature: tuple[Change, ...]
    metrics: tuple[NumberChange, ...] | None
    gates: tuple[Change, ...] | None
    attestations: tuple[Change, ...]
    bytes_to_send: int
    evidence_bytes: int


def difference(one: ImageFacts, other: ImageFacts) -> Difference:
    """Return what is another in `other` than in `one`."""
    before, after = ({platform.platform: platform for platform in image.platforms} for image in (one, other))
    known = {found.digest for found in one.attestations}
    evaluated = one.evaluation is not None and other.evaluation is not None
    return Difference(
        one=one.digest,
        other=other.digest,
        identical=one.digest == other.digest,
        platforms_added=tuple(sorted(after.keys() - before.keys())),
        platforms_removed=tuple(sorted(before.keys() - after.keys())),
        platforms=tuple(_platform(before[name], after[name]) for name in sorted(before.keys() & after.keys())),
        model=_model(one.model, other.model),
        signature=_signature(one.model, other.model),
        metrics=_metrics(one.evaluation, other.evaluation) if evaluated else None,
        gates=changes(gate_texts(one.evaluation), gate_texts(other.evaluation)) if evaluated else None,
        attestations=changes(evidence_texts(one), evidence_texts(other)),
        bytes_to_send=sum(size for digest, size in other.blobs.items() if digest not in one.blobs),
        evidence_bytes=sum(found.size_bytes for found in other.attestations if found.digest not in known),
    )


def _platform(one: PlatformFacts, other: PlatformFacts) -> PlatformDifference:
    packages = None
    if one.packages is not None and other.packages is not None:
        packages = _packages(one.packages, other.packages)
    return PlatformDifference(
        platform=one.platform,
        identical=one.digest == other.digest,
        layers=_layers(one.layers, other.layers),
        packages=packages,
        configuration=changes(configuration_texts(one.configuration), configuration_texts(other.configuration)),
    )


def _layers(one: Iterable[LayerFacts], other: Iterable[LayerFacts]) -> tuple[LayerChange, ...]:
    """Return the layers of the second in their order, each with its counterpart, then those that are gone.

    Counterparts have one digest, else one content, else one purpose.
    """
    left, later = list(one), list(other)
    found: list[LayerChange | None] = [None] * len(later)
    for same in (_digest, _content, _role):
        by_key: defaultdict[str, list[LayerFacts]] = defaultdict(list)
        for layer in left:
            by_key[same(layer)].append(layer)
        for place, layer in enumerate(later):
            key = same(layer)
            if found[place] is None and key and by_key[key]:
                counterpart = by_key[key].pop(0)
                left.remove(counterpart)
                found[place] = LayerChange(_kind(counterpart, layer), layer.purpose, counterpart, layer)
    added = [
        change or LayerChange(Kind.ADDED, layer.purpose, None, layer)
        for change, layer in zip(found, later, strict=True)
    ]
    return (*added, *(LayerChange(Kind.REMOVED, layer.purpose, layer, None) for layer in left))


def _digest(layer: LayerFacts) -> str:
    return layer.digest


def _content(layer: LayerFacts) -> str:
    return layer.diff_id


def _role(layer: LayerFacts) -> str:
    """Return what a layer is for, a model's without its version: `model digits 1.0.0` and `1.1.0` are counterparts."""
    return "model" if layer.purpose.startswith("model ") else layer.purpose


def _kind(one: LayerFacts, other: LayerFacts) -> Kind:
    if one.digest == other.digest:
        return Kind.EQUAL
    return Kind.RECOMPRESSED if one.diff_id and one.diff_id == other.diff_id else Kind.CHANGED


def _packages(one: Iterable[InstalledPackage], other: Iterable[InstalledPackage]) -> tuple[PackageChange, ...]:
    """Return the packages whose version changed or that only one has; several versions of one name stand together."""
    before, after = (_by_name(packages) for packages in (one, other))
    found = []
    for kind, name in sorted(before.keys() | after.keys()):
        (was, was_bytes), (now, now_bytes) = before.get((kind, name), ("", None)), after.get((kind, name), ("", None))
        if was != now:
            found.append(PackageChange(kind, name, was, now, was_bytes, now_bytes))
    return tuple(found)


def _by_name(packages: Iterable[InstalledPackage]) -> dict[tuple[str, str], tuple[str, int | None]]:
    versions: defaultdict[tuple[str, str], list[InstalledPackage]] = defaultdict(list)
    for one in packages:
        versions[one.kind, one.name].append(one)
    result = {}
    for key, found in versions.items():
        sizes = [one.size_bytes for one in found if one.size_bytes is not None]
        total = sum(sizes) if len(sizes) == len(found) else None
        result[key] = (", ".join(sorted(one.version for one in found)), total)
    return result


def _metrics(one: Evaluation | None, other: Evaluation | None) -> tuple[NumberChange, ...]:
    before, after = (found.metrics if found else {} for found in (one, other))
    names = sorted(before.keys() | after.keys())
    found = (NumberChange(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in found if change.one != change.other)


def changes(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the keys whose texts are not equal, by name."""
    found = (Change(key, one.get(key, ""), other.get(key, "")) for key in sorted(one.keys() | other.keys()))
    return tuple(change for change in found if change.one != change.other)


def _model(one: ModelFacts | None, other: ModelFacts | None) -> tuple[Change, ...]:
    """Return what is another of the models; a text that only one side knows is no change, a model that it has is."""
    found = changes(model_texts(one), model_texts(other))
    if one is None or other is None:
        return found
    return tuple(change for change in found if change.one and change.other)


def _signature(one: ModelFacts | None, other: ModelFacts | None) -> tuple[Change, ...]:
    if one is None or other is None or one.signature is None or other.signature is None:
        return ()
    return changes(tensors(one.signature), tensors(other.signature))


def difference_value(one: ImageFacts, other: ImageFacts, found: Difference) -> dict[str, Any]:
    """Return what `--json` says of two images: the facts of both, and the difference."""
    value: dict[str, Any] = value_of(found)
    for platform, shown in zip(found.platforms, value["platforms"], strict=True):
        for change, layer in zip(platform.layers, shown["layers"], strict=True):
            layer["delta_bytes"] = change.delta_bytes
    return {"one": image_value(one), "other": image_value(other), "difference": value}
