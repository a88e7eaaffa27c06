"""What can be made again: environments, bases, layers. Made once under a lock, never seen half-made.

Every entry's name is the hash of everything that its content depends on, so an entry is never out of date.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trihull_packaging.errors import ToolError
from trihull_runtime.paths import cache_home


def home() -> Path:
    """Return the folder of everything that is kept here."""
    return cache_home() / "packaging"


def key(*parts: Any) -> str:
    """Return the hash of JSON values: equal values have equal keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def source_key(*modules: str) -> str:
    """Return the hash of source files: what they make is made anew when they change."""
    checksum = hashlib.sha256()
    for name in sorted(modules):
        data = Path(name).read_bytes()
        checksum.update(f"{Path(name).name} {len(data)}\n".encode() + data)
    return checksum.hexdigest()


def made_once(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a cache entry, made now unless it is there.

    Args:
        kind: the sort of entry (`environments`, `bases`, `layers`).
        name: its key.
        make: fills the empty folder that it is given; whatever it raises, the entry is then not there.
    """
    parent = home() / kind
    folder = parent / name
    if folder.is_dir():
        return folder
    with locked(folder):
        if not folder.is_dir():  # another build may have made it while this one waited
            partial = parent / f".{name}.partial"
            remove(partial)  # left by a build that was killed
            partial.mkdir(parents=True)
            try:
                make(partial)
                partial.rename(folder)
            finally:
                remove(partial)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that stands for `path`; the system frees it when this process ends, however it ends."""
    locks = home() / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(locks / key(str(path.absolute())), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        problem = f"the cache {cache_home()} cannot be written to: {error.strerror or error}"
        raise ToolError(f"{problem}; set TRIHULL_CACHE to another folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """Give a folder of one's own, whoever else does the same thing at the time; it is removed afterwards."""
    parent = home() / kind
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def discard(folder: Path) -> None:
    """Remove a cache entry that turned out to be damaged, so that it is made again."""
    with locked(folder):
        remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder and all that is in it; nothing there is fine."""
    if folder.exists():
        shutil.rmtree(folder)
