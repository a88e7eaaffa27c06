"""The image: blobs and documents of an OCI layout that holds one index."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trihull_packaging.oci import image
from trihull_packaging.oci.layers import Layer
from trihull_runtime.artifacts.registry.blobs import put_document, put_file
from trihull_runtime.artifacts.registry.layout import CONFIG_TYPE, INDEX_TYPE, MANIFEST_TYPE, publish


def run(
    layout: Path,
    layers: Sequence[Layer],
    architecture: str,
    module: str,
    ports: Sequence[int],
    labels: Mapping[str, str],
) -> str:
    """Write a layout and return its index's digest; what each argument means: `image.image_config`."""
    for layer in layers:
        put_file(layout, layer.path, layer.digest)
    config = image.image_config(layers, architecture, module, ports, labels)
    config_descriptor = put_document(layout, CONFIG_TYPE, config)
    manifest = image.image_manifest(config_descriptor, layers)
    manifest_descriptor = put_document(layout, MANIFEST_TYPE, manifest)
    index = image.image_index({f"linux/{architecture}": manifest_descriptor})
    descriptor = put_document(layout, INDEX_TYPE, index)
    publish(layout, descriptor)
    return str(descriptor["digest"])
