"""The evidence that is attached to an image: what there is of it, and what it says of packages and metrics.

It is shown as it lies there. Whether it holds is `trihull verify`'s question. Sources: in-toto attestation Statement
v1, DSSE, sigstore bundle v0.3, CycloneDX 1.6; BuildKit's attestations lie in the index instead (attestation-storage).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from trihull_packaging.inspecting import documents
from trihull_packaging.inspecting.facts import AttestationFacts, InstalledPackage
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.evidence.attached import read_blob
from trihull_runtime.artifacts.evidence.statement import GATE, SBOM
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.release import Evaluation, Gate, Verdict

SIZE: Final = "trihull:size_bytes"
EVIDENCE_MAX: Final = 1000  # of one subject
BUILDKIT_TYPE: Final = "application/vnd.in-toto+json"
BUILDKIT_PREDICATE: Final = "in-toto.io/predicate-type"


@dataclass(frozen=True)
class Attached:
    """One attestation: its facts, and what it states (empty when it is no in-toto statement)."""

    facts: AttestationFacts
    statement: Mapping[str, Any]


def attached(registry: Registry, subject: str) -> tuple[Attached, ...]:
    """Return the evidence that names `subject`, by type and digest.

    Raises:
        RegistryError, LayoutError: the registry cannot be reached; a document is missing or not what it should be.
    """
    referrers = registry.referrers(subject)
    if len(referrers) > EVIDENCE_MAX:
        raise LayoutError(
            f"{registry.name}: {len(referrers)} artifacts name {subject}; at most {EVIDENCE_MAX} are read"
        )
    found = [_artifact(registry, subject, one) for one in referrers]
    return tuple(sorted(found, key=lambda one: (one.facts.predicate_type, one.facts.digest)))


def _artifact(registry: Registry, subject: str, referrer: Descriptor) -> Attached:
    source = f"{registry.name}: evidence {referrer.digest}"
    found = registry.read_manifest(referrer.digest)
    manifest = documents.parse(source, found.data)
    layers = [
        documents.descriptor(source, one) for one in documents.items(source, manifest, "layers", documents.LAYERS_MAX)
    ]
    size = len(found.data) + sum(layer.size_bytes for layer in layers)
    kind = referrer.artifact_type or documents.text(source, manifest, "artifactType") or referrer.media_type
    statement: Mapping[str, Any] = {}
    signed = False
    if len(layers) == 1 and "json" in layers[0].media_type and layers[0].size_bytes <= documents.DOCUMENT_BYTES:
        document = documents.parse(source, read_blob(registry, layers[0]))
        statement, signed = statement_of(source, document)
    predicate_type = documents.text(source, statement, "predicateType") or kind
    return Attached(AttestationFacts(predicate_type, referrer.digest, subject, signed, size), statement)


def buildkit(registry: Registry, digest: str, subject: str) -> tuple[AttestationFacts, ...]:
    """Return what an attestation manifest of BuildKit lists; its statements are not read."""
    source = f"{registry.name}: {digest}"
    manifest = documents.parse(source, registry.read_manifest(digest).data)
    found = []
    for value in documents.items(source, manifest, "layers", documents.LAYERS_MAX):
        layer = documents.descriptor(source, value)
        kind = documents.text_mapping(source, value, "annotations").get(BUILDKIT_PREDICATE, layer.media_type)
        found.append(AttestationFacts(kind, digest, subject, signed=False, size_bytes=layer.size_bytes))
    return tuple(found)


def statement_of(source: str, document: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return the in-toto statement in a document, and whether it lies in a signed envelope.

    Args:
        source: what errors call it.
        document: a statement, a DSSE envelope, or a sigstore bundle; the statement of anything else is empty.

    Raises:
        LayoutError: an envelope without a readable payload.
    """
    envelope = documents.mapping(source, document, "dsseEnvelope") or document
    if "payload" not in envelope:
        is_statement = str(document.get("_type", "")).startswith("https://in-toto.io/Statement/")
        return (document if is_statement else {}), False
    try:
        payload = base64.b64decode(documents.text(source, envelope, "payload"), validate=True)
    except ValueError as error:
        raise LayoutError(f"{source}: its envelope's payload is no base64: {error}") from error
    return documents.parse(f"{source}: payload", payload), bool(envelope.get("signatures"))


def bill_packages(source: str, statement: Mapping[str, Any]) -> tuple[InstalledPackage, ...] | None:
    """Return the packages that a CycloneDX bill of materials lists, by kind and name; None when it is none.

    Raises:
        LayoutError: a component is not what CycloneDX says.
    """
    predicate = statement.get("predicate")
    if not str(statement.get("predicateType", "")).startswith(SBOM) or not isinstance(predicate, dict):
        return None
    found = []
    for component in documents.items(source, predicate, "components", most=100_000):
        if not isinstance(component, dict):
            raise LayoutError(f"{source}: components: expected objects, found {component!r:.80}")
        purl = documents.text(source, component, "purl")
        if purl.startswith("pkg:"):
            kind = purl.removeprefix("pkg:").partition("/")[0]
            name, version = (documents.text(source, component, key) for key in ("name", "version"))
            found.append(InstalledPackage(unquote(kind), name, version, _size(source, component)))
    return tuple(sorted(found, key=lambda one: (one.kind, one.name, one.version)))


def _size(source: str, component: Mapping[str, Any]) -> int | None:
    properties = component.get("properties")
    for item in properties if isinstance(properties, list) else ():
        if isinstance(item, dict) and item.get("name") == SIZE:
            value = documents.text(source, item, "value")
            return int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else None
    return None


def gate_evaluation(source: str, statement: Mapping[str, Any]) -> Evaluation | None:
    """Return the evaluation that a gate's evidence states; None when it states none.

    Raises:
        LayoutError: it is not what release.json calls an evaluation.
    """
    predicate = statement.get("predicate")
    if statement.get("predicateType") != GATE or not isinstance(predicate, dict):
        return None
    value = predicate.get("evaluation", predicate)
    try:
        metrics = {str(name): float(number) for name, number in value["metrics"].items()}
        gates = tuple(
            Gate(str(gate["metric"]), float(gate["minimum"]), float(gate["value"]), gate["passed"] is True)
            for gate in value["gates"]
        )
        return Evaluation(metrics, gates, Verdict(value["verdict"]))
    except (ContractError, AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise LayoutError(f"{source}: its evaluation is not what it should be: {error!r:.120}") from error
