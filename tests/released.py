"""A small release, and a small router build, for two architectures, made by hand with all evidence, to be broken."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.unit.runtime.artifacts.images import file, put_bytes, tar_bytes
from trihull_packaging.contents import Package
from trihull_packaging.evidence.subject import PlatformSubject, RouterSubject, Subject
from trihull_packaging.steps import attest
from trihull_runtime.artifacts.evidence import attached
from trihull_runtime.artifacts.evidence.contents import ROUTER_MODULE, ROUTER_TITLE, TITLE_LABEL, VERSION_LABEL
from trihull_runtime.artifacts.evidence.predicates import Parity
from trihull_runtime.artifacts.evidence.signing import PublicKey, SigningKey, load_key, load_public_key
from trihull_runtime.artifacts.evidence.statement import Named, Statement
from trihull_runtime.artifacts.registry import blobs
from trihull_runtime.artifacts.registry.layout import CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, publish
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor
from trihull_runtime.contract.manifest import DataType, FileDigest, ModelManifest, Signature, Tensor, release_digest
from trihull_runtime.contract.release import (
    Attestation,
    Evaluation,
    Gate,
    Image,
    Release,
    ReleasedModel,
    RouterBuild,
    Verdict,
)

ROUTER_LABELS = {TITLE_LABEL: ROUTER_TITLE, VERSION_LABEL: "0.1.0"}
ROUTER_ENTRYPOINT = ("/usr/bin/python3", "-m", ROUTER_MODULE)
PLATFORMS = ("linux/amd64", "linux/arm64")
GRAPH = b"a model"
SIGNATURE = Signature(
    (Tensor("pixels", DataType.FP32, (-1, 64)),),
    (Tensor("label", DataType.INT64, (-1,)), Tensor("probabilities", DataType.FP32, (-1, 2))),
)
EVALUATION = Evaluation(
    {"accuracy": 0.9722, "f1_macro": 0.9714}, (Gate("accuracy", 0.93, 0.9722, True),), Verdict.PASSED
)
MATERIALS = {
    "file:model.yaml": f"sha256:{'1' * 64}",
    "pkg:pypi/numpy@2.3.0?file_name=numpy-2.3.0-cp311-cp311-manylinux_2_28_x86_64.whl": f"sha256:{'2' * 64}",
}


@dataclass(frozen=True)
class Made:
    """A release's folder, its layout, what its evidence was made of, and its document."""

    folder: Path
    registry: LayoutRegistry
    subject: Subject
    release: Release

    @property
    def digest(self) -> str:
        return self.subject.index.digest

    def attach(self, about: Descriptor, kind: str, predicate: Mapping[str, Any], key: SigningKey | None = None) -> str:
        """Attach a statement about `about` to it."""
        statement = Statement(kind, (Named("digits", about.digest),), predicate)
        (digest,) = attached.attach(self.registry, [(about, statement)], key)
        return digest

    def remove(self, kind: str) -> None:
        """Take all evidence of a kind away, from wherever it is attached."""
        _remove(self.registry, kind, self.release.attestations)


@dataclass(frozen=True)
class MadeRouter:
    """A router build: its folder, its layout, what its evidence was made of, and its document."""

    folder: Path
    registry: LayoutRegistry
    subject: RouterSubject
    build: RouterBuild

    @property
    def digest(self) -> str:
        return self.subject.index.digest

    def remove(self, kind: str) -> None:
        """Take all evidence of a kind away, from wherever it is attached."""
        _remove(self.registry, kind, self.build.attestations)


def _remove(registry: LayoutRegistry, kind: str, attestations: tuple[Attestation, ...]) -> None:
    index = registry.folder / "index.json"
    gone = {found.digest for found in attestations if found.predicate_type == kind}
    value = blobs.parse_document(index, index.read_bytes())
    value["manifests"] = [entry for entry in value["manifests"] if entry["digest"] not in gone]
    index.write_bytes(blobs.document_bytes(value))


def signing_key(folder: Path, number: int = 1) -> SigningKey:
    """Return the same key for the same number, written to `folder` as PEM beside its public half."""
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.derive_private_key(number, ec.SECP256R1())
    path = folder / f"key{number}.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"key{number}.pub").write_bytes(public_pem)
    return load_key(path)


def public_key(folder: Path, number: int = 1) -> PublicKey:
    signing_key(folder, number)
    return load_public_key(folder / f"key{number}.pub")


