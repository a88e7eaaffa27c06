"""Images that are not what they should be: problems that are told, never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import released
from tests.released import Made
from trihull_runtime.artifacts.evidence import contents
from trihull_runtime.artifacts.registry import blobs
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return released.make(tmp_path / "release", attested=False)


def document(made: Made, digest: str) -> dict[str, Any]:
    value = json.loads(blobs.blob_path(made.registry.folder, digest).read_bytes())
    assert isinstance(value, dict)
    return value


def store(made: Made, value: object) -> dict[str, Any]:
    data = json.dumps(value).encode()
    digest = blobs.bytes_digest(data)
    blobs.put_bytes(made.registry.folder, digest, data)
    return {"digest": digest, "size": len(data)}


def with_manifest(made: Made, change: Callable[[dict[str, Any]], object]) -> str:
    """Return an index whose first manifest was changed."""
    index = document(made, made.digest)
    manifest = document(made, index["manifests"][0]["digest"])
    change(manifest)
    index["manifests"][0].update(store(made, manifest))
    return str(store(made, index)["digest"])


def with_config(made: Made, change: Callable[[dict[str, Any]], object]) -> str:
    def through(manifest: dict[str, Any]) -> None:
        config = document(made, manifest["config"]["digest"])
        change(config)
        manifest["config"].update(store(made, config))

    return with_manifest(made, through)


def test_a_whole_image_has_no_problems(made: Made) -> None:
    found = contents.read(made.registry, made.digest)
    assert (found.problems, found.model_problems) == ([], [])
    assert [(platform.name, platform.own_name) for platform in found.platforms] == [
        (name, name) for name in released.PLATFORMS
    ]
    assert found.model is not None
    assert found.model.release_digest == made.subject.release_digest


@pytest.mark.parametrize(
    ("manifests", "said"),
    [
        (None, "no image index"),
        ({}, "no image index"),
        ([], "lists 0 manifests; expected 1 to 50"),
        ([{}] * 51, "lists 51 manifests; expected 1 to 50"),
        ([7], "expected a descriptor"),
        ([{"mediaType": INDEX_TYPE, "digest": f"sha256:{'a' * 64}", "size": 1}], "which is no image"),
        ([{"mediaType": INDEX_TYPE, "digest": "../../etc/passwd", "size": 1}], "expected a descriptor"),
        ([{"mediaType": INDEX_TYPE, "digest": f"sha256:{'a' * 64}", "size": True}], "expected a descriptor"),
    ],
)
def test_an_index_of_another_form_is_told(made: Made, manifests: object, said: str) -> None:
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
    found = contents.read(made.registry, str(store(made, index)["digest"]))
    assert len(found.problems) == 1
    assert said in found.problems[0]
    assert found.platforms == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(layers=7), "layers: expected a list"),
        (lambda manifest: manifest.update(layers=[]), "layers: expected a list of 1 to 500"),
        (lambda manifest: manifest.update(layers=[None]), "expected a descriptor"),
        (lambda manifest: manifest.pop("config"), "expected a descriptor"),
        (lambda manifest: manifest["config"].update(size=1), "bytes instead of 1"),
        (lambda manifest: manifest["config"].update(size=1 << 40), "more than"),
        (lambda manifest: manifest["layers"].pop(), "has 1 layers, its configuration 2"),
        (lambda manifest: manifest["layers"][0].update(size=3), "is listed with|bytes instead of 3"),
    ],
)
def test_a_manifest_of_another_form_is_told(made: Made, change: Callable[[dict[str, Any]], object], said: str) -> None:
    found = contents.read(made.registry, with_manifest(made, change))
    assert any(any(part in problem for part in said.split("|")) for problem in found.problems), found.problems


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(rootfs=7),
        lambda config: config.update(rootfs={"diff_ids": "abc"}),
        lambda config: config.update(config=[], os=None, architecture={}),
        lambda config: config["config"].update(Labels=["a"]),
    ],
)
def test_a_configuration_of_another_form_does_not_stop_the_rest(
    made: Made, change: Callable[[dict[str, Any]], object]
) -> None:
    found = contents.read(made.registry, with_config(made, change))
    assert [platform.name for platform in found.platforms] == list(released.PLATFORMS)
    assert found.model is not None or found.model_problems


def test_platforms_with_models_of_their_own_are_told(made: Made) -> None:
    def swap(manifest: dict[str, Any]) -> None:
        manifest["layers"].reverse()

    found = contents.read(made.registry, with_manifest(made, swap))
    assert "the platforms do not share one uppermost layer" in found.model_problems[0]
