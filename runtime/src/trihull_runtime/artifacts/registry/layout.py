"""An OCI image layout on disk: what lies in it, what it names, and one platform's image out of it.

A layout is content-addressed and several images may share it. `index.json` names what is published, and it is written
last: an image that is not yet complete cannot be seen. Source: OCI image specification v1.1, image-layout.md.
"""

import contextlib
import fcntl
import os
import platform as host
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.blobs import (
    DOCUMENT_BYTES,
    blob_path,
    document_bytes,
    parse_document,
    read_document,
    verify_blob,
    write,
)
from trihull_runtime.artifacts.registry.unpacking import unpack_layers

INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
TAG: Final = "org.opencontainers.image.ref.name"  # annotation of an entry of index.json (image specification)
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class PlatformImage:
    """One platform's image: its manifest's digest, its configuration, and its layers' files, lowest first.

    The digests of all of them were verified when this was made.
    """

    digest: str
    platform: str
    config: Mapping[str, Any]
    layers: tuple[Path, ...]


def host_platform() -> str:
    """Return this machine's platform as images name it: `linux/amd64`, `linux/arm64`.

    Containers are Linux also where the machine is not.
    """
    machine = host.machine().lower()
    return f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def publish(layout: Path, *descriptors: Mapping[str, Any], durable: bool = True) -> None:
    """Name images in `index.json`, making the layout when it is new. Their blobs must already be there.

    Args:
        layout: a folder.
        descriptors: of the images.
        durable: as `blobs.write` has it.

    Raises:
        LayoutError: a blob is missing, or `index.json` cannot be read.
    """
    for descriptor in descriptors:
        for blob in _reachable(layout, descriptor):
            path = blob_path(layout, blob["digest"])
            if not path.is_file() or path.stat().st_size != blob["size"]:
                raise LayoutError(f"{layout}: {blob['digest']} is missing or incomplete; nothing was published")
    layout.mkdir(parents=True, exist_ok=True)
    with _locked(layout):
        marker, index = layout / "oci-layout", layout / "index.json"
        found = entries(layout) if index.exists() else []
        for descriptor in descriptors:
            found = _with(found, descriptor)
        if not marker.exists():
            write(marker, document_bytes({"imageLayoutVersion": "1.0.0"}), durable=durable)
        data = document_bytes({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": found})
        write(index, data, durable=durable)


def entries(layout: Path) -> list[dict[str, Any]]:
    """Return what `index.json` names, each with mediaType, digest and size.

    Raises:
        LayoutError: it is no OCI layout, or `index.json` is not what it should be.
    """
    return [_descriptor(layout, entry) for entry in _layout_index(layout)["manifests"]]


def media_type_of(layout: Path, digest: str, document: Mapping[str, Any]) -> str:
    """Return a manifest's media type: its own `mediaType`, else what lists it says."""
    own = document.get("mediaType")
    if isinstance(own, str):
        return own
    for entry in entries(layout):
        if entry["digest"] == digest and isinstance(entry.get("mediaType"), str):
            return str(entry["mediaType"])
    return INDEX_TYPE if isinstance(document.get("manifests"), list) else MANIFEST_TYPE


def platform_image(layout: Path, digest: str, platform: str) -> PlatformImage:
    """Find one platform's image in what `digest` names, and verify every blob of it.

    Args:
        layout: an OCI layout that publishes `digest`.
        digest: of an index or of a manifest.
        platform: as `host_platform()` returns it.

    Raises:
        LayoutError: not published here, no image for the platform, or damaged.
    """
    manifest_digest = _manifest_for(layout, _published(layout, digest), platform)
    manifest = read_document(layout, manifest_digest)
    config = read_document(layout, _descriptor(layout, manifest.get("config"))["digest"])
    found = f"{config.get('os')}/{config.get('architecture')}"
    if found != platform:
        raise LayoutError(f"{layout}: {manifest_digest} is an image for {found}, not for {platform}")
    layers = []
    for entry in _list(layout, manifest, "layers"):
        path = blob_path(layout, _descriptor(layout, entry)["digest"])
        verify_blob(layout, entry)
        layers.append(path)
    return PlatformImage(manifest_digest, platform, config, tuple(layers))


def unpack(image: PlatformImage, root: Path) -> None:
    """Unpack an image's layers into `root`, which then appears complete or not at all.

    Ownership, device nodes and everything else a plain user cannot set are left out or refused as `unpacking` says.

    Raises:
        LayoutError: `root` is not empty; a layer is damaged, or has an entry that would leave `root`.
    """
    rootfs = image.config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(image.layers):
        raise LayoutError(f"{image.digest}: its configuration does not name one diff_id per layer")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LayoutError(f"{root}: is not an empty folder; unpack into a new one")
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        partial.chmod(0o755)
        unpack_layers(tuple(zip(image.layers, diff_ids, strict=True)), partial)
        partial.rename(root)  # replaces an empty folder, fails on one that was filled meanwhile
    except OSError as error:
        raise LayoutError(f"{root}: cannot be unpacked: {error.strerror or error}") from error
    finally:
        if partial.exists():
            shutil.rmtree(partial)


def _layout_index(layout: Path) -> dict[str, Any]:
    path = layout / "index.json"
    if not path.is_file():
        raise LayoutError(f"{layout}: is not an OCI layout (it has no index.json)")
    index = parse_document(path, path.read_bytes()[: DOCUMENT_BYTES + 1])
    _list(path, index, "manifests")
    return index


def _published(layout: Path, digest: str) -> dict[str, Any]:
    """Return the descriptor of `digest`, which `index.json` names, or an index that it names."""
    blob_path(layout, digest)
    known = entries(layout)
    for entry in known:
        if entry["digest"] == digest:
            return entry
    for entry in known:
        if entry.get("mediaType") == INDEX_TYPE:
            for inner in _list(layout, read_document(layout, entry["digest"]), "manifests"):
                if _descriptor(layout, inner)["digest"] == digest:
                    return dict(inner)
    raise LayoutError(f"{layout}: does not hold {digest}; it holds {', '.join(e['digest'] for e in known) or 'none'}")


def _reachable(layout: Path, descriptor: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the descriptors below `descriptor` and then itself: children first."""
    entry = _descriptor(layout, descriptor)
    if entry.get("mediaType") == INDEX_TYPE:
        for inner in _list(layout, read_document(layout, entry["digest"]), "manifests"):
            if _descriptor(layout, inner).get("mediaType") == INDEX_TYPE:
                raise LayoutError(f"{layout}: {entry['digest']} is an index that holds an index")
            yield from _reachable(layout, inner)
    elif entry.get("mediaType") == MANIFEST_TYPE:
        manifest = read_document(layout, entry["digest"])
        yield _descriptor(layout, manifest.get("config"))
        for layer in _list(layout, manifest, "layers"):
            yield _descriptor(layout, layer)
    else:
        raise LayoutError(f"{layout}: {entry['digest']} is a {entry.get('mediaType')!r}, no image and no index")
    yield entry


def _manifest_for(layout: Path, top: Mapping[str, Any], platform: str) -> str:
    if top.get("mediaType") == MANIFEST_TYPE:
        return str(top["digest"])
    found = []
    for entry in _list(layout, read_document(layout, top["digest"]), "manifests"):
        of = _descriptor(layout, entry).get("platform")
        name = f"{of.get('os')}/{of.get('architecture')}" if isinstance(of, dict) else "unknown"
        if name == platform and entry.get("mediaType") == MANIFEST_TYPE:
            return str(entry["digest"])
        found.append(name)
    raise LayoutError(f"{layout}: {top['digest']} has no image for {platform}, only for {', '.join(found) or 'none'}")


def _with(known: list[dict[str, Any]], descriptor: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return entries with one more, which takes its tag from whichever had it."""
    tag = (descriptor.get("annotations") or {}).get(TAG)
    before = [entry for entry in known if entry["digest"] == descriptor["digest"]]
    others = [_without(entry, tag) for entry in known if entry["digest"] != descriptor["digest"]]
    own = {**before[0], **descriptor} if before else dict(descriptor)
    return sorted([*others, own], key=lambda entry: str(entry["digest"]))


def _without(entry: dict[str, Any], tag: str | None) -> dict[str, Any]:
    """Return an entry that no longer has a tag which another one takes."""
    annotations = entry.get("annotations")
    if tag is None or not isinstance(annotations, dict) or annotations.get(TAG) != tag:
        return entry
    left = {name: value for name, value in annotations.items() if name != TAG}
    rest = {name: value for name, value in entry.items() if name != "annotations"}
    return {**rest, "annotations": left} if left else rest


def _list(source: Path, document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise LayoutError(f"{source}: {key}: expected a list")
    return value


def _descriptor(layout: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or type(value.get("size")) is not int or value["size"] < 0:
        raise LayoutError(f"{layout}: expected a descriptor with mediaType, digest and size, found {value!r:.120}")
    blob_path(layout, value.get("digest", ""))
    return value


@contextlib.contextmanager
def _locked(layout: Path) -> Iterator[None]:
    """Hold the layout's lock while `index.json` is read and written: two copies at once lose no entry."""
    descriptor = os.open(layout, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
