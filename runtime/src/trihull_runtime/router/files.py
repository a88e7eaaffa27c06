"""Envoy's discovery files on disk: written only where something changed, each by rename, in order."""

import json
from pathlib import Path
from typing import Any

from trihull_runtime.contract.codec import write_file
from trihull_runtime.router.envoy import Configuration, wire


class Files:
    """The files of a folder; `versions` holds the version that each was last written with.

    What a router before us wrote is known from the start, so that a running Envoy is not told the same again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contents: dict[Path, Any] = {}  # resources: JSON, or bytes of a file in the wire format that was found
        self.versions: dict[Path, int] = {}
        for path in sorted([*folder.glob("*.json"), *folder.glob(f"*{wire.SUFFIX}")]):
            try:
                version, self._contents[path] = _read(path)
                self.versions[path] = int(version)
            except (ValueError, KeyError, TypeError, OSError):
                self._contents.pop(path, None)  # damaged: it counts as not written and is written again

    @property
    def latest(self) -> int:
        """The highest version on disk: a router before us may have died between writing and remembering."""
        return max(self.versions.values(), default=0)

    def differing(self, configuration: Configuration) -> list[Path]:
        """Return the files that `write` would write."""
        return [path for path, document in configuration.files.items() if not self._holds(path, document["resources"])]

    def write(self, configuration: Configuration, version: int) -> list[Path]:
        """Write what differs, under a version; returns the files written."""
        changed = self.differing(configuration)
        for path in changed:
            content = configuration.files[path]["resources"]
            write_file(path, _encoded(path, f"{version}", content), mode=0o600)
            self._contents[path], self.versions[path] = content, version
        return changed

    def remove_others(self, configuration: Configuration) -> None:
        """Remove what no part of the configuration refers to any more."""
        for path in [path for path in self._contents if path not in configuration.files]:
            path.unlink(missing_ok=True)
            del self._contents[path], self.versions[path]

    def _holds(self, path: Path, resources: list[Any]) -> bool:
        known = self._contents.get(path)
        if isinstance(known, bytes) and wire.encode_resources(resources) == known:
            self._contents[path] = known = resources  # so that it is encoded for this once
        return bool(resources == known)


def _encoded(path: Path, version: str, resources: list[Any]) -> bytes:
    if path.suffix == wire.SUFFIX:
        return wire.encode(version, resources)
    return json.dumps({"version_info": version, "resources": resources}, separators=(",", ":")).encode()


def _read(path: Path) -> tuple[str, Any]:
    """Return the version and the resources of a file."""
    data = path.read_bytes()
    if path.suffix == wire.SUFFIX:
        return wire.split(data)
    document = json.loads(data)
    return document["version_info"], document["resources"]


def look(path: Path) -> tuple[int, int, int]:
    """Return what tells one state of a file from another, without reading it."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
