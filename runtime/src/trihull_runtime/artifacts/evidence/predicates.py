"""What each kind of evidence says, and what is wrong when it does not hold: pure functions over statements.

Verdicts are not believed: every gate is judged again from its numbers. Sources: SLSA provenance v1, CycloneDX 1.6; the
gate's verdict and the model card are trihull's own.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from trihull_runtime.contract.codec import Digest, Document, Name, Range
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.manifest import Signature
from trihull_runtime.contract.release import Evaluation, Verdict

BUILD_TYPE: Final = "https://trihull.dev/package/v1"
LOCK: Final = "model.lock"  # the name under which provenance lists the lock among what an image was made of
SIZE_PROPERTY: Final = "trihull:size_bytes"
MODEL_COMPONENT: Final = "machine-learning-model"

Count = Annotated[int, Range(minimum=0)]


@dataclass(frozen=True)
class About:
    """What evidence must agree with: the image's model, its release digest, the digests of its files."""

    name: str
    version: str
    release_digest: str
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Parity:
    """How far the converted model is from the trained one: rows, the worst step of a probability, the bound."""

    rows: Count
    worst_probability: float
    tolerance: float


@dataclass(frozen=True)
class GateVerdict(Document):
    """The predicate `https://trihull.dev/gate/v1`: what was measured, what was asked for, and the verdict."""

    version: int
    name: Name
    model_version: str
    release_digest: Digest
    evaluation: Evaluation
    parity: Parity


@dataclass(frozen=True)
class ModelCard(Document):
    """The predicate `https://trihull.dev/model-card/v1`.

    Attributes:
        version: of the format.
        name: of the model; `model_version`, `framework`, `format`, `signature` and `classes` as its manifest has them.
        release_digest: of the release.
        evaluation: metrics of the test split, gates, verdict.
        test_rows: rows of the test split.
        parity: of the conversion.
        environment: what it runs in: platform and part -> digest.
        text: the same for a person, as Markdown.
    """

    version: int
    name: Name
    model_version: str
    framework: str
    format: str
    release_digest: Digest
    signature: Signature
    classes: tuple[str, ...]
    evaluation: Evaluation
    test_rows: Count
    parity: Parity
    environment: Mapping[str, Digest]
    text: str


@dataclass(frozen=True)
class Judged:
    """What came out: what is wrong, and, when nothing is, a few words on what it says."""

    problems: tuple[str, ...]
    detail: str


def gate(predicate: Mapping[str, Any], about: About) -> Judged:
    """Judge a gate's verdict."""
    try:
        found = GateVerdict.from_value(dict(predicate), "gate")
    except ContractError as error:
        return Judged((str(error),), "")
    problems = [*_identity(found.name, found.model_version, found.release_digest, about), *failures(found.evaluation)]
    worst, tolerance = found.parity.worst_probability, found.parity.tolerance
    if found.parity.rows == 0 or not worst <= tolerance:
        rows = found.parity.rows
        problems.append(f"the converted model is {worst:g} off the trained one on {rows} rows; allowed: {tolerance:g}")
    gates = ", ".join(f"{one.metric} {one.value:.4g} >= {one.minimum:g}" for one in found.evaluation.gates)
    return Judged(tuple(problems), f"passed: {gates}")


def evaluation(predicate: Mapping[str, Any]) -> Evaluation | None:
    """Return what a gate's verdict says was measured, None when it says nothing that can be read."""
    try:
        return GateVerdict.from_value(dict(predicate), "gate").evaluation
    except ContractError:
        return None


def failures(measured: Evaluation) -> Iterator[str]:
    """Give what is wrong with an evaluation, each gate judged again from its numbers."""
    if not measured.gates:
        yield "it has no gate, so nothing was asked of the model"
    for one in measured.gates:
        metric = measured.metrics.get(one.metric)
        holds = math.isfinite(one.value) and one.value >= one.minimum
        if metric != one.value:
            yield f"the gate of {one.metric} says {one.value:g}, and its metric {metric}"
        if not holds:
            said = ", though it says passed" if one.passed else ""
            yield f"{one.metric} is {one.value:g}, below {one.minimum:g}{said}"
        elif not one.passed:
            yield f"the gate of {one.metric} says failed, though {one.value:g} is not below {one.minimum:g}"
    if measured.verdict is not Verdict.PASSED:
        yield "the verdict is failed"


