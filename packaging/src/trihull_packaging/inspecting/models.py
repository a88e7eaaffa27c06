"""Which model is in an image: from its own manifest where its layer was read, else from labels and release.json."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from trihull_packaging.inspecting.facts import ModelFacts, PlatformFacts
from trihull_packaging.inspecting.layers import LayerContents
from trihull_runtime.artifacts.evidence.contents import RELEASE_LABEL, TITLE_LABEL, VERSION_LABEL
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.manifest import MANIFEST_FILE, ModelManifest, release_digest
from trihull_runtime.contract.release import Release

MANIFEST_PATH: Final = re.compile(rf"models/[^/]+/{re.escape(MANIFEST_FILE)}")


def model_of(
    platforms: Sequence[PlatformFacts], contents: Sequence[LayerContents], release: Release | None
) -> tuple[ModelFacts | None, tuple[str, ...]]:
    """Return the model in an image, and remarks on what contradicts itself.

    Args:
        platforms: of the image, with their labels.
        contents: the layers that were read.
        release: the document that names the image, when it is at hand.
    """
    labels: Mapping[str, str] = platforms[0].configuration.labels if platforms else {}
    stated = {one.configuration.labels.get(RELEASE_LABEL, "") for one in platforms}
    remarks = ["The platforms' labels name different releases."] if len(stated) > 1 else []
    text, problem = _manifest_text(contents)
    remarks += problem
    if text is not None:
        try:
            manifest = ModelManifest.parse(text)
        except ContractError as error:
            remarks.append(f"The model's {MANIFEST_FILE} cannot be read: {error}.")
        else:
            digest = release_digest(text)
            if stated - {"", digest}:
                remarks.append(f"The label {RELEASE_LABEL} is not the digest of the model's {MANIFEST_FILE}, {digest}.")
            if release is not None and release.release_digest != digest:
                remarks.append(f"release.json names another release than the model in the image, {digest}.")
            return _from_manifest(manifest, digest), tuple(remarks)
    if release is not None:
        model = release.model
        facts = ModelFacts(model.name, model.version, "", "", (), model.signature, release.release_digest)
        return facts, tuple(remarks)
    if RELEASE_LABEL not in labels:
        return None, tuple(remarks)
    name, version = labels.get(TITLE_LABEL, ""), labels.get(VERSION_LABEL, "")
    return ModelFacts(name, version, "", "", (), None, labels[RELEASE_LABEL]), tuple(remarks)


def _from_manifest(manifest: ModelManifest, digest: str) -> ModelFacts:
    return ModelFacts(
        manifest.name,
        manifest.model_version,
        manifest.framework,
        manifest.format,
        manifest.classes,
        manifest.signature,
        digest,
    )


def _manifest_text(contents: Sequence[LayerContents]) -> tuple[bytes | None, list[str]]:
    """Return the model's manifest; None when no layer that was read has one, or when there are several."""
    found = {text for one in contents for path, text in one.texts.items() if MANIFEST_PATH.fullmatch(path)}
    if len(found) > 1:
        return None, [f"There are {len(found)} models in the image; none of them is shown."]
    return (found.pop() if found else None), []
