"""What the emulated clouds remember: every resource they were asked to make, in one SQLite file with an epoch.

The epoch names one life of the emulated clouds. It survives a restart of the daemon, and changes when the state does
not: whoever remembers an epoch knows whether what it saw is still there.
"""

import dataclasses
import datetime
import json
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS resources (
  package TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, urn TEXT NOT NULL, seed TEXT NOT NULL,
  created TEXT NOT NULL, position INTEGER NOT NULL, inputs TEXT NOT NULL, outputs TEXT NOT NULL,
  PRIMARY KEY (package, type, id)
);
"""
FORMAT = "1"
COLUMNS = "package, type, id, urn, seed, created, inputs, outputs"


@dataclasses.dataclass(frozen=True)
class Resource:
    """One resource of an emulated cloud; `seed` and `created` are fixed at creation."""

    package: str
    type: str
    id: str
    urn: str
    seed: str
    created: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


def now() -> str:
    """Return the time as clouds write it: RFC 3339, seconds, UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """The resources on disk; safe for many threads of the one daemon that opens it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.executescript(SCHEMA)
        self._database.execute(
            "INSERT OR IGNORE INTO meta VALUES ('format', ?), ('epoch', ?)", (FORMAT, secrets.token_hex(8))
        )

    @property
    def epoch(self) -> str:
        """The name of this life of the emulated clouds."""
        with self._lock:
            row = self._database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        return str(row[0])

    def put(self, resource: Resource) -> None:
        """Remember a resource, over an older one of the same type and id."""
        with self._lock:
            self._database.execute(
                "INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?, "
                "(SELECT COALESCE(MAX(position), 0) + 1 FROM resources), ?, ?) "
                "ON CONFLICT (package, type, id) DO UPDATE SET urn=excluded.urn, seed=excluded.seed, "
                "created=excluded.created, inputs=excluded.inputs, outputs=excluded.outputs",
                (
                    resource.package,
                    resource.type,
                    resource.id,
                    resource.urn,
                    resource.seed,
                    resource.created,
                    json.dumps(resource.inputs),
                    json.dumps(resource.outputs),
                ),
            )

    def get(self, package: str, kind: str, resource_id: str) -> Resource | None:
        """Return one resource; None when there is none."""
        with self._lock:
            row = self._database.execute(
                f"SELECT {COLUMNS} FROM resources WHERE package = ? AND type = ? AND id = ?",  # noqa: S608 - a constant
                (package, kind, resource_id),
            ).fetchone()
        return _resource(row) if row else None

    def remove(self, package: str, kind: str, resource_id: str) -> None:
        """Forget a resource; one that is not there is no error."""
        with self._lock:
            self._database.execute(
                "DELETE FROM resources WHERE package = ? AND type = ? AND id = ?", (package, kind, resource_id)
            )

    def all(self, package: str | None = None) -> list[Resource]:
        """Return all resources of a package, or of all, in the order of their creation."""
        where, values = ("WHERE package = ? ", (package,)) if package else ("", ())
        with self._lock:
            rows = self._database.execute(
                f"SELECT {COLUMNS} FROM resources {where}ORDER BY position",  # noqa: S608 - no input in the text
                values,
            ).fetchall()
        return [_resource(row) for row in rows]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many resources there are: package -> type -> number."""
        with self._lock:
            rows = self._database.execute(
                "SELECT package, type, COUNT(*) FROM resources GROUP BY 1, 2 ORDER BY 1, 2"
            ).fetchall()
        result: dict[str, dict[str, int]] = {}
        for package, kind, number in rows:
            result.setdefault(package, {})[kind] = number
        return result

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()


def _resource(row: tuple[str, ...]) -> Resource:
    package, kind, resource_id, urn, seed, created, inputs, outputs = row
    return Resource(package, kind, resource_id, urn, seed, created, json.loads(inputs), json.loads(outputs))
