"""From a reference to the facts: reads documents, evidence and, when asked, the layers; decides nothing about display.

Whatever a registry gives is checked before it is used. What cannot be known is left unknown, and a remark says why.
"""

import contextlib
import io
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Final

from trihull_packaging.inspecting import attached, configurations, documents, installed, layers
from trihull_packaging.inspecting.attached import Attached
from trihull_packaging.inspecting.configurations import platform_name
from trihull_packaging.inspecting.facts import (
    AttestationFacts,
    ImageFacts,
    InstalledPackage,
    LayerFacts,
    LayerState,
    PlatformFacts,
)
from trihull_packaging.inspecting.layers import Reading
from trihull_packaging.inspecting.models import model_of
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest, Registry
from trihull_runtime.contract.release import Evaluation, Release

IMAGES_MAX: Final = 100  # of an index: more is no image that anybody made to be run
ENTRIES_MAX: Final = 20 * IMAGES_MAX  # looked through for the one that --platform asks for
MODEL_BYTES: Final = 8 << 20  # a model's layer up to this size is read in any case: it says what the model is
BUILDKIT_KIND: Final = "vnd.docker.reference.type"
BUILDKIT_SUBJECT: Final = "vnd.docker.reference.digest"
Meter = Callable[[int], AbstractContextManager[Callable[[int], None]]]


def unmetered(_: int) -> AbstractContextManager[Callable[[int], None]]:
    """Return a meter that tells nobody."""
    return contextlib.nullcontext(lambda _: None)


@dataclass(frozen=True)
class Options:
    """What to look at.

    Attributes:
        platform: only this one; None is all.
        deep: read the layers' files.
        meter: given the bytes to come, it gives what is told of each piece that arrived.
    """

    platform: str | None = None
    deep: bool = False
    meter: Meter = unmetered


def gather(
    registry: Registry, reference: str, options: Options | None = None, release: Release | None = None
) -> ImageFacts:
    """Return what is known of an image.

    Args:
        registry: holds it.
        reference: a digest or a tag, of an index or of a manifest.
        options: see `Options`.
        release: the release document that names the image, when it is at hand.

    Raises:
        RegistryError: the registry cannot be reached or refuses.
        LayoutError: a document is missing or is not what it should be; no image for the platform.
    """
    options = options or Options()
    top = registry.read_manifest(reference)
    source = f"{registry.name}: {top.digest}"
    media_type, document = documents.manifest(source, top)
    images, foreign, remarks = _images(registry, top, media_type, document, options.platform)
    if not images:
        wanted = f" for {options.platform}" if options.platform else ""
        names = ", ".join(configurations.platforms(source, document)) or "none that says for which"
        raise LayoutError(f"{source} has no image{wanted}; it lists: {names}")
    subjects = dict.fromkeys([top.digest, *(one.manifest.digest for one in images)])
    evidence = [one for subject in subjects for one in attached.attached(registry, subject)]
    readings = _read_layers(registry, images, options)
    platforms = tuple(_platform(one, readings, evidence, registry) for one in images)
    model, model_remarks = model_of(platforms, [one.contents for one in readings.values() if one.contents], release)
    evaluation, evaluation_from = _evaluation(registry, evidence, release)
    return ImageFacts(
        name=registry.name,
        digest=top.digest,
        media_type=media_type,
        index_bytes=len(top.data),
        platforms=platforms,
        model=model,
        evaluation=evaluation,
        evaluation_from=evaluation_from,
        attestations=(*(one.facts for one in evidence), *foreign),
        remarks=(*remarks, *model_remarks),
    )


@dataclass(frozen=True)
class _Image:
    """One platform's documents, read and checked."""

    platform: str
    manifest: Manifest
    config: Descriptor
    config_document: Mapping[str, Any]
    layers: tuple[LayerFacts, ...]


def _images(
    registry: Registry, top: Manifest, media_type: str, document: Mapping[str, Any], platform: str | None
) -> tuple[list[_Image], tuple[AttestationFacts, ...], tuple[str, ...]]:
    """Return the images below what a reference names, BuildKit's attestations among them, and what was left out."""
    source = f"{registry.name}: {top.digest}"
    if media_type in documents.MANIFEST_TYPES:
        images = [_image(registry, top, document, {})]
        return [one for one in images if platform in (None, one.platform)], (), ()
    wanted, foreign, remarks = [], [], []
    for value in documents.items(source, document, "manifests", most=ENTRIES_MAX):
        entry = documents.descriptor(source, value)
        annotations = documents.text_mapping(source, value, "annotations")
        stated = documents.mapping(source, value, "platform")
        if annotations.get(BUILDKIT_KIND) == "attestation-manifest":
            foreign.append((entry, annotations.get(BUILDKIT_SUBJECT, "")))
        elif entry.media_type not in documents.MANIFEST_TYPES:
            remarks.append(f"The index also names {entry.digest}, a {entry.media_type}, which was not read.")
        elif platform is None or not stated or platform_name(source, stated) == platform:
            wanted.append((entry, stated))
    if len(wanted) + len(foreign) > IMAGES_MAX:
        raise LayoutError(
            f"{source} names {len(wanted)} images and {len(foreign)} attestations; at most {IMAGES_MAX} are read"
        )
    images = []
    for entry, stated in wanted:
        inner = registry.read_manifest(entry.digest)
        images.append(_image(registry, inner, documents.image(f"{registry.name}: {entry.digest}", inner), stated))
    kept = sorted((one for one in images if platform in (None, one.platform)), key=lambda one: one.platform)
    subjects = {one.manifest.digest for one in kept}
    listed = [
        facts
        for entry, subject in foreign
        if platform is None or subject in subjects
        for facts in attached.buildkit(registry, entry.digest, subject)
    ]
    return kept, tuple(listed), tuple(remarks)


