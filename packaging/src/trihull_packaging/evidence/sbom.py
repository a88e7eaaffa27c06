"""The bill of materials of one platform's image: CycloneDX 1.6, without a clock and a random serial number."""

import json
import uuid
from typing import Any, Final

from trihull_packaging.contents import Package
from trihull_packaging.evidence import purls
from trihull_packaging.evidence.subject import RouterSubject, Subject
from trihull_runtime.artifacts.evidence.predicates import MODEL_COMPONENT, SIZE_PROPERTY
from trihull_runtime.contract.manifest import Tensor

SERIALS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://trihull.dev/sbom")  # the same content, the same number


def document(subject: Subject | RouterSubject, platform: str) -> dict[str, Any]:
    """Return the document for one platform: its packages, and a release's model as a component of its own."""
    found, architecture = subject.platforms[platform], platform.partition("/")[2]
    models = _models(subject) if isinstance(subject, Subject) else []
    components = [*models, *_packages(found.packages, subject.distribution, architecture)]
    described = {
        "type": "container",
        "bom-ref": "image",
        "name": subject.name,
        "version": subject.image_version,
        "purl": purls.oci(subject.name, found.manifest.digest, {"arch": architecture}),
        "hashes": _hashes(found.manifest.digest),
    }
    value = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "trihull-packaging", "version": subject.version}]},
            "component": described,
        },
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [component["bom-ref"] for component in components]}],
    }
    serial = uuid.uuid5(SERIALS, json.dumps(value, sort_keys=True))
    return {**value, "serialNumber": f"urn:uuid:{serial}"}


def _packages(packages: tuple[Package, ...], distribution: str, architecture: str) -> list[dict[str, Any]]:
    sizes: dict[str, int] = {}
    known: dict[str, Package] = {}
    for package in packages:
        purl = purls.of_package(package, distribution, architecture)
        known.setdefault(purl, package)
        sizes[purl] = sizes.get(purl, 0) + package.size_bytes
    return [
        {
            "type": "library",
            "bom-ref": purl,
            "name": package.name,
            "version": package.version,
            "purl": purl,
            **({"hashes": _hashes(package.sha256)} if package.sha256 else {}),
            "properties": [{"name": SIZE_PROPERTY, "value": str(sizes[purl])}],
        }
        for purl, package in sorted(known.items())
    ]


def _models(subject: Subject) -> list[dict[str, Any]]:
    """Return a component for every file of the model; that which is served says what it takes and how good it is."""
    manifest = subject.manifest
    result = []
    for name, file in sorted(manifest.files.items()):
        component: dict[str, Any] = {
            "type": MODEL_COMPONENT,
            "bom-ref": f"model:{name}",
            "name": manifest.name,
            "version": manifest.model_version,
            "description": f"/models/{manifest.name}/{name}",
            "hashes": _hashes(file.digest),
            "properties": [{"name": SIZE_PROPERTY, "value": str(file.size_bytes)}],
        }
        if name == manifest.model_file:
            component["modelCard"] = {
                "modelParameters": {
                    "task": "classification",
                    "inputs": [{"format": _format(tensor)} for tensor in manifest.signature.inputs],
                    "outputs": [{"format": _format(tensor)} for tensor in manifest.signature.outputs],
                },
                "quantitativeAnalysis": {
                    "performanceMetrics": [
                        {"type": metric, "value": f"{value:.6g}"}
                        for metric, value in sorted(subject.evaluation.metrics.items())
                    ]
                },
            }
        result.append(component)
    return result


def _format(tensor: Tensor) -> str:
    return f"{tensor.name} {tensor.datatype.value} {list(tensor.shape)}"


def _hashes(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]
