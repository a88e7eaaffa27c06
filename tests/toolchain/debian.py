"""Tools of the distribution that tests need, without root: fetched once, verified, unpacked, never installed."""

import dataclasses
import platform
import subprocess
import tempfile
from pathlib import Path

from trihull_packaging import cache
from trihull_packaging.base import apt


def unpacked(package: str) -> Path:
    """Return the folder that a package of this machine's architecture is unpacked in; what it depends on is left out.

    Raises:
        ToolError: there is no apt, or the archive cannot be reached or does not have it.
    """
    sources = apt.machine_sources()
    if platform.freedesktop_os_release().get("ID") == "ubuntu":  # where what Debian has in `main` is in `universe` too
        sources = tuple(dataclasses.replace(source, components=("main", "universe")) for source in sources)
    name = cache.key("tool 1", package, [source.line() for source in sources])

    def make(folder: Path) -> None:
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            machine = apt.Apt(Path(scratch), sources, architecture)
            machine.update()
            wanted = tuple(found for found in machine.resolve((package,)) if found.name == package)
            (deb,) = machine.download(wanted).values()
            subprocess.run(["dpkg-deb", "-x", deb, folder / "root"], check=True, timeout=60)

    return cache.made_once("tools", name, make) / "root"
