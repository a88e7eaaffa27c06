"""The cache of engines: one folder per version and platform, put in place by one rename, with a receipt.

`<cache>/engine/3.250.0-linux-amd64/` holds `bin/pulumi` (and what came with it) and `receipt.json`: the SHA-256 of each
file, with the file's size, times and inode when it was taken. As long as those are the same the sum is believed;
otherwise it is taken again. A folder without a receipt is nobody's and counts as absent.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from trihull_infra.engine.versions import VERSION
from trihull_infra.errors import EngineError
from trihull_runtime import paths
from trihull_runtime.contract.codec import write_file

RECEIPT: Final = "receipt.json"
_ARCHITECTURES: Final = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def home() -> Path:
    """Return the folder that holds all engines and what is being built."""
    return paths.cache_home() / "engine"


def folder() -> Path:
    """Return the folder of the wanted engine on this platform."""
    machine = platform.machine()
    return home() / f"{VERSION}-{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"


def lookup() -> Path | None:
    """Return the cached `pulumi`, or None when there is none.

    Raises:
        EngineError: it is there but is not what the receipt says.
    """
    root = folder()
    try:
        receipt = json.loads((root / RECEIPT).read_bytes())
        files: dict[str, dict[str, Any]] = receipt["files"]
        recorded = {name: (str(entry["sha256"]), list(entry["stat"])) for name, entry in files.items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{root / RECEIPT} cannot be read ({error}); remove {root} and try again") from error
    program = root / "bin" / "pulumi"
    if receipt.get("version") != VERSION or "bin/pulumi" not in recorded or not program.is_file():
        return None
    renew = False
    for name, (digest, known) in recorded.items():
        path = root / name
        try:
            if _stat(path) == known:
                continue
            if _sha256(path) != digest:
                problem = "is not the file that was installed (its SHA-256 differs from the receipt)"
                raise EngineError(f"{path} {problem}; remove {root} and try again")
        except OSError as error:
            raise EngineError(f"{path} cannot be read ({error.strerror}); remove {root} and try again") from error
        renew = True
    if renew:
        write_receipt(root, str(receipt.get("source", "")))
    return program


def write_receipt(root: Path, source: str) -> None:
    """Record what lies in `root/bin`: called on a finished folder, before it is renamed into place."""
    files = {
        path.relative_to(root).as_posix(): {"sha256": _sha256(path), "stat": _stat(path)}
        for path in sorted((root / "bin").iterdir())
        if path.is_file() and not path.is_symlink()
    }
    value = {"version": VERSION, "source": source, "files": files}
    write_file(root / RECEIPT, (json.dumps(value, indent=2) + "\n").encode())


@contextlib.contextmanager
def staging() -> Iterator[Path]:
    """Give a fresh folder to build in; it is gone afterwards unless `publish` took it. Hold the lock around this."""
    prefix = f".staging-{folder().name}"
    for left in home().glob(f"{prefix}-*"):  # of somebody who was killed: the lock is ours, so nobody uses it
        remove(left)
    root = home() / f"{prefix}-{os.getpid()}"
    root.mkdir(parents=True)
    try:
        yield root
    finally:
        remove(root)


def publish(root: Path, source: str) -> Path:
    """Put a finished folder in place and return its `pulumi`. Hold the lock around this."""
    write_receipt(root, source)
    if folder().exists():  # without a usable receipt, or lookup would have found it
        remove(folder())
    root.rename(folder())
    return folder() / "bin" / "pulumi"


@contextlib.contextmanager
def locked(report: Callable[[str], None], timeout_s: float) -> Iterator[None]:
    """Let one process at a time install; the others wait and say for whom.

    Raises:
        EngineError: the other one did not finish within `timeout_s`.
    """
    home().mkdir(parents=True, exist_ok=True)
    path = home() / f".lock-{folder().name}"
    with path.open("a+") as file:
        deadline, told = time.monotonic() + timeout_s, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                if time.monotonic() > deadline:
                    problem = f"is still installing the engine after {timeout_s:.0f} s"
                    raise EngineError(f"process {holder} {problem}; end it or wait, then try again") from None
                if not told:
                    report(f"process {holder} is installing it; waiting")
                    told = True
                time.sleep(0.2)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def remove(path: Path) -> None:
    """Remove a folder, also one with read-only folders in it as Go's module cache has."""

    def writable(function: Callable[[str], Any], name: str, _: Any) -> None:
        Path(name).parent.chmod(stat.S_IRWXU)
        if Path(name).is_dir() and not Path(name).is_symlink():
            Path(name).chmod(stat.S_IRWXU)
            shutil.rmtree(name)
        else:
            function(name)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=writable)


def _stat(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
