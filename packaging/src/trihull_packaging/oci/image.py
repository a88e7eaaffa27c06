"""The documents of an image, as pure functions: configuration, manifest, index (OCI image specification v1.1)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trihull_packaging.oci.layers import Layer
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, MANIFEST_TYPE

CREATED: Final = "1970-01-01T00:00:01Z"  # the layers' own time; a clock would change every digest
USER: Final = "65532:65532"
ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/opt/trihull/runtime:/opt/trihull/dependencies",
    "PYTHONDONTWRITEBYTECODE": "1",  # the root is read-only, and all bytecode is there
    "PYTHONUNBUFFERED": "1",  # logs appear when they are written
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime's wheels send telemetry by default since 1.29
}


def image_config(
    layers: Sequence[Layer], architecture: str, module: str | None, ports: Sequence[int], labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return an image's configuration: runs `python3 -m module`, or `python3` alone, as a user without rights."""
    return {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": {
            "User": USER,
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Entrypoint": ["/usr/bin/python3", *(("-m", module) if module is not None else ())],
            "ExposedPorts": {f"{port}/tcp": {} for port in ports},
            "Labels": dict(labels),
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            {"created": CREATED, "created_by": "trihull package", "comment": layer.purpose} for layer in layers
        ],
    }


def image_manifest(config: Mapping[str, Any], layers: Sequence[Layer]) -> dict[str, Any]:
    """Return a manifest from the configuration's descriptor and the layers, lowest first."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": dict(config),
        "layers": [
            {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size_bytes} for layer in layers
        ],
    }


def image_index(manifests: Mapping[str, Mapping[str, Any]], annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return an index from platform (`linux/amd64`) -> the manifest's descriptor, and what to say of all of them."""
    entries = []
    for platform, descriptor in sorted(manifests.items()):
        system, _, architecture = platform.partition("/")
        entries.append({**descriptor, "platform": {"os": system, "architecture": architecture}})
    return {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": entries,
        "annotations": dict(sorted(annotations.items())),
    }
