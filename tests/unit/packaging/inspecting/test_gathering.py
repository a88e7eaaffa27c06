"""What `inspect` knows of an image, from what a registry gives."""

import json
from typing import Any

import pytest

from tests.unit.packaging.inspecting import images
from tests.unit.packaging.inspecting.images import Memory
from tests.unit.runtime.artifacts.images import tar_bytes
from trihull_packaging.inspecting.facts import LayerState
from trihull_packaging.inspecting.gathering import Options, gather
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.layout import LAYER_TYPE, MANIFEST_TYPE
from trihull_runtime.contract.release import Verdict

DEEP = Options(deep=True)


def test_an_index_says_platforms_layers_purposes_and_how_it_runs() -> None:
    registry = Memory()
    facts = gather(registry, images.two_platforms(registry))
    assert [one.platform for one in facts.platforms] == ["linux/amd64", "linux/arm64"]
    one = facts.platforms[0]
    assert [layer.purpose for layer in one.layers] == ["base: 1 package", "dependencies", "model digits 1.0.0"]
    assert [layer.size_bytes for layer in one.layers] == [len(registry.blobs[layer.digest]) for layer in one.layers]
    assert one.configuration.user == "65532:65532"
    assert one.configuration.environment == {"PATH": "/usr/bin", "ORT_DISABLE_TELEMETRY": "1"}
    assert one.configuration.ports == ("8080/tcp",)
    assert facts.size_bytes == one.size_bytes, "layers that the platforms share count once"


def test_the_model_is_read_from_its_own_small_layer_and_no_other_layer_is_fetched() -> None:
    registry = Memory()
    facts = gather(registry, images.two_platforms(registry))
    assert facts.model is not None
    assert (facts.model.name, facts.model.version, facts.model.format) == ("digits", "1.0.0", "onnx")
    assert facts.model.classes == ("0", "1", "2")
    assert facts.model.signature is not None
    layers = facts.platforms[0].layers
    assert [layer.digest for layer in layers if layer.digest in registry.read] == [layers[-1].digest]
    assert registry.read.count(layers[-1].digest) == 1, "shared by both platforms, read once"


def test_a_deep_look_finds_packages_sizes_and_shells() -> None:
    registry = Memory()
    made = images.parts()
    made.layers["base: 1 package"] = {**images.BASE, "bin/sh": b"#!"}
    one = gather(registry, images.two_platforms(registry, made), DEEP).platforms[0]
    assert [(found.kind, found.name, found.version, found.size_bytes) for found in one.packages or ()] == [
        ("deb", "libc6", "2.36-9", 13001 * 1024),
        ("pypi", "numpy", "2.4.6", 5000 + 4000 + len(b"Name: numpy\nVersion: 2.4.6\n\nName: not")),
    ]
    assert one.shells == ("/bin/sh",)
    assert one.unpacked_bytes == sum(len(tar_bytes(images.files(named))) for named in made.layers.values())
    assert {layer.state for layer in one.layers} == {LayerState.READ}


def test_without_evidence_and_without_a_deep_look_the_packages_are_not_known_and_it_says_why() -> None:
    registry = Memory()
    one = gather(registry, images.two_platforms(registry)).platforms[0]
    assert one.packages is None
    assert one.packages_from.startswith("not known: no SBOM attached")
    assert one.shells is None


@pytest.mark.parametrize("signed", [True, False])
def test_an_attached_bill_of_materials_says_the_packages_of_its_own_platform(signed: bool) -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    amd64 = json.loads(registry.blobs[digest])["manifests"][0]["digest"]
    bill = images.attach(registry, amd64, "https://cyclonedx.org/bom", images.bill(numpy=9, onnx=7), signed=signed)
    facts = gather(registry, digest, DEEP)
    one, other = facts.platforms
    assert [(found.name, found.size_bytes) for found in one.packages or ()] == [("numpy", 9), ("onnx", 7)]
    assert one.packages_from == f"SBOM {bill}"
    assert other.packages_from == "the layers' files"
    assert [(one.predicate_type, one.subject, one.signed) for one in facts.attestations] == [
        ("https://cyclonedx.org/bom", amd64, signed)
    ]


def test_metrics_come_from_the_gate_s_evidence_when_no_release_document_is_at_hand() -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    gate = {"metric": "accuracy", "minimum": 0.9, "value": 0.95, "passed": True}
    predicate = {"metrics": {"accuracy": 0.95}, "gates": [gate], "verdict": "passed"}
    evidence = images.attach(registry, digest, "https://trihull.dev/gate/v1", predicate, signed=True)
    facts = gather(registry, digest)
    assert facts.evaluation is not None
    assert facts.evaluation.verdict is Verdict.PASSED
    assert facts.evaluation.gates[0].minimum == 0.9
    assert facts.evaluation_from == f"evidence {evidence}"


