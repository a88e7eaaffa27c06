"""Layers, index and evidence with empty caches, downloads counted, but for the base and the slow compression."""

import os
import shutil
from typing import Final

from tests.benchmarks.packaging.workspace import Workspace
from tests.benchmarks.table import Row, Target
from trihull_packaging import cache

ROUNDS: Final = 3
FAST: Final = "from trihull_packaging.oci import tars; tars.SMALL = tars.FAST"


def rows(work: Workspace) -> list[Row]:
    """With the fast compression and with the slow one, in turn."""
    print("cold: empty caches, in turn with fast and slow compression", flush=True)
    fast, slow = [], []
    for _ in range(ROUNDS):
        fast.append(_cold_s(work, FAST))
        slow.append(_cold_s(work, ""))
    return [
        Row("cold, empty caches, without base and slow compression, a whole process: s", fast, Target(at_most=5),
            parts={"with slow compression": slow}),
    ]  # fmt: skip


def _cold_s(work: Workspace, code: str) -> float:
    home = work.folder / "cold"
    shutil.copytree(cache.home() / "bases", home / "packaging/bases", copy_function=os.link, symlinks=True)
    environment = {"TRIHULL_CACHE": str(home), "UV_CACHE_DIR": str(home / "uv")}
    found = work.assemble(environment=environment, code=code)
    shutil.rmtree(home)
    return float(found["wall_s"])
