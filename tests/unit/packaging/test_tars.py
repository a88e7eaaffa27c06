import gzip
import io
import os
import tarfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trihull_packaging.oci import tars
from trihull_packaging.oci.tars import Entry

NAMES = st.text("abcé_-.", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=50), max_size=6)


def packed(entries: list[Entry]) -> tuple[tars.Packed, bytes]:
    stream = io.BytesIO()
    return tars.pack(entries, stream, tars.FAST), stream.getvalue()


@given(FILES, st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_reach_the_bytes(files: dict[str, bytes], random: Random) -> None:
    entries = [Entry(f"top/{name}.f", data=data, mode=0o644) for name, data in files.items()]
    mixed = list(entries)
    random.shuffle(mixed)
    assert packed(entries) == packed(mixed)


def test_clock_umask_and_order_of_making_do_not_reach_the_bytes(tmp_path: Path) -> None:
    def folder(name: str, files: list[str], umask: int, time_s: int) -> Path:
        before = os.umask(umask)
        try:
            for file in files:
                path = tmp_path / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(file)
                os.utime(path, (time_s, time_s))
        finally:
            os.umask(before)
        return tmp_path / name

    one = folder("one", ["a", "b/c", "b/d"], 0o022, 1_000_000)
    other = folder("other", ["b/d", "b/c", "a"], 0o077, 2_000_000)
    assert packed(list(tars.entries_of(one, "x"))) == packed(list(tars.entries_of(other, "x")))


def test_digests_and_size_are_those_of_the_bytes(tmp_path: Path) -> None:
    import hashlib

    record, data = packed([Entry("a", data=b"x", mode=0o644)])
    assert record.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert record.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}"
    assert record.size_bytes == len(data)


def test_entries_have_one_owner_one_time_and_their_folders(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"#!")
    (tmp_path / "tool").chmod(0o700)
    (tmp_path / "link").symlink_to("tool")
    _, data = packed([*tars.entries_of(tmp_path, "opt/x"), Entry("opt/y", data=b"y", mode=0o644)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == ["opt", "opt/x", "opt/x/link", "opt/x/tool", "opt/y"]
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in members} == {
        (0, 0, "", "", 1)
    }
    assert [member.mode for member in members] == [0o755, 0o755, 0o777, 0o755, 0o644]
    assert members[2].linkname == "tool"


def test_the_gzip_header_holds_no_time_and_no_name() -> None:
    _, data = packed([Entry("a")])
    assert data[:4] == b"\x1f\x8b\x08\x00"
    assert data[4:8] == bytes(4)


def test_a_sticky_folder_stays_open_to_all(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert [entry.mode for entry in tars.entries_of(tmp_path, "")] == [0o1777]


@pytest.mark.parametrize("name", ["x" * 90 + "/" + "y" * 120, "é" * 60])
def test_long_names_and_other_letters_survive(name: str) -> None:
    _, data = packed([Entry(name, data=b"1", mode=0o644)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames()[-1] == name