def card(predicate: Mapping[str, Any], about: About) -> Judged:
    """Judge a model card."""
    try:
        found = ModelCard.from_value(dict(predicate), "model card")
    except ContractError as error:
        return Judged((str(error),), "")
    problems = tuple(_identity(found.name, found.model_version, found.release_digest, about))
    return Judged(problems, f"{found.name} {found.model_version}, {found.framework}, {found.test_rows} test rows")


def provenance(predicate: Mapping[str, Any], about: About, lock_digest: str | None) -> Judged:
    """Judge provenance; `lock_digest` is the lock's when it is known."""
    definition, details = _mapping(predicate.get("buildDefinition")), _mapping(predicate.get("runDetails"))
    parameters, listed = _mapping(definition.get("externalParameters")), definition.get("resolvedDependencies")
    problems = []
    if definition.get("buildType") != BUILD_TYPE:
        problems.append(f"buildType is {definition.get('buildType')!r:.80}, not {BUILD_TYPE}")
    if (parameters.get("name"), parameters.get("version")) != (about.name, about.version):
        problems.append(f"it is of {parameters.get('name')} {parameters.get('version')}, not of {_called(about)}")
    builder = _mapping(details.get("builder")).get("id")
    if not isinstance(builder, str) or not builder:
        problems.append("runDetails.builder.id is missing")
    materials = [_mapping(one) for one in listed] if isinstance(listed, list) else []
    without = [one for one in materials if not _sha256(_mapping(one.get("digest")).get("sha256"))]
    locks = [_mapping(one.get("digest")).get("sha256") for one in materials if one.get("name") == LOCK]
    if without:
        problems.append(f"{len(without)} materials have no digest, such as {without[0].get('uri')!r:.80}")
    if len(locks) != 1:
        problems.append(f"it names {len(locks)} locks ({LOCK}) instead of one")
    elif lock_digest is not None and f"sha256:{locks[0]}" != lock_digest:
        problems.append(f"it was made from the lock sha256:{locks[0]}, not from {lock_digest}")
    if len(materials) <= len(locks):
        problems.append("it names no materials")
    lock = f"sha256:{locks[0]}" if locks else ""
    return Judged(tuple(problems), f"{builder}, lock {lock[:19]}, {len(materials) - len(locks)} materials")


def sbom(predicate: Mapping[str, Any], about: About, manifest_digest: str) -> Judged:
    """Judge a bill of materials of one platform's manifest; the detail is the number of packages."""
    problems = []
    if predicate.get("bomFormat") != "CycloneDX" or not str(predicate.get("specVersion", "")).startswith("1."):
        problems.append("it is no CycloneDX document")
    described = _mapping(_mapping(predicate.get("metadata")).get("component"))
    if _hash_of(described) != manifest_digest:
        problems.append(f"it describes {_hash_of(described) or 'nothing by its digest'}")
    listed = predicate.get("components")
    components = [_mapping(one) for one in listed] if isinstance(listed, list) else []
    packages = [one for one in components if str(one.get("purl", "")).startswith("pkg:")]
    if not packages:
        problems.append("it lists no packages")
    models = {_hash_of(one) for one in components if one.get("type") == MODEL_COMPONENT}
    if models != set(about.files):
        problems.append(f"it lists {len(models)} model files, which are not the {len(about.files)} in the image")
    return Judged(tuple(problems), f"{len(packages)} packages")


def _identity(name: str, version: str, digest: str, about: About) -> Iterator[str]:
    if (name, version) != (about.name, about.version):
        yield f"it is of {name} {version}, not of {_called(about)}"
    if digest != about.release_digest:
        yield f"it is of release {digest}, the image holds {about.release_digest}"


def _called(about: About) -> str:
    return f"{about.name} {about.version}"


def _hash_of(component: Mapping[str, Any]) -> str | None:
    hashes = component.get("hashes")
    for one in hashes if isinstance(hashes, list) else ():
        if isinstance(one, dict) and one.get("alg") == "SHA-256" and _sha256(one.get("content")):
            return f"sha256:{one['content']}"
    return None


def _sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
