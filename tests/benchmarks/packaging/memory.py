"""How much a process grows while it packs and pushes a large model that does not compress."""

import shutil
from typing import Final

from tests.benchmarks.packaging import peers
from tests.benchmarks.packaging.workspace import MB, Workspace
from tests.benchmarks.table import Row, Target
from tests.emulated import registries

LARGE_BYTES: Final = 500_000_000


def rows(work: Workspace) -> list[Row]:
    """Ours packs and pushes; oras pushes the same file."""
    print(f"memory: a model of {LARGE_BYTES / MB:.0f} MB", flush=True)
    before = work.graph.read_bytes()
    work.grow(LARGE_BYTES)
    with registries.running(work.folder / "registry-large") as server:
        found = work.assemble(f"{server.host}/large:1")
        peer, name = peers.oras_growth(work.folder / "oras", server.host, work.graph)
    work.graph.write_bytes(before)
    shutil.rmtree(work.folder / "registry-large")
    return [
        Row(f"memory growth, packing and pushing {LARGE_BYTES / MB:.0f} MB: MB", [found["growth_bytes"] / MB],
            Target(at_most=64), {name: [peer / MB]}, "OrasClient.push of the file", {"seconds": [found["seconds"]]}),
    ]  # fmt: skip
