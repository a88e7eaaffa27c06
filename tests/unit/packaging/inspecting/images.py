"""Images in memory, made by hand, so that a test can make each wrong in one place."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tests.unit.runtime.artifacts.images import file, put_bytes, tar_bytes
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.artifacts.registry.layout import CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest
from trihull_runtime.contract.manifest import DataType, FileDigest, ModelManifest, Signature, Tensor, release_digest

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
STATEMENT = "https://in-toto.io/Statement/v1"
Entries = Iterable[tuple[Any, bytes]]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Memory:
    """A registry in memory: only what `inspect` asks of one."""

    name: str = "registry.test/digits"
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, list[Descriptor]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def put(self, data: bytes) -> str:
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def document(self, media_type: str, value: Mapping[str, Any]) -> dict[str, Any]:
        data = document_bytes(value)
        self.types[digest_of(data)] = media_type
        return {"mediaType": media_type, "digest": self.put(data), "size": len(data)}

    def has_blob(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self.blobs

    def read_blob(self, descriptor: Descriptor, file: BinaryIO) -> None:
        self.read.append(descriptor.digest)
        if descriptor.digest not in self.blobs:
            raise LayoutError(f"{self.name}: {descriptor.digest} is missing")
        file.write(self.blobs[descriptor.digest])

    def blob_file(self, descriptor: Descriptor) -> AbstractContextManager[Path]:
        raise AssertionError("inspecting reads blobs as they come")

    def write_blob(self, descriptor: Descriptor, content: Path | bytes, *, asked: bool = False) -> int:
        raise AssertionError("inspecting writes nothing")

    def read_manifest(self, reference: str) -> Manifest:
        digest = self.tags.get(reference, reference)
        if digest not in self.blobs:
            raise LayoutError(f"{self.name}: {reference} is missing")
        return Manifest(digest, self.types.get(digest, ""), self.blobs[digest])

    def write_manifest(self, manifest: Manifest, tag: str | None = None, *, part: bool = False) -> None:
        raise AssertionError("inspecting writes nothing")

    def write_evidence(self, documents: Sequence[Manifest]) -> None:
        raise AssertionError("inspecting writes nothing")

    def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        return tuple(self.evidence.get(digest, ()))


def laid_out(registry: Memory, layout: Path, *named: str, tags: Mapping[str, str] | None = None) -> Path:
    """Write all of a registry into an OCI layout whose index names `named`; `tags` are digest -> tag."""
    for data in registry.blobs.values():
        put_bytes(layout, data)
    entries = []
    for digest in named:
        entry: dict[str, Any] = {
            "mediaType": registry.types[digest],
            "digest": digest,
            "size": len(registry.blobs[digest]),
        }
        if tags and digest in tags:
            entry["annotations"] = {"org.opencontainers.image.ref.name": tags[digest]}
        entries.append(entry)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}), encoding="utf-8")
    return layout


def model_files(version: str = "1.0.0", *, outputs: int = 3) -> dict[str, bytes]:
    """The model's files by their names in the image."""
    data = b"onnx" * 10
    manifest = ModelManifest(
        version=1,
        name="digits",
        model_version=version,
        framework="scikit-learn",
        format="onnx",
        model_file="model.onnx",
        files={"model.onnx": FileDigest(digest_of(data), len(data))},
        signature=Signature(
            (Tensor("pixels", DataType.FP32, (-1, 64)),), (Tensor("probabilities", DataType.FP32, (-1, outputs)),)
        ),
        classes=tuple(str(one) for one in range(outputs)),
        environment={},
    )
    return {"models/digits/manifest.json": manifest.to_json().encode(), "models/digits/model.onnx": data}


def files(named: Mapping[str, bytes]) -> Entries:
    return [file(name, data) for name, data in named.items()]


BASE = {
    "usr/bin/python3": b"python" * 100,
    "var/lib/dpkg/status.d/libc6": b"Package: libc6\nVersion: 2.36-9\nInstalled-Size: 13001\n",
}


def dependencies(numpy: str = "2.4.6") -> dict[str, bytes]:
    folder = "opt/trihull/dependencies"
    return {
        f"{folder}/numpy/core.so": b"n" * 5000,
        f"{folder}/numpy.libs/blas.so": b"b" * 4000,
        f"{folder}/numpy-{numpy}.dist-info/METADATA": f"Name: numpy\nVersion: {numpy}\n\nName: not".encode(),
    }