def make(
    folder: Path,
    key: SigningKey | None = None,
    *,
    version: str = "1.0.0",
    graph: bytes = GRAPH,
    label: str | None = None,
    evaluation: Evaluation = EVALUATION,
    attested: bool = True,
) -> Made:
    """Write a release.

    Args:
        folder: a new one.
        key: signs its evidence.
        version: of the model.
        graph: the file that lies in the layer; the manifest speaks of `GRAPH` whatever this is.
        label: the release digest that the image is labelled with; None for the right one.
        evaluation: of the gate's evidence and of release.json.
        attested: whether there is evidence at all.
    """
    layout = folder / "image"
    manifest = ModelManifest(
        version=ModelManifest.CURRENT,
        name="digits",
        model_version=version,
        framework="scikit-learn",
        format="onnx",
        model_file="model.onnx",
        files={"model.onnx": FileDigest(blobs.bytes_digest(GRAPH), len(GRAPH))},
        signature=SIGNATURE,
        classes=("0", "1"),
        environment={f"{platform}/base": f"sha256:{'b' * 64}" for platform in PLATFORMS},
    )
    text = manifest.to_json().encode()
    digest = release_digest(text)
    model = tar_bytes([file("models/digits/manifest.json", text), file("models/digits/model.onnx", graph)])
    labels = {"dev.trihull.release": label or digest}
    manifests = {platform: _platform(layout, platform, model, labels) for platform in PLATFORMS}
    index = _index(layout, manifests, labels)
    subject = Subject(
        manifest=manifest,
        release_digest=digest,
        index=_descriptor(index),
        platforms={
            platform: PlatformSubject(_descriptor(value), packages(platform)) for platform, value in manifests.items()
        },
        evaluation=evaluation,
        parity=Parity(967, 2.5e-7, 1e-4),
        test_rows=360,
        lock_digest=f"sha256:{'d' * 64}",
        materials=MATERIALS,
        distribution="debian",
        version="0.1.0",
    )
    registry = LayoutRegistry(layout)
    attestations: tuple[Attestation, ...] = attest.run(registry, subject, key) if attested else ()
    release = Release(
        version=Release.CURRENT,
        model=ReleasedModel("digits", version, SIGNATURE),
        release_digest=digest,
        image=Image(subject.index.digest, PLATFORMS, "image"),
        evaluation=evaluation,
        attestations=attestations,
    )
    release.write(folder / "release.json")
    return Made(folder, registry, subject, release)


def make_router(
    folder: Path,
    key: SigningKey | None = None,
    *,
    labels: Mapping[str, str] = MappingProxyType(ROUTER_LABELS),
    platform_labels: Mapping[str, str] | None = None,
    entrypoint: tuple[str, ...] = ROUTER_ENTRYPOINT,
    upper: bytes = b"code",
) -> MadeRouter:
    """Write a router build.

    Args:
        folder: a new one.
        key: signs its evidence.
        labels: annotations of the index, and labels of the configurations unless these are given.
        platform_labels: of the configurations.
        entrypoint: what the image runs.
        upper: the tar of the uppermost layer, or the content of a file in it.
    """
    layout = folder / "image"
    tar = upper if len(upper) > 100 else tar_bytes([file("opt/trihull/runtime/code.py", upper)])
    said = labels if platform_labels is None else platform_labels
    manifests = {platform: _platform(layout, platform, tar, said, entrypoint) for platform in PLATFORMS}
    subject = RouterSubject(
        name=ROUTER_TITLE,
        image_version="0.1.0",
        index=_descriptor(_index(layout, manifests, labels)),
        platforms={
            platform: PlatformSubject(_descriptor(value), packages(platform)) for platform, value in manifests.items()
        },
        lock_digest=f"sha256:{'d' * 64}",
        materials={name: digest for name, digest in MATERIALS.items() if name.startswith("pkg:")},
        distribution="debian",
        version="0.1.0",
    )
    registry = LayoutRegistry(layout)
    build = RouterBuild(RouterBuild.CURRENT, subject.index.digest, "image", attest.run(registry, subject, key))
    build.write(folder / "router.json")
    return MadeRouter(folder, registry, subject, build)


def _index(layout: Path, manifests: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str]) -> dict[str, Any]:
    entries = [
        {**value, "platform": {"os": "linux", "architecture": platform.partition("/")[2]}}
        for platform, value in manifests.items()
    ]
    index = blobs.put_document(
        layout,
        INDEX_TYPE,
        {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries, "annotations": dict(labels)},
    )
    publish(layout, index)
    return index


def packages(platform: str) -> tuple[Package, ...]:
    """Return what a platform's image holds, as its layers' records have it."""
    wheel = hashlib.sha256(platform.encode()).hexdigest()
    return (
        Package("deb", "libstdc++6", "12.2.0-14+deb12u1", "e" * 64, 2_800_000),
        Package("deb", "python3.11-minimal", "3.11.2-6+deb12u6", "f" * 64, 5_000_000),
        Package("pypi", "numpy", "2.3.0", wheel, 30_000_000),
        Package("pypi", "trihull-runtime", "0.1.0", "", 400_000),
    )


def _platform(
    layout: Path, platform: str, model: bytes, labels: Mapping[str, str], entrypoint: tuple[str, ...] = ()
) -> dict[str, Any]:
    system, _, architecture = platform.partition("/")
    tars = [tar_bytes([file("etc/architecture", architecture.encode())]), model]
    layers = [gzip.compress(tar, mtime=0) for tar in tars]
    config = blobs.put_document(
        layout,
        CONFIG_TYPE,
        {
            "os": system,
            "architecture": architecture,
            "config": {"Labels": dict(labels), **({"Entrypoint": list(entrypoint)} if entrypoint else {})},
            "rootfs": {"type": "layers", "diff_ids": [blobs.bytes_digest(tar) for tar in tars]},
        },
    )
    listed = [{"mediaType": LAYER_TYPE, "digest": put_bytes(layout, layer), "size": len(layer)} for layer in layers]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": listed}
    return blobs.put_document(layout, MANIFEST_TYPE, manifest)


def _descriptor(value: Mapping[str, Any]) -> Descriptor:
    return Descriptor(value["mediaType"], value["digest"], value["size"])