def _image(registry: Registry, found: Manifest, document: Mapping[str, Any], stated: Mapping[str, Any]) -> _Image:
    source = f"{registry.name}: {found.digest}"
    config = documents.descriptor(f"{source}: config", document.get("config"))
    where = f"{registry.name}: {config.digest}"
    if config.size_bytes > documents.DOCUMENT_BYTES:
        raise LayoutError(f"{where}: a configuration of {config.size_bytes} bytes is not read")
    buffer = io.BytesIO()
    registry.read_blob(config, buffer)
    told = documents.parse(where, buffer.getvalue())
    blobs = [
        documents.descriptor(f"{source}: layers", value)
        for value in documents.items(source, document, "layers", documents.LAYERS_MAX)
    ]
    diff_ids, said = (of(where, told, len(blobs)) for of in (configurations.diff_ids, configurations.purposes))
    layer_facts = tuple(
        LayerFacts(purpose, blob.media_type, blob.digest, diff_id, blob.size_bytes)
        for purpose, blob, diff_id in zip(said, blobs, diff_ids, strict=True)
    )
    return _Image(platform_name(where, stated or told), found, config, told, layer_facts)


def _read_layers(registry: Registry, images: list[_Image], options: Options) -> dict[str, Reading]:
    """Return digest -> reading: of every layer when asked for, else of small models'; a shared one once."""
    wanted = {
        layer.digest: layer
        for one in images
        for layer in one.layers
        if options.deep or (layer.purpose.startswith("model ") and layer.size_bytes <= MODEL_BYTES)
    }
    with options.meter(sum(layer.size_bytes for layer in wanted.values())) as advance:
        return {
            digest: layers.read_layer(
                registry, Descriptor(layer.media_type, digest, layer.size_bytes), layer.diff_id, advance=advance
            )
            for digest, layer in wanted.items()
        }


def _platform(
    image: _Image, readings: Mapping[str, Reading], evidence: list[Attached], registry: Registry
) -> PlatformFacts:
    """Return one platform's facts; its packages come from a bill of materials, else from the layers that were read."""
    found = [readings.get(layer.digest) for layer in image.layers]
    contents = [one.contents for one in found if one is not None and one.contents is not None]
    complete = len(contents) == len(image.layers)
    files, texts = layers.merged(contents) if complete else ({}, {})
    packages: tuple[InstalledPackage, ...] | None = None
    packages_from = "not known: no SBOM attached, and the layers were not read (--deep reads them)"
    if complete:
        packages, packages_from = installed.packages(files, texts), "the layers' files"
    elif any(one is not None and one.state not in (LayerState.READ, LayerState.UNREAD) for one in found):
        packages_from = "not known: no SBOM attached, and not every layer could be read"
    for one in evidence:
        source = f"{registry.name}: evidence {one.facts.digest}"
        bill = attached.bill_packages(source, one.statement) if one.facts.subject == image.manifest.digest else None
        if bill is not None:
            packages, packages_from = bill, f"SBOM {one.facts.digest}"
    where = f"{registry.name}: {image.config.digest}"
    return PlatformFacts(
        platform=image.platform,
        digest=image.manifest.digest,
        manifest_bytes=len(image.manifest.data),
        config_digest=image.config.digest,
        config_bytes=image.config.size_bytes,
        layers=tuple(_layer(layer, one) for layer, one in zip(image.layers, found, strict=True)),
        configuration=configurations.configuration(where, image.config_document),
        shells=installed.shells(files) if complete else None,
        packages=packages,
        packages_from=packages_from,
    )


def _layer(layer: LayerFacts, reading: Reading | None) -> LayerFacts:
    if reading is None:
        return layer
    size = reading.contents.size_bytes if reading.contents else None
    return replace(layer, unpacked_bytes=size, state=reading.state, detail=reading.detail)


def _evaluation(registry: Registry, evidence: list[Attached], release: Release | None) -> tuple[Evaluation | None, str]:
    if release is not None:
        return release.evaluation, "release.json"
    for one in evidence:
        found = attached.gate_evaluation(f"{registry.name}: evidence {one.facts.digest}", one.statement)
        if found is not None:
            return found, f"evidence {one.facts.digest}"
    return None, ""
