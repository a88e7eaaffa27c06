"""Kubernetes' own judge of pods, as a program: built once for each state of its source, into the user's cache.

    python -m tests.toolchain.podsecurity

The build takes a minute or two on a machine that never did it; `make toolchain` does it after the engine's, so that no
test waits for it.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent


def program() -> Path:
    """Return the program, built where that was not done yet.

    Raises:
        RuntimeError: there is no Go, or it does not build.
    """
    digest = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum")))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trihull" / "podsecurity"
    built = cache / digest.hexdigest()[:16] / "podsecurity"
    if not built.is_file():
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
            _build(Path(scratch) / built.name).rename(built)  # a file of another build is as good
    return built


def _build(target: Path) -> Path:
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("Go is missing; install it (https://go.dev/dl), the engine's build wants it as well")
    done = subprocess.run(
        # Unoptimised: it answers in milliseconds either way.
        [go, "build", "-mod=readonly", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", target, "."],
        cwd=SOURCE,
        env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the judge of pods does not build:\n{done.stderr}")
    return target
