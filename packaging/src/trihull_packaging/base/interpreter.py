"""A Python that runs here and makes an image's bytecode: as a rule the base's own, run without entering the base.

It is started through its dynamic loader, so that no namespace is needed. Bytecode has no architecture: what one
machine's Python made, another's of that minor version reads, so a base of another architecture needs no emulated
processor. Bytecode is checked by hash, not by time, and not at run time ("unchecked"), so it is deterministic and a
start reads no source (PEP 552).
"""

import contextlib
import hashlib
import os
import platform
import re
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging import processes
from trihull_packaging.errors import StepError, ToolError

COMPILER: Final = """
import os, py_compile, sys
prefix, names = sys.argv[1:3]
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
with open(names, encoding="utf-8", errors="surrogateescape") as file:
    for name in file.read().split(chr(0)):
        inside = prefix + "/" + name
        try:
            py_compile.compile(name, dfile=inside, doraise=True, invalidation_mode=mode)
        except py_compile.PyCompileError as error:  # made for another Python, as some packages' templates are
            print(inside, error.exc_type_name)
"""
SHARE: Final = 100  # modules that are worth a process of their own


def find_python(root: Path) -> str:
    """Return the version (`3.11`) of the Python that `usr/bin/python3` is.

    Raises:
        StepError: the base has none.
    """
    python = root / "usr/bin/python3"
    for _ in range(8):
        match = re.fullmatch(r"python(3\.\d+)", python.name)
        if match and python.is_file() and not python.is_symlink():
            return match[1]
        if not python.is_symlink():
            break
        target = python.readlink()
        python = root / target.relative_to("/") if target.is_absolute() else python.parent / target
    raise StepError(f"{root}: the base has no /usr/bin/python3 that leads to a python3.X; it cannot run a model")


@dataclass(frozen=True)
class Interpreter:
    """How a Python is started, all of its environment, its version (`3.11`), and what its bytecode depends on."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    version: str
    key: tuple[str, ...]


def of_root(root: Path, key: tuple[str, ...]) -> Interpreter:
    """Return the Python of an unpacked base of this machine's architecture; `key` names what it is made of.

    Raises:
        StepError: the base has no Python.
        ToolError: it is no program for this machine.
    """
    python = (root / "usr/bin/python3").resolve()
    libraries = [path for path in (root / "usr/lib").glob("*-linux-gnu*") if path.is_dir()]
    libraries += [root / "usr/lib", root / "usr/local/lib"]
    loader = str(root / _loader(python).lstrip("/"))
    return Interpreter(
        (loader, "--library-path", ":".join(str(path) for path in libraries), str(python), "-S"),
        {"PYTHONHOME": str(root / "usr")},
        find_python(root),
        key,
    )


def of_this_process() -> Interpreter:
    """Return the Python that runs this: for images without this machine's architecture, whose base cannot run here."""
    version = ".".join(platform.python_version_tuple()[:2])
    return Interpreter((sys.executable, "-S", "-I"), {}, version, ("machine", platform.python_version()))


def check_fits(python: Interpreter, root: Path) -> None:
    """Raise `StepError` unless a base's Python reads the bytecode that `python` makes."""
    wanted = find_python(root)
    if python.version != wanted:
        raise StepError(
            f"{root}: its Python {wanted} cannot run here, and this machine's Python {python.version} makes no bytecode"
            " for it: add this machine's own platform to image.platforms, or run trihull with that Python"
        )


def compile_folder(python: Interpreter, folder: Path, prefix: str, made: "Bytecode | None" = None) -> None:
    """Write the bytecode of all modules below `folder`, on all processors.

    Args:
        python: makes it; of the minor version that will read it.
        folder: what to compile.
        prefix: the absolute path that `folder` will have in the image; it is what tracebacks show.
        made: what was made before; what is made here is added.

    Raises:
        ToolError: the Python does not run on this machine.
    """
    with made.of(python, folder, prefix) if made is not None else contextlib.nullcontext(modules(folder)) as names:
        shares = min(os.cpu_count() or 1, -(-len(names) // SHARE))
        with tempfile.TemporaryDirectory(prefix="trihull-compile.") as lists, ThreadPoolExecutor() as pool:

            def compile_share(number: int) -> None:
                file = Path(lists, str(number))
                file.write_text("\0".join(names[number::shares]), encoding="utf-8", errors="surrogateescape")
                processes.run(
                    [*python.command, "-c", COMPILER, prefix, file],
                    doing=f"compiling {prefix} with Python {python.version}",
                    timeout_s=300,
                    environment={**python.environment, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
                    cwd=folder,
                )

            list(pool.map(compile_share, range(shares)))


def modules(folder: Path) -> list[str]:
    """Return all modules below a folder, as paths in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if path.is_file())


class Bytecode:
    """What was compiled, by a module's place and content: pure Python is the same for every architecture."""

    def __init__(self, folder: Path) -> None:
        """Keep it in a new folder, which is to be on the file system of what is compiled."""
        self._folder = folder
        self._lock = threading.Lock()  # who comes second waits, and finds what the first one made

    @contextlib.contextmanager
    def of(self, python: Interpreter, folder: Path, prefix: str) -> Iterator[list[str]]:
        """Put what is known into a folder, give what is left to compile, and keep that when the block has done so."""
        with self._lock:
            left = {}
            for name in modules(folder):
                source = folder / name
                code = source.parent / "__pycache__" / f"{source.stem}.cpython-{python.version.replace('.', '')}.pyc"
                mode, digest = oct(source.stat().st_mode), hashlib.sha256(source.read_bytes()).hexdigest()
                identity = "\0".join((*python.key, prefix, name, mode, digest)).encode("utf-8", "surrogateescape")
                kept = self._folder / hashlib.sha256(identity).hexdigest()
                if kept.exists():
                    code.parent.mkdir(exist_ok=True)
                    os.link(kept, code)
                else:
                    left[name] = (code, kept)
            yield list(left)
            for code, kept in left.values():
                if code.exists():  # it was made for this Python
                    os.link(code, kept)


def _loader(program: Path) -> str:
    """Return the dynamic loader that a 64-bit little-endian ELF program names (ELF specification, PT_INTERP)."""
    with program.open("rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            raise ToolError(f"{program}: is no 64-bit Linux program; the base cannot be used on this machine")
        (offset,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
        for start in range(0, size * count, size):
            kind, _, place, _, _, length = struct.unpack_from("<IIQQQQ", table, start)
            if kind == 3:
                file.seek(place)
                return file.read(length).rstrip(b"\0").decode()
    raise ToolError(f"{program}: names no dynamic loader; the base cannot be used on this machine")
