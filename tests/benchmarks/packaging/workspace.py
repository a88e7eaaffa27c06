"""One release of the sample model, and what its gates left: the benchmarks change the model and pack it again."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trihull_packaging import builder, lock, spec
from trihull_packaging.builder import Options
from trihull_packaging.progress import Progress
from trihull_runtime.contract import Release

DIGITS: Final = Path("stacks/models/digits")
MB: Final = 1e6
GATES: Final = ("convert", "parity", "evaluate")


@dataclass(frozen=True)
class Workspace:
    """A folder with `digits/` (the model, locked), `scratch/` (what its gates left) and `release/`.

    Attributes:
        folder: it.
        release: what `release/` holds.
        seconds: what each step before the layers took, with its environment made.
    """

    folder: Path
    release: Release
    seconds: Mapping[str, float]

    @classmethod
    def prepared(cls, folder: Path) -> "Workspace":
        """Train, convert, gate and pack the model once; then again up to the gates, to keep what they left."""
        print("preparing: one release of stacks/models/digits", flush=True)
        model, scratch = folder / "digits", folder / "scratch"
        shutil.copytree(DIGITS, model)
        scratch.mkdir()
        progress = Progress()
        release = builder.package_model(model, folder / "release", Options(), progress)
        builder.pass_gates(spec.load(model), model, lock.Lock.read(model / lock.FILE), scratch, progress)
        return cls(folder, release, dict(progress.seconds))

    @property
    def model(self) -> Path:
        """The model's folder."""
        return self.folder / "digits"

    @property
    def graph(self) -> Path:
        """The converted model."""
        return self.folder / "scratch/model.onnx"

    @property
    def blobs(self) -> Path:
        """Those of the release's layout."""
        return self.folder / "release/image/blobs/sha256"

    def change(self) -> bytes:
        """Give the model other bytes, as many as it had; returns them."""
        data = self.graph.read_bytes()[:-32] + secrets.token_bytes(32)
        self.graph.write_bytes(data)
        return data

    def grow(self, size_bytes: int) -> None:
        """Make the model so many bytes that do not compress, a multiple of a million."""
        with self.graph.open("wb") as file:
            for _ in range(size_bytes // 1_000_000):
                file.write(os.urandom(1_000_000))

    def layers(self) -> list[dict[str, Any]]:
        """Return this machine's share of the image: its layers' descriptors, lowest first."""
        top = self.document(self.release.image.index_digest)
        return list(self.document(top["manifests"][0]["digest"])["layers"])

    def document(self, digest: str) -> dict[str, Any]:
        """Return a manifest or the index."""
        value = json.loads((self.blobs / digest.removeprefix("sha256:")).read_bytes())
        assert isinstance(value, dict)
        return value

    def assemble(
        self,
        registry: str = "",
        *,
        evidence: bool = True,
        environment: Mapping[str, str] | None = None,
        code: str = "",
    ) -> dict[str, Any]:
        """Pack what is here, and push it, in a process of its own; returns what `change.py` measured.

        Args:
            registry: where it goes; empty packs only.
            evidence: whether it is pushed with the image.
            environment: put over this process's.
            code: Python that runs before.
        """
        output = self.folder / f"out{time.monotonic_ns()}"
        begun = time.perf_counter()
        done = subprocess.run(
            [
                sys.executable, "-c", f"{code}\nfrom tests.benchmarks.packaging import change; change.main()",
                self.folder, output, registry, "evidence" if evidence else "",
            ],
            env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        wall_s = time.perf_counter() - begun
        assert done.returncode == 0, done.stderr
        shutil.rmtree(output)
        return {**json.loads(done.stdout), "wall_s": wall_s}
