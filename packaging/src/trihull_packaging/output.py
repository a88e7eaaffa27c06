"""The output folder: written beside its place and put there whole, so a failed or killed build leaves the old one."""

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trihull_packaging import cache
from trihull_runtime.errors import InputError

MARKERS: Final = ("release.json", "router.json", "base.json")
AT_FDCWD: Final = {"linux": -100, "darwin": -2}
WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE of sync_file_range(2)
EXCHANGE: Final = 2  # RENAME_EXCHANGE of renameat2(2), RENAME_SWAP of renameatx_np(2): the same number


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Give a new folder beside `output` that takes its place when the block ends well, and is removed otherwise.

    All that is in it is on the disk before that, so that the machine may stop at any moment too.

    Raises:
        InputError: `output` is something that no build of ours made; it is not touched.
    """
    if output.exists() or output.is_symlink():
        ours = output.is_dir() and not output.is_symlink()
        if not ours or (any(output.iterdir()) and not any((output / name).is_file() for name in MARKERS)):
            raise InputError(f"{output}: exists and is no release; give another folder with --output")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: its folder cannot be made: {error.strerror}") from error
    with cache.locked(output):
        partial = output.parent / f".{output.name}.partial"
        cache.remove(partial)  # left by a build that was killed
        try:
            partial.mkdir()
        except OSError as error:
            raise InputError(f"{output.parent}: cannot be written to: {error.strerror}") from error
        try:
            yield partial
            settle(partial)
            if output.exists():
                _exchange(partial, output)
            else:
                partial.rename(output)
        finally:
            cache.remove(partial)  # what was built and failed, or what was there before


def settle(folder: Path) -> None:
    """Bring what a folder holds to the disk: all of it is begun before the first wait, which then is for nearly all.

    Files that lie in the cache too were brought there when they were written.
    """
    files: list[Path] = []
    folders: list[Path] = []
    for top, _, names in os.walk(folder):
        folders.append(Path(top))
        files += [path for name in names if (path := Path(top, name)).stat().st_nlink == 1]
    with contextlib.ExitStack() as opened:
        descriptors = []
        for path in (*files, *folders):  # the names after what they name
            descriptors.append(os.open(path, os.O_RDONLY))
            opened.callback(os.close, descriptors[-1])
        for descriptor in descriptors[: len(files)]:
            _begin(descriptor)
        for descriptor in descriptors:
            os.fsync(descriptor)


def _begin(descriptor: int) -> None:
    """Have the system begin to write a file, where it can be told to."""
    if sys.platform == "linux":
        _libc().sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(WRITE))


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step, so that there is no moment without a whole release at its place."""
    name = {"linux": "renameat2", "darwin": "renameatx_np"}[sys.platform]
    here = AT_FDCWD[sys.platform]
    result = getattr(_libc(), name)(here, os.fsencode(one), here, os.fsencode(other), EXCHANGE)
    if result != 0:
        number = ctypes.get_errno()
        raise InputError(f"{other}: cannot be replaced: {os.strerror(number)}; give a folder on another file system")


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
