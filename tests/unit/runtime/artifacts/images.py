"""Small images made by hand, so that a test can make them wrong in one place."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from trihull_runtime.artifacts.registry import blobs
from trihull_runtime.artifacts.registry.layout import CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, publish


def file(name: str, data: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    return info, data


def special(name: str, kind: bytes, link: str = "", mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info, b""


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return special(name, tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return special(name, tarfile.SYMTYPE, target)


def tar_bytes(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def put_bytes(layout: Path, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = blobs.blob_path(layout, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return digest


def make_image(
    layout: Path,
    *layers: Iterable[tuple[tarfile.TarInfo, bytes]],
    platform: str = "linux/amd64",
    compressed: bool = True,
) -> str:
    """Publish an index with one image and return the index's digest."""
    system, architecture = platform.split("/")
    tars = [tar_bytes(entries) for entries in layers]
    data = [gzip.compress(tar, mtime=0) if compressed else tar for tar in tars]
    diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    config = blobs.put_document(
        layout,
        CONFIG_TYPE,
        {"os": system, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids}},
    )
    manifest = blobs.put_document(
        layout,
        MANIFEST_TYPE,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config,
            "layers": [
                {"mediaType": LAYER_TYPE, "digest": put_bytes(layout, item), "size": len(item)} for item in data
            ],
        },
    )
    entry = {**manifest, "platform": {"os": system, "architecture": architecture}}
    index = blobs.put_document(layout, INDEX_TYPE, {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]})
    publish(layout, index)
    return str(index["digest"])
