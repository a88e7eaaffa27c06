"""What a killed or failed build leaves: nothing half, and what was there before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trihull_packaging import cache, output
from trihull_packaging.errors import ToolError
from trihull_runtime.errors import InputError

KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
from trihull_packaging import output
with output.replacing(Path(sys.argv[1])) as folder:
    (folder / "release.json").write_text("half")
    (folder / "image").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""
TWO_AT_ONCE = """
import sys
from pathlib import Path
from trihull_packaging import cache
def make(folder):
    with open(sys.argv[1], "a") as log:
        log.write("made\\n")
    (folder / "part1").touch()
    (folder / "part2").touch()
folder = cache.made_once("things", "key", make)
assert sorted(path.name for path in folder.iterdir()) == ["part1", "part2"]
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def release(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "release.json").write_text(text)
    return folder


def test_a_new_output_appears_whole(tmp_path: Path) -> None:
    with output.replacing(tmp_path / "a/b/out") as folder:
        (folder / "release.json").write_text("new")
        assert not (tmp_path / "a/b/out").exists()
    assert (tmp_path / "a/b/out/release.json").read_text() == "new"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["out"]


def test_all_that_is_new_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        assert not (tmp_path / "out").exists()
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", record)
    (tmp_path / "cached").write_text("was brought to the disk when it was cached")
    with output.replacing(tmp_path / "out") as folder:
        (folder / "image").mkdir()
        (folder / "image/index.json").write_text("new")
        (folder / "release.json").write_text("new")
        os.link(tmp_path / "cached", folder / "image/layer")
    out = tmp_path / "out"
    names = {path.stat().st_ino: path.relative_to(out) for path in (out, *out.rglob("*"))}
    found = [names[number] for number in synced]
    assert sorted(found) == [Path(), Path("image"), Path("image/index.json"), Path("release.json")]
    assert {path.name for path in found[:2]} == {"index.json", "release.json"}


def test_an_old_release_is_replaced_as_a_whole(tmp_path: Path) -> None:
    release(tmp_path / "out", "old")
    (tmp_path / "out/leftover").touch()
    with output.replacing(tmp_path / "out") as folder:
        (folder / "release.json").write_text("new")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("release.json", "new")]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "cache"}


def test_a_failed_build_leaves_the_old_release(tmp_path: Path) -> None:
    release(tmp_path / "out", "old")

    def build() -> None:
        with output.replacing(tmp_path / "out") as folder:
            (folder / "release.json").write_text("half")
            raise ToolError("the network is gone")

    with pytest.raises(ToolError):
        build()
    assert (tmp_path / "out/release.json").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "cache"}


@pytest.mark.parametrize("before", [True, False])
def test_a_killed_build_leaves_no_half_release_and_the_next_one_cleans_up(tmp_path: Path, before: bool) -> None:
    if before:
        release(tmp_path / "out", "old")
    killed = subprocess.run([sys.executable, "-c", KILLED_BUILD, str(tmp_path / "out")], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "out").exists() == before
    if before:
        assert (tmp_path / "out/release.json").read_text() == "old"
    with output.replacing(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []
        (folder / "release.json").write_text("new")
    assert (tmp_path / "out/release.json").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "cache"}


def test_a_folder_that_is_no_release_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="exists and is no release"), output.replacing(tmp_path / "out"):
        pytest.fail("the block must not run")
    assert (tmp_path / "out/thesis.tex").read_text() == "years of work"


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="its folder cannot be made"), output.replacing(tmp_path / "file/out"):
        pytest.fail("the block must not run")


def test_an_entry_is_made_once(own_cache: Path) -> None:
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "x").touch()

    assert cache.made_once("things", "key", make) == cache.made_once("things", "key", make)
    assert len(calls) == 1
    assert [path.name for path in (own_cache / "packaging/things").iterdir()] == ["key"]


def test_an_entry_that_failed_is_not_there(own_cache: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise ToolError("no network")

    with pytest.raises(ToolError):
        cache.made_once("things", "key", make)
    assert list((own_cache / "packaging/things").iterdir()) == []


def test_what_a_killed_build_left_in_the_cache_is_never_used(own_cache: Path) -> None:
    (own_cache / "packaging/things/.key.partial").mkdir(parents=True)
    (own_cache / "packaging/things/.key.partial/half").touch()
    folder = cache.made_once("things", "key", lambda path: (path / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_two_builds_at_once_make_an_entry_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    builds = [subprocess.Popen([sys.executable, "-c", TWO_AT_ONCE, str(log)]) for _ in range(4)]
    assert [build.wait(timeout=60) for build in builds] == [0, 0, 0, 0]
    assert log.read_text() == "made\n"


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolError, match="set TRIHULL_CACHE to another folder"):
        cache.made_once("things", "key", lambda path: None)


def test_keys_differ_when_any_part_differs() -> None:
    keys = {
        cache.key("a", {"b": 1}),
        cache.key("a", {"b": 2}),
        cache.key("ab"),
        cache.key("a", "b"),
        cache.key("a", ["b"]),
    }
    assert len(keys) == 5
    assert cache.key({"a": 1, "b": 2}) == cache.key({"b": 2, "a": 1})


def test_a_source_key_changes_with_any_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("a")
    other.write_text("b")
    before = cache.source_key(str(one), str(other))
    assert cache.source_key(str(other), str(one)) == before
    other.write_text("c")
    assert cache.source_key(str(one), str(other)) != before
    assert os.environ["TRIHULL_CACHE"]


def test_two_scratch_folders_of_one_kind_at_once_are_two_and_go() -> None:
    with cache.scratch("locking") as one, cache.scratch("locking") as other:
        (one / "file").touch()
        assert one != other
        assert list(other.iterdir()) == []
    assert list((cache.home() / "locking").iterdir()) == []