@dataclass
class Parts:
    """What an image is made of; a test replaces the part it is about."""

    layers: dict[str, Mapping[str, bytes]]
    config: dict[str, Any]
    level: int = 9  # of gzip; 0 leaves the tar as it is, for bytes that depend on no compressor


def parts(version: str = "1.0.0", numpy: str = "2.4.6") -> Parts:
    model = model_files(version)
    return Parts(
        {
            "base: 1 package": BASE,
            "dependencies": dependencies(numpy),
            f"model digits {version}": model,
        },
        {
            "User": "65532:65532",
            "WorkingDir": "/",
            "Env": ["PATH=/usr/bin", "ORT_DISABLE_TELEMETRY=1"],
            "Entrypoint": ["/usr/bin/python3", "-m", "trihull_runtime.server"],
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {
                "dev.trihull.release": release_digest(model["models/digits/manifest.json"]),
                "org.opencontainers.image.title": "digits",
                "org.opencontainers.image.version": version,
            },
            "StopSignal": "SIGTERM",
        },
    )


def image(registry: Memory, made: Parts, platform: str = "linux/amd64") -> dict[str, Any]:
    """Store one platform's image; its entry in an index."""
    system, architecture = platform.split("/")[:2]
    tars = [tar_bytes(files(named)) for named in made.layers.values()]
    data = [gzip.compress(tar, made.level, mtime=0) if made.level else tar for tar in tars]
    config = registry.document(
        CONFIG_TYPE,
        {
            "os": system,
            "architecture": architecture,
            "created": "1970-01-01T00:00:01Z",
            "config": made.config,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            "history": [{"created_by": "trihull package", "comment": purpose} for purpose in made.layers],
        },
    )
    layers = [{"mediaType": LAYER_TYPE, "digest": registry.put(one), "size": len(one)} for one in data]
    manifest = registry.document(
        MANIFEST_TYPE, {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers}
    )
    return {**manifest, "platform": {"os": system, "architecture": architecture}}


def index(registry: Memory, *entries: Mapping[str, Any], media_type: str = INDEX_TYPE) -> str:
    value = {"schemaVersion": 2, "mediaType": media_type, "manifests": [dict(entry) for entry in entries]}
    return str(registry.document(media_type, value)["digest"])


def two_platforms(registry: Memory, made: Parts | None = None) -> str:
    made = made or parts()
    return index(registry, *(image(registry, made, platform) for platform in ("linux/amd64", "linux/arm64")))


def changed(registry: Memory, digest: str, change: Any) -> str:
    """Store a document anew after `change` was made to it; the index that names it, too."""
    manifest = json.loads(registry.blobs[digest])["manifests"][0]
    document = json.loads(registry.blobs[manifest["digest"]])
    change(document)
    return index(registry, {**manifest, **registry.document(MANIFEST_TYPE, document)})


def enveloped(statement: Mapping[str, Any]) -> dict[str, Any]:
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AAAA"}]}
    return {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope}


def attach(
    registry: Memory, subject: str, predicate_type: str, predicate: Mapping[str, Any], *, signed: bool = False
) -> str:
    """Store evidence about `subject`; the digest of its manifest."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": "image", "digest": {"sha256": subject.removeprefix("sha256:")}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    kind = "application/vnd.in-toto+json"
    blob = registry.document(kind, enveloped(statement) if signed else statement)
    manifest = registry.document(
        MANIFEST_TYPE,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": {**registry.document("application/vnd.oci.empty.v1+json", {})},
            "layers": [blob],
            "subject": {"mediaType": INDEX_TYPE, "digest": subject, "size": 1},
        },
    )
    found = Descriptor(MANIFEST_TYPE, manifest["digest"], manifest["size"], kind)
    registry.evidence.setdefault(subject, []).append(found)
    return str(manifest["digest"])


def bill(**sizes: int) -> dict[str, Any]:
    """A bill of materials: package -> its size in bytes."""
    components = [
        {
            "type": "library",
            "name": name,
            "version": "1.0",
            "purl": f"pkg:pypi/{name}@1.0",
            "properties": [{"name": "trihull:size_bytes", "value": str(size)}],
        }
        for name, size in sizes.items()
    ]
    model = {"type": "machine-learning-model", "name": "digits", "version": "1.0.0"}
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [*components, model]}