def test_one_platform_can_be_asked_for_and_no_other_is_read() -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    other = json.loads(registry.blobs[digest])["manifests"][0]["digest"]
    del registry.blobs[other]
    facts = gather(registry, digest, Options(platform="linux/arm64"))
    assert [one.platform for one in facts.platforms] == ["linux/arm64"]


def test_a_platform_that_is_not_there_is_refused_with_those_that_are() -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    with pytest.raises(LayoutError, match=r"no image for linux/s390x; it lists: linux/amd64, linux/arm64"):
        gather(registry, digest, Options(platform="linux/s390x"))


def test_a_docker_list_with_buildkit_s_attestations_is_read() -> None:
    registry = Memory()
    entry = images.image(registry, images.parts(), "linux/arm64/v8")
    manifest = {**json.loads(registry.blobs[entry["digest"]]), "mediaType": images.DOCKER_MANIFEST}
    for layer in manifest["layers"]:
        layer["mediaType"] = images.DOCKER_LAYER
    entry = {**registry.document(images.DOCKER_MANIFEST, manifest)}
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    statement = {**registry.document("application/vnd.in-toto+json", {"any": "thing"})}
    statement["annotations"] = {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
    attestation = registry.document(
        MANIFEST_TYPE, {"mediaType": MANIFEST_TYPE, "config": statement, "layers": [statement]}
    )
    kind = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": entry["digest"],
    }
    unknown = {**attestation, "platform": {"os": "unknown", "architecture": "unknown"}, "annotations": kind}
    digest = images.index(registry, {**entry, "platform": platform}, unknown, media_type=images.DOCKER_LIST)
    facts = gather(registry, digest, Options(deep=True))
    assert [one.platform for one in facts.platforms] == ["linux/arm64"]
    assert facts.platforms[0].unpacked_bytes
    assert [(one.predicate_type, one.subject) for one in facts.attestations] == [
        ("https://slsa.dev/provenance/v0.2", entry["digest"])
    ]


def test_a_manifest_that_stands_alone_says_its_platform_by_its_configuration() -> None:
    registry = Memory()
    entry = images.image(registry, images.parts(), "linux/arm64")
    registry.tags["latest"] = entry["digest"]
    facts = gather(registry, "latest")
    assert (facts.digest, [one.platform for one in facts.platforms]) == (entry["digest"], ["linux/arm64"])


def test_what_an_index_names_beside_images_is_remarked() -> None:
    registry = Memory()
    thing = registry.document("application/vnd.example+json", {})
    facts = gather(registry, images.index(registry, images.image(registry, images.parts()), thing))
    assert len(facts.remarks) == 1
    assert "application/vnd.example+json, which was not read" in facts.remarks[0]


def test_a_zstd_layer_is_named_and_not_read() -> None:
    registry = Memory()

    def zstd(manifest: dict[str, Any]) -> None:
        manifest["layers"][1]["mediaType"] = LAYER_TYPE.replace("gzip", "zstd")

    one = gather(registry, images.changed(registry, images.two_platforms(registry), zstd), DEEP).platforms[0]
    assert one.layers[1].state is LayerState.UNSUPPORTED
    assert one.layers[1].detail == "application/vnd.oci.image.layer.v1.tar+zstd is not read"
    assert one.packages_from == "not known: no SBOM attached, and not every layer could be read"


def test_missing_and_damaged_layers_are_said_and_the_rest_is_shown() -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    layers = gather(registry, digest).platforms[0].layers
    del registry.blobs[layers[0].digest]
    registry.blobs[layers[1].digest] = registry.blobs[layers[1].digest][:-20]
    facts = gather(registry, digest, DEEP)
    assert [layer.state for layer in facts.platforms[0].layers] == [
        LayerState.DAMAGED,
        LayerState.DAMAGED,
        LayerState.READ,
    ]
    assert len(facts.damage) == 4, "two layers of two platforms"


def test_a_layer_that_unpacks_to_something_else_is_damaged() -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    one, other, _ = gather(registry, digest).platforms[0].layers
    registry.blobs[one.digest] = registry.blobs[other.digest]
    found = gather(registry, digest, DEEP).platforms[0].layers[0]
    assert found.state is LayerState.DAMAGED
    assert found.detail == f"unpacks to {other.diff_id} instead of {one.diff_id}"


def test_a_label_that_names_another_release_than_the_model_is_remarked() -> None:
    registry = Memory()
    made = images.parts()
    made.config["Labels"]["dev.trihull.release"] = f"sha256:{'0' * 64}"
    facts = gather(registry, images.two_platforms(registry, made))
    assert len(facts.remarks) == 1
    assert "is not the digest of the model's manifest.json" in facts.remarks[0]
