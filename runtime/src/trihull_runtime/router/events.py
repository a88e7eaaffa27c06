"""What happened and why: one JSON object a line on standard output, and the last ones kept for the admin API."""

import collections
import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

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

    def behind(self) -> bool:
        """Whether there is something that `lines` has not read; a look, which costs no reading."""
        return self._end() != (self._inode, self._offset)

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
