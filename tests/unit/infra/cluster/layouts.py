"""Small OCI layouts made by hand: a shell and what it links to, from this machine."""

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from trihull_runtime.artifacts.registry import layout

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def shell_files() -> dict[str, bytes]:
    """Path in the image -> content: /bin/sh, /bin/sleep and their libraries."""
    result: dict[str, bytes] = {}
    for name in ("sh", "sleep"):
        program = shutil.which(name)
        assert program is not None
        result[f"bin/{name}"] = Path(program).read_bytes()
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in re.findall(r"(/\S+) \(0x", linked):
            result[path.lstrip("/")] = Path(path).read_bytes()
    return result


def make(folder: Path, files: dict[str, bytes], config: dict[str, Any]) -> str:
    """Make a layout of one image with one layer; returns the image reference."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = sorted({str(parent) for name in files for parent in Path(name).parents if str(parent) != "."})
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(data)
            tar.addfile(entry, io.BytesIO(data))
    architecture = layout.host_platform().split("/")[1]
    diff_id = f"sha256:{hashlib.sha256(raw.getvalue()).hexdigest()}"
    document = {
        "os": "linux",
        "architecture": architecture,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    layer = _blob(folder, gzip.compress(raw.getvalue(), 1, mtime=0), LAYER)
    settings = _blob(folder, json.dumps(document).encode(), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": settings, "layers": [layer]}
    descriptor = _blob(folder, json.dumps(manifest).encode(), MANIFEST)
    descriptor["platform"] = {"os": "linux", "architecture": architecture}
    layout.publish(folder, descriptor)
    return f"oci-layout://{folder}@{descriptor['digest']}"


def _blob(folder: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
