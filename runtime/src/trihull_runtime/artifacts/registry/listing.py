"""What refers to a manifest, as a registry lists it: by its own referrers API, else under a tag that stands in for it.

Source: OCI distribution specification v1.1, "Listing Referrers" and "Referrers Tag Schema".
"""

import json
from collections.abc import Iterable
from typing import Any, Final

import requests

from trihull_runtime.artifacts.errors import ContentError
from trihull_runtime.artifacts.registry.connection import AnsweredError, Connection
from trihull_runtime.artifacts.registry.downloads import document_of
from trihull_runtime.artifacts.registry.protocol import Manifest, subject_of

WITHOUT_REFERRERS: Final = (400, 404, 405)  # what registries answer that never heard of the referrers API
PARTS_MAX: Final = 100  # of one list


def own(connection: Connection, digest: str) -> list[dict[str, Any]] | None:
    """Return the entries of a registry's own list, None when it has no such lists.

    Raises:
        ContentError: it is no list, or has no end.
        RegistryError: the registry does not give it.
    """
    what, following = f"referrers of {digest}", ""

    def consume(response: requests.Response) -> list[dict[str, Any]]:
        nonlocal following
        following = str(response.links.get("next", {}).get("url", ""))  # distribution specification: in parts
        return entries(document_of(response, f"{connection.name}: {what}"), f"{connection.name}: {what}")

    result: list[dict[str, Any]] = []
    address = f"referrers/{digest}"
    try:
        for _ in range(PARTS_MAX):
            result += connection.request(
                "get", address, f"asking what refers to {digest}", expect=(200,), consume=consume, stream=True
            )
            if not following:
                return result
            address = following
        raise ContentError(f"{connection.name}: {what}: the list has no end; refused")
    except AnsweredError as error:
        if error.status not in WITHOUT_REFERRERS:
            raise
    return None


def entries(data: bytes, what: str) -> list[dict[str, Any]]:
    """Return the entries of a list; `what` is what errors call it. Raises `ContentError` when it is none."""
    try:
        found = json.loads(data)["manifests"]
        valid = isinstance(found, list) and all(isinstance(entry, dict) for entry in found)
    except (ValueError, KeyError, TypeError, RecursionError):
        valid, found = False, []
    if not valid:
        raise ContentError(f"{what}: is no index")
    return list(found)


def entry(manifest: Manifest) -> dict[str, Any]:
    """Return what a list says of a manifest."""
    document = json.loads(manifest.data)
    kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
    result = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.data),
        "artifactType": kind,
    }
    annotations = document.get("annotations")
    return {**result, "annotations": annotations} if annotations else result


def by_subject(documents: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """Return subject -> the manifests that refer to it."""
    result: dict[str, list[Manifest]] = {}
    for document in documents:
        subject = subject_of(json.loads(document.data))
        assert subject is not None, f"{document.digest} refers to nothing"
        result.setdefault(subject, []).append(document)
    return result


def fallback(digest: str) -> str:
    """Return the tag that lists what refers to a digest."""
    return digest.replace(":", "-")
