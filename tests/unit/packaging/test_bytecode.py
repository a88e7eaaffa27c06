"""Bytecode is made once for equal modules, and is the same as if it were made for each of them."""

import os
from pathlib import Path

import pytest

from trihull_packaging.base import interpreter
from trihull_packaging.base.interpreter import Bytecode

PYTHON = interpreter.of_this_process()
FILES = {
    "a/__init__.py": "NAME = 'a'\n",
    "a/b.c.py": "def f() -> str:\n    return __file__\n",
    "a/bad.py": "no Python\n",
}


def installed(folder: Path, **changed: str) -> Path:
    for name, text in {**FILES, "a/own.py": f"FOLDER = {folder.name!r}\n", **changed}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def codes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.pyc"))}


@pytest.fixture
def made(tmp_path: Path) -> Bytecode:
    (tmp_path / "made").mkdir()
    return Bytecode(tmp_path / "made")


def test_equal_modules_are_compiled_once_with_the_same_bytes(tmp_path: Path, made: Bytecode) -> None:
    one, other, alone = (installed(tmp_path / name) for name in ("one", "other", "x/other"))
    for folder in (one, other):
        interpreter.compile_folder(PYTHON, folder, "/opt/a", made)
    interpreter.compile_folder(PYTHON, alone, "/opt/a")
    assert len(codes(other)) == 3
    assert codes(other) == codes(alone)
    shared = [name for name in codes(one) if (one / name).samefile(other / name)]
    assert [name.split("/")[-1].split(".cpython")[0] for name in shared] == ["__init__", "b.c"]


def test_another_place_is_another_module(tmp_path: Path, made: Bytecode) -> None:
    one, elsewhere = (installed(tmp_path / name) for name in ("one", "elsewhere"))
    interpreter.compile_folder(PYTHON, one, "/opt/a", made)
    interpreter.compile_folder(PYTHON, elsewhere, "/opt/b", made)
    assert not [name for name in codes(one) if (one / name).samefile(elsewhere / name)]
    assert [b"/opt/b" in code for code in codes(elsewhere).values()] == [True] * 3


def test_how_many_processors_there_are_does_not_reach_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"a/m{number}.py": f"N = {number}\ndef f(x):\n    return [x, 'a', N]\n" for number in range(12)}
    found = []
    monkeypatch.setattr(interpreter, "SHARE", 3)
    for count in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        folder = installed(tmp_path / str(count) / "same", **many)
        interpreter.compile_folder(PYTHON, folder, "/opt/a")
        found.append(codes(folder))
    assert len(found[0]) == 15
    assert found[0] == found[1]


def test_nothing_to_compile_starts_no_process(tmp_path: Path) -> None:
    interpreter.compile_folder(interpreter.Interpreter(("/no/such/python",), {}, "3.11", ()), tmp_path, "/opt")
    assert list(tmp_path.iterdir()) == []
