"""Evidence beside an image: OCI artifact manifests whose `subject` is the image or one platform's manifest.

A plain statement is stored as it is, a signed one as a sigstore bundle. Sources: OCI image specification v1.1,
"Guidelines for Artifact Usage"; cosign's BUNDLE_SPEC.md, so that its tools find what is stored here.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trihull_runtime.artifacts.errors import ContentError, LayoutError
from trihull_runtime.artifacts.evidence import signing
from trihull_runtime.artifacts.evidence.signing import Envelope, SigningKey
from trihull_runtime.artifacts.evidence.statement import MEDIA_TYPE, Statement, parse, parse_json
from trihull_runtime.artifacts.registry.blobs import DOCUMENT_BYTES, bytes_digest, document_bytes
from trihull_runtime.artifacts.registry.layout import MANIFEST_TYPE
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest, Registry, subject_of
from trihull_runtime.contract.codec import DIGEST

EMPTY: Final = b"{}"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
STATEMENT_BYTES_MAX: Final = 16 << 20  # a bill of materials of thousands of packages is far below
EVIDENCE_MAX: Final = 200  # of one subject: whoever may write to a registry shall not keep us busy


@dataclass(frozen=True)
class Attached:
    """One piece of evidence.

    Attributes:
        digest: of its artifact manifest.
        statement: what it says; None when it cannot be read.
        envelope: None when it is not signed.
        problem: why it cannot be read; empty when it can.
    """

    digest: str
    statement: Statement | None
    envelope: Envelope | None
    problem: str = ""


def attach(registry: Registry, said: Sequence[tuple[Descriptor, Statement]], key: SigningKey | None) -> list[str]:
    """Store statements beside what they are about, signed when there is a key; returns their manifests' digests.

    Args:
        registry: where the subjects are.
        said: the index or a platform's manifest, and what to say of it.
        key: None stores the plain statements.

    Raises:
        RegistryError, LayoutError: they could not be stored.
    """
    documents = [_stored(registry, subject, statement, key) for subject, statement in said]
    registry.write_evidence(documents)
    return [document.digest for document in documents]


def _stored(registry: Registry, subject: Descriptor, statement: Statement, key: SigningKey | None) -> Manifest:
    """Store what a statement's manifest is made of, and return that."""
    data = statement.to_bytes()
    kind, ending = MEDIA_TYPE, "intoto.json"
    annotations = {"in-toto.io/predicate-type": statement.predicate_type}
    if key is not None:
        data, kind, ending = signing.sign(data, key), signing.BUNDLE_TYPE, "sigstore.json"
        annotations = {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": statement.predicate_type,
        }
    layer = _put(registry, kind, data)
    title = f"{layer['digest'].replace(':', '-')}.{ending}"  # what tools that pull artifacts call the file
    manifest = document_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": _put(registry, EMPTY_TYPE, EMPTY),
            "layers": [{**layer, "annotations": {"org.opencontainers.image.title": title}}],
            "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size_bytes},
            "annotations": annotations,
        }
    )
    return Manifest(bytes_digest(manifest), MANIFEST_TYPE, manifest)


def read(registry: Registry, subject: str) -> tuple[Attached, ...]:
    """Return the evidence whose subject is a digest, verifying no signature; other artifacts are left out.

    Raises:
        RegistryError: the registry cannot be reached. Evidence that is damaged is returned with its problem.
        LayoutError, ContentError: the list of it cannot be read, or is too long.
    """
    found = registry.referrers(subject)
    if len(found) > EVIDENCE_MAX:
        raise LayoutError(
            f"{registry.name}: {len(found)} artifacts refer to {subject}; at most {EVIDENCE_MAX} are read"
        )
    result = []
    for one in found:
        if one.artifact_type in (None, MEDIA_TYPE, signing.BUNDLE_TYPE):
            attached = _one(registry, subject, one)
            if attached is not None:
                result.append(attached)
    return tuple(result)


def read_blob(registry: Registry, blob: Descriptor, limit_bytes: int = DOCUMENT_BYTES) -> bytes:
    """Return a small blob, verified; raises `LayoutError` when it says that it is larger than `limit_bytes`."""
    if blob.size_bytes > limit_bytes:
        raise LayoutError(f"{registry.name}: {blob.digest} has {blob.size_bytes} bytes, more than {limit_bytes}")
    buffer = io.BytesIO()
    registry.read_blob(blob, buffer)
    return buffer.getvalue()


def _one(registry: Registry, subject: str, listed: Descriptor) -> Attached | None:
    source = f"{registry.name}: evidence {listed.digest}"
    try:
        if re.fullmatch(DIGEST, listed.digest) is None:  # or it would be asked for as a tag
            raise LayoutError(f"{source:.200}: is no digest")
        manifest = parse_json(registry.read_manifest(listed.digest).data, source)
        kind = manifest.get("artifactType")
        if kind not in (MEDIA_TYPE, signing.BUNDLE_TYPE):
            return None
        if subject_of(manifest) != subject:
            raise LayoutError(f"{source}: is listed for {subject}, but its subject is {subject_of(manifest)}")
        data = read_blob(registry, _layer(manifest, source), STATEMENT_BYTES_MAX)
        if kind == MEDIA_TYPE:
            return Attached(listed.digest, parse(data, source), None)
        envelope = signing.open_bundle(data, source)
        return Attached(listed.digest, parse(envelope.payload, source), envelope)
    except (LayoutError, ContentError) as error:
        return Attached(listed.digest, None, None, str(error))


def descriptor(value: Any, source: str) -> Descriptor:
    """Return a descriptor of a document; raises `LayoutError` when it is none. `source` is what errors call it."""
    if isinstance(value, dict):
        kind, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        named = isinstance(kind, str) and isinstance(digest, str) and re.fullmatch(DIGEST, digest) is not None
        if named and type(size) is int and size >= 0:
            return Descriptor(str(kind), str(digest), size)
    raise LayoutError(f"{source}: expected a descriptor with mediaType, digest and size, found {value!r:.120}")


def _layer(manifest: Mapping[str, Any], source: str) -> Descriptor:
    layers = manifest.get("layers")
    if not isinstance(layers, list) or len(layers) != 1:
        raise LayoutError(f"{source}: layers: expected a list of one")
    return descriptor(layers[0], source)


def _put(registry: Registry, media_type: str, data: bytes) -> dict[str, Any]:
    blob = Descriptor(media_type, bytes_digest(data), len(data))
    registry.write_blob(blob, data)
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size_bytes}
