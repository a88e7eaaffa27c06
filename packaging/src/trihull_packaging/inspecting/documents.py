"""Documents of an image that nobody has to trust: every value is checked for its type before it is used."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest
from trihull_runtime.contract.codec import DIGEST

DOCUMENT_BYTES: Final = 4 << 20  # the distribution specification's bound for manifests; ours for every JSON document
SIZE_MAX: Final = 1 << 63  # as registries count
LAYERS_MAX: Final = 1000  # of a manifest: Linux stacks 500
INDEX_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)


def parse(source: str, data: bytes) -> dict[str, Any]:
    """Return a JSON object; `source` is what errors call it.

    Raises:
        LayoutError: not JSON, too large, or no object.
    """
    if len(data) > DOCUMENT_BYTES:
        raise LayoutError(f"{source}: has {len(data)} bytes; documents of at most {DOCUMENT_BYTES >> 20} MiB are read")
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{source}: is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise LayoutError(f"{source}: expected a JSON object, found {type(value).__name__}")
    return value


def _no_constant(token: str) -> float:
    raise ValueError(f"{token} is not a JSON number")


def manifest(source: str, found: Manifest) -> tuple[str, dict[str, Any]]:
    """Return a manifest's or an index's media type and its fields.

    What it says of itself counts before what the registry says of it; documents that say nothing are known by their
    fields (OCI image specification v1.0 left `mediaType` out).
    """
    document = parse(source, found.data)
    said = text(source, document, "mediaType") or found.media_type
    known = INDEX_TYPES | MANIFEST_TYPES
    if said not in known:
        said = "application/vnd.oci.image.index.v1+json" if "manifests" in document else said
        said = "application/vnd.oci.image.manifest.v1+json" if "layers" in document and "config" in document else said
    if said not in known:
        raise LayoutError(f"{source}: is a {said!r:.120}, no image and no index of images")
    return said, document


def image(source: str, found: Manifest) -> dict[str, Any]:
    """Return the fields of one image's manifest; raises `LayoutError` when it is an index or something else."""
    media_type, document = manifest(source, found)
    if media_type not in MANIFEST_TYPES:
        raise LayoutError(f"{source}: is an index inside an index, which is not read")
    return document


def descriptor(source: str, value: Any) -> Descriptor:
    """Return a descriptor; raises `LayoutError` unless it has a media type, a SHA-256 digest and a size."""
    fields = value if isinstance(value, dict) else {}
    media_type, digest, size = fields.get("mediaType"), fields.get("digest"), fields.get("size")
    artifact_type = fields.get("artifactType")
    if (
        not isinstance(media_type, str)
        or not isinstance(digest, str)
        or re.fullmatch(DIGEST, digest) is None
        or type(size) is not int
        or not 0 <= size < SIZE_MAX
        or not isinstance(artifact_type, str | None)
    ):
        raise LayoutError(f"{source}: expected a descriptor with mediaType, digest and size, found {value!r:.160}")
    return Descriptor(media_type, digest, size, artifact_type)


def items(source: str, document: Mapping[str, Any], key: str, most: int) -> list[Any]:
    """Return a list of at most `most` values."""
    value = document.get(key)
    if not isinstance(value, list):
        raise LayoutError(f"{source}: {key}: expected a list, found {type(value).__name__}")
    if len(value) > most:
        raise LayoutError(f"{source}: {key}: holds {len(value)} entries; at most {most} are read")
    return value


def mapping(source: str, document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object; an absent one is empty."""
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LayoutError(f"{source}: {key}: expected an object, found {type(value).__name__}")
    return value


def text(source: str, document: Mapping[str, Any], key: str) -> str:
    """Return a text; an absent one is empty."""
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise LayoutError(f"{source}: {key}: expected a text, found {type(value).__name__}")
    return value


def texts(source: str, document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a list of texts; an absent one is empty."""
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise LayoutError(f"{source}: {key}: expected a list of texts")
    return tuple(value)


def text_mapping(source: str, document: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return an object of texts; an absent one is empty."""
    value = mapping(source, document, key)
    if not all(isinstance(item, str) for item in value.values()):
        raise LayoutError(f"{source}: {key}: expected an object of texts")
    return value
