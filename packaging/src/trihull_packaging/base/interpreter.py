"""A Python that runs here and makes an image's bytecode: as a rule the base's own, run without entering the base.

It is started through its dynamic loader, so that no namespace is needed. Bytecode has no architecture: what one
machine's Python made, another's of that minor version reads, so a base of another architecture needs no emulated
processor. Bytecode is checked by hash, not by time, and not at run time ("unchecked"), so it is deterministic and a
start reads no source (PEP 552).
"""

import platform
import re
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging import processes
from trihull_packaging.errors import StepError, ToolError

COMPILER: Final = """
import os, py_compile, sys
folder, prefix = sys.argv[1:3]
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for top, folders, files in os.walk(folder):
    folders.sort()
    for name in sorted(files):
        if name.endswith(".py"):
            path = os.path.join(top, name)
            inside = prefix + path[len(folder):]
            try:
                py_compile.compile(path, dfile=inside, doraise=True, invalidation_mode=mode)
            except py_compile.PyCompileError as error:  # made for another Python, as some packages' templates are
                print(inside, error.exc_type_name)
"""


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


def compile_folder(python: Interpreter, folder: Path, prefix: str) -> None:
    """Write the bytecode of all modules below `folder`.

    Args:
        python: makes it; of the minor version that will read it.
        folder: what to compile.
        prefix: the absolute path that `folder` will have in the image; it is what tracebacks show.

    Raises:
        ToolError: the Python does not run on this machine.
    """
    processes.run(
        [*python.command, "-c", COMPILER, str(folder), prefix],
        doing=f"compiling {prefix} with Python {python.version}",
        timeout_s=300,
        environment={**python.environment, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
    )


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
