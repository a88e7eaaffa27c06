"""The image's size, beside the same base with BentoML's closure and the same model."""

import tarfile
from pathlib import Path

from tests.benchmarks.packaging import peers
from tests.benchmarks.packaging.workspace import MB, Workspace
from tests.benchmarks.table import Row, Target
from trihull_packaging import bases, lock
from trihull_runtime.artifacts.registry.layout import host_platform

SMALLER = 1 / 0.6


def rows(work: Workspace) -> list[Row]:
    """Pack BentoML's closure with our own layer code, and add up both."""
    print("sizes: installing BentoML's closure", flush=True)
    found = lock.Lock.read(work.model / lock.FILE)
    base = bases.locked(found, None, work.model, "the lock")[host_platform()]
    bento, name = peers.bentoml_layer(work.folder / "bentoml", base)
    ours = work.layers()
    model = ours[-1]
    paths = [work.blobs / entry["digest"].removeprefix("sha256:") for entry in ours]
    below = [layer.path for layer in base.layers]
    own, own_unpacked = sum(entry["size"] for entry in ours), sum(map(unpacked, paths))
    peer = sum(layer.size_bytes for layer in base.layers) + bento.size_bytes + model["size"]
    peer_unpacked = sum(map(unpacked, [*below, bento.path, paths[-1]]))
    return [
        Row("image, compressed: MB", [own / MB], Target(80, SMALLER), {name: [peer / MB]}, peers.BENTOML_SETUP),
        Row("image, unpacked: MB", [own_unpacked / MB], Target(210, SMALLER), {name: [peer_unpacked / MB]},
            peers.BENTOML_SETUP),
    ]  # fmt: skip


def unpacked(path: Path) -> int:
    """Return the bytes of the files in a layer."""
    with tarfile.open(path) as tar:
        return sum(member.size for member in tar if member.isreg())
