"""What happened and why: one JSON object a line on standard output, and the last ones kept for the admin API."""

import collections
import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from trihull_runtime.router.envoy.values import SITES_CLUSTER

KEPT = 500


class Events:
    """Writes events; `recent` holds the last ones, newest last."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stdout
        self.recent: collections.deque[Mapping[str, Any]] = collections.deque(maxlen=KEPT)

    def emit(self, event: str, message: str, *, level: str = "info", **fields: Any) -> None:
        """Record one event: a name for machines, a sentence for people, and its facts."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        entry = {"time": now, "level": level, "event": event, "message": message, **fields}
        self.recent.append(entry)
        if self._stream is None:
            return
        try:
            print(json.dumps(entry), file=self._stream, flush=True)
        except OSError:  # whoever read our output is gone; routing does not depend on it
            self._stream = None


class Tail:
    """Reads what was appended to a file since the last look; a file that was replaced is read from its start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._offset = self._end()
        self._rest = b""

    def _end(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_size

    def lines(self) -> list[bytes]:
        """Return the complete lines that are new."""
        inode, size = self._end()
        if inode != self._inode or size < self._offset:
            self._inode, self._offset, self._rest = inode, 0, b""
        if size == self._offset:
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = self._rest + file.read(size - self._offset)
        self._offset = size
        *lines, self._rest = data.split(b"\n")
        return lines


def describe_health(line: bytes) -> dict[str, Any] | None:
    """Turn a line of Envoy's health check log into event, level, message and fields; None when it says nothing new.

    Source: envoy/data/core/v3/health_check_event.proto.
    """
    entry = json.loads(line)
    if entry.get("cluster_name") != SITES_CLUSTER:
        return None  # the models' clusters check the same sites
    zone = entry.get("locality", {}).get("zone", "?")
    fields = {"site": zone}
    if "eject_unhealthy_event" in entry:
        kind = entry["eject_unhealthy_event"].get("failure_type", "ACTIVE")
        reason = {"NETWORK": "no connection", "NETWORK_TIMEOUT": "no answer in time"}.get(kind, "a bad answer")
        message = f"site {zone} fails its health check: {reason}"
        return {"event": "site_unhealthy", "level": "warning", "message": message, "reason": kind, **fields}
    if "add_healthy_event" in entry:
        first = entry["add_healthy_event"].get("first_check", False)
        message = f"site {zone} is healthy" if first else f"site {zone} is healthy again"
        return {"event": "site_healthy", "level": "info", "message": message, "first_check": first, **fields}
    return None


def describe_outlier(line: bytes, site_of: Mapping[str, str]) -> dict[str, Any] | None:
    """Turn a line of Envoy's outlier log into event, level, message and fields.

    Args:
        line: one JSON object.
        site_of: site names by `address:port`, because this log names addresses only.

    Source: envoy/data/cluster/v3/outlier_detection_event.proto.
    """
    entry = json.loads(line)
    address = entry.get("upstream_url", "?")
    site = site_of.get(address, address)
    fields = {"site": site, "cluster": entry.get("cluster_name", "?")}
    if entry.get("action") == "EJECT":
        reason = entry.get("type", "UNKNOWN")
        message = f"site {site} is ejected for a while: {reason.lower().replace('_', ' ')}"
        return {
            "event": "site_ejected",
            "level": "warning",
            "message": message,
            "reason": reason,
            "enforced": entry.get("enforced", False),
            **fields,
        }
    return {"event": "site_returned", "level": "info", "message": f"site {site} may take requests again", **fields}
