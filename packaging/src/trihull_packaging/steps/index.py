"""The image: blobs and documents of an OCI layout that holds one index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trihull_packaging.oci import image
from trihull_packaging.oci.layers import Layer
from trihull_runtime.artifacts.evidence.contents import TITLE_LABEL, VERSION_LABEL
from trihull_runtime.artifacts.registry.blobs import link_file, put_document
from trihull_runtime.artifacts.registry.layout import CONFIG_TYPE, INDEX_TYPE, MANIFEST_TYPE, TAG, publish
from trihull_runtime.artifacts.registry.protocol import Descriptor


@dataclass(frozen=True)
class Indexed:
    """What was written: the index, and platform (`linux/amd64`) -> its manifest."""

    index: Descriptor
    manifests: Mapping[str, Descriptor]


def run(
    layout: Path,
    platforms: Mapping[str, Sequence[Layer]],
    module: str | None,
    ports: Sequence[int],
    labels: Mapping[str, str],
) -> Indexed:
    """Write a layout.

    Args:
        layout: a new folder, in an output that is not yet in its place.
        platforms: `linux/amd64` and the like -> layers, lowest first.
        module: what the image runs, as `image.image_config` has it; likewise the rest.
        ports: that it listens on.
        labels: of the image; the index carries them as annotations.
    """
    for layer in {layer.digest: layer for layers in platforms.values() for layer in layers}.values():
        link_file(layout, layer.path, layer.digest)
    manifests = {}
    for platform, layers in sorted(platforms.items()):
        config = image.image_config(layers, platform.partition("/")[2], module, ports, labels)
        manifest = image.image_manifest(put_document(layout, CONFIG_TYPE, config, durable=False), layers)
        manifests[platform] = put_document(layout, MANIFEST_TYPE, manifest, durable=False)
    top = put_document(layout, INDEX_TYPE, image.image_index(manifests, labels), durable=False)
    name = labels.get(VERSION_LABEL) or labels.get(TITLE_LABEL, "image")
    named = {**top, "annotations": {TAG: name}}  # tools that choose by tag find it beside its evidence
    publish(layout, named, durable=False)
    return Indexed(_descriptor(top), {platform: _descriptor(found) for platform, found in manifests.items()})


def _descriptor(value: Mapping[str, object]) -> Descriptor:
    size = value["size"]
    assert isinstance(size, int)
    return Descriptor(str(value["mediaType"]), str(value["digest"]), size)
