"""The objects of one local cluster on disk: one JSON file each, written through a temporary name and rename.

Files that hold secrets are for their owner alone. Status of Deployments is not stored: it follows from what runs.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.objects import Object
from trihull_runtime.contract.codec import write_file

Key = tuple[str, str, str]  # kind, namespace ("" for cluster-scoped kinds), name
NO_NAMESPACE = "_"
PRIVATE = 0o600


class Store:
    """Objects by key, and beside each what only this cluster knows of it (the ports of a Service)."""

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder` and read what is there.

        Raises:
            ClusterError: a file that cannot be read; its path is named.
        """
        self.folder = folder
        self._objects: dict[Key, Object] = {}
        self._notes: dict[Key, dict[str, Any]] = {}
        self.version = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(folder.glob("*/*/*.json")):
            self._read(path)

    def get(self, key: Key) -> Object | None:
        """Return a copy of an object, None when there is none."""
        return copy.deepcopy(self._objects.get(key))

    def peek(self, key: Key) -> Object | None:
        """Return the object itself, not to be changed by the caller."""
        return self._objects.get(key)

    def notes(self, key: Key) -> dict[str, Any]:
        """Return what this cluster noted beside an object; stored with the object's next `put`."""
        return self._notes.setdefault(key, {})

    def keys(self, kind: str | None = None, namespace: str | None = None) -> Iterator[Key]:
        """Iterate over a snapshot of the keys, of one kind or namespace when given."""
        for key in list(self._objects):
            if kind in (None, key[0]) and namespace in (None, key[1]):
                yield key

    def put(self, key: Key, obj: Object) -> None:
        """Store an object with its notes."""
        record = {"version": 1, "object": obj, "notes": self._notes.get(key, {})}
        write_file(self._path(key), json.dumps(record, indent=1).encode(), PRIVATE)
        self._objects[key] = obj
        self.version = max(self.version, int(obj["metadata"]["resourceVersion"]))

    def set_status(self, key: Key, status: Object) -> None:
        """Replace an object's status in memory; it follows from what runs, so it is not written."""
        if key in self._objects:
            self._objects[key]["status"] = status

    def remove(self, key: Key) -> None:
        """Forget an object; nothing happens when there is none."""
        self._objects.pop(key, None)
        self._notes.pop(key, None)
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: Key) -> Path:
        kind, namespace, name = key
        return self.folder / kind / (namespace or NO_NAMESPACE) / f"{name.replace('/', '%2F')}.json"

    def _read(self, path: Path) -> None:
        try:
            record = json.loads(path.read_bytes())
            obj, notes = record["object"], record["notes"]
            metadata = obj["metadata"]
            key = (obj["kind"], metadata.get("namespace", ""), metadata["name"])
            version = int(metadata["resourceVersion"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClusterError(
                f"The local cluster's object in {path} cannot be read ({error}); remove the file and deploy again."
            ) from error
        self._objects[key], self._notes[key] = obj, notes
        self.version = max(self.version, version)
