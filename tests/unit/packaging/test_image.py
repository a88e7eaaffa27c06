"""The image's documents: their exact bytes are what a digest names, so a change must be seen and meant."""

import json
from pathlib import Path

import pytest

from trihull_packaging import builder
from trihull_packaging.oci import image
from trihull_packaging.oci.layers import Layer
from trihull_packaging.steps import index
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.artifacts.registry.layout import platform_image

GOLDEN = Path(__file__).parents[2] / "golden" / "packaging"


def layer(letter: str, purpose: str) -> Layer:
    return Layer(Path(letter), f"sha256:{letter * 64}", f"sha256:{letter * 63}0", 100, purpose)


TITLE = {"org.opencontainers.image.title": "digits"}
LAYERS = (layer("a", "base"), layer("b", "dependencies"), layer("c", "runtime"), layer("d", "model digits 1.0.0"))


def test_the_documents_are_the_golden_ones() -> None:
    config = image.image_config(LAYERS, "amd64", "trihull_runtime.server", builder.SERVER_PORTS, TITLE)
    descriptor = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{'e' * 64}", "size": 9}
    manifest = image.image_manifest(descriptor, LAYERS)
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{'f' * 64}", "size": 8}
    documents = {"config": config, "manifest": manifest, "index": image.image_index({"linux/amd64": entry}, TITLE)}
    for name, document in documents.items():
        golden = (GOLDEN / f"image_{name}.json").read_text(encoding="utf-8")
        assert json.dumps(document, indent=2) + "\n" == golden, f"{name}: changes every image's digest; is that meant?"


def test_platforms_stand_in_one_order() -> None:
    entry = {"mediaType": "x", "digest": "y", "size": 1}
    one = image.image_index({"linux/arm64": entry, "linux/amd64": entry}, {"b": "2", "a": "1"})
    assert document_bytes(one) == document_bytes(
        image.image_index({"linux/amd64": entry, "linux/arm64": entry}, {"a": "1", "b": "2"})
    )
    assert [item["platform"]["architecture"] for item in one["manifests"]] == ["amd64", "arm64"]


def test_a_written_layout_is_a_published_image(tmp_path: Path) -> None:
    from trihull_packaging.oci import layers, tars

    (tmp_path / "layer").mkdir()
    made = layers.write_layer([tars.Entry("a", data=b"x", mode=0o644)], tmp_path / "layer", "model", (), tars.FAST)
    platforms = {"linux/arm64": [made], "linux/amd64": [made]}
    indexed = index.run(tmp_path / "image", platforms, "trihull_runtime.server", (8080,), {})
    assert list(indexed.manifests) == ["linux/amd64", "linux/arm64"]
    found = platform_image(tmp_path / "image", indexed.index.digest, "linux/arm64")
    assert found.config["rootfs"]["diff_ids"] == [made.diff_id]
    assert found.config["config"]["Entrypoint"] == ["/usr/bin/python3", "-m", "trihull_runtime.server"]
    assert found.layers[0].read_bytes() == made.path.read_bytes()


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "ORT_DISABLE_TELEMETRY", "PATH", "LANG"])
def test_the_environment_that_the_runtime_relies_on_is_set(name: str) -> None:
    assert image.ENVIRONMENT[name]
