"""Layers read as a stream: what is in them, and what a hostile one cannot do."""

import gzip
import io
import tarfile

import pytest

from tests.unit.runtime.artifacts.images import file, folder, special, symlink, tar_bytes
from trihull_packaging.inspecting import installed, layers
from trihull_packaging.inspecting.layers import DAMAGE, LayerContents, contents_of, merged


def read(*entries: tuple[tarfile.TarInfo, bytes], hashed: bool = False) -> LayerContents:
    return contents_of(io.BytesIO(gzip.compress(tar_bytes(entries))), hashed=hashed)


def test_files_and_links_are_listed_with_their_sizes_and_folders_are_not() -> None:
    found = read(folder("bin"), file("./bin/tool", b"12345"), symlink("bin/sh", "tool"))
    assert {name: one.size_bytes for name, one in found.files.items()} == {"bin/tool": 5, "bin/sh": 0}
    assert found.files["bin/sh"].content.endswith(" tool")


def test_hard_links_are_listed_as_links_wherever_they_lead_and_none_is_followed() -> None:
    targets = ["tool", "sh", "../../etc/passwd", "/etc/passwd", "hard0", ""]
    entries = [special(f"hard{number}", tarfile.LNKTYPE, target) for number, target in enumerate(targets)]
    links = read(file("tool", b"12345"), symlink("sh", "tool"), *entries, hashed=True).files
    assert [links[f"hard{number}"].size_bytes for number in range(len(targets))] == [0] * len(targets)
    assert [links[f"hard{number}"].content.partition(" ")[2] for number in range(len(targets))] == targets


def test_a_plain_tar_and_a_gzip_of_it_have_the_same_content() -> None:
    tar = tar_bytes([file("a", b"x" * 1000)])
    assert contents_of(io.BytesIO(tar)) == contents_of(io.BytesIO(gzip.compress(tar)))


def test_the_digest_counts_what_follows_the_archive_s_end() -> None:
    tar = tar_bytes([file("a")])
    assert contents_of(io.BytesIO(tar)).diff_id != contents_of(io.BytesIO(tar + b"\0" * 512)).diff_id


def test_an_upper_layer_takes_files_away_and_replaces_them() -> None:
    lower = read(file("a/one"), file("a/two"), file("b"), file("c/d/e"))
    upper = read(file("a/.wh..wh..opq"), file("a/three"), file(".wh.b"), file("c/.wh.d"))
    assert set(merged([lower, upper])[0]) == {"a/three"}


def test_only_texts_that_say_what_is_installed_are_kept_and_cut() -> None:
    texts = read(
        file("var/lib/dpkg/status.d/x", b"Package: x\n"),
        file("p/y.dist-info/METADATA", b"z" * 100_000),
        file("etc/passwd", b"root"),
    ).texts
    assert {name: len(text) for name, text in texts.items()} == {
        "var/lib/dpkg/status.d/x": 11,
        "p/y.dist-info/METADATA": 8 << 10,
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tar at all" * 100,
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x00garbage garbage garbage",
        gzip.compress(tar_bytes([file("a", b"x" * 10_000)]), mtime=0)[:-9],
        tar_bytes([file("a", b"x" * 10_000)])[:5000],
    ],
)
def test_what_is_no_intact_layer_is_told_by_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(DAMAGE):
        contents_of(io.BytesIO(data))


def test_a_header_that_claims_gigabytes_is_refused_before_it_is_read() -> None:
    info = special("x", tarfile.XHDTYPE)[0]
    info.size = 1 << 40
    with pytest.raises(tarfile.ReadError, match="a header of 1099511627776 bytes"):
        contents_of(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096))


def test_a_bomb_ends_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "UNPACKED_BYTES_MAX", 1 << 20)
    with pytest.raises(ValueError, match="it unpacks to more than"):
        read(file("zeros", b"\0" * (4 << 20)))


def test_more_files_than_can_be_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "FILES_MAX", 2)
    with pytest.raises(ValueError, match="more than 2 files"):
        read(file("a"), file("b"), file("c"))


def packages_of(*entries: tuple[tarfile.TarInfo, bytes]) -> list[tuple[str, str, str, int | None]]:
    found = installed.packages(*merged([read(*entries)]))
    return [(one.kind, one.name, one.version, one.size_bytes) for one in found]


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nSummary: a\n b\n\nName: no\n".encode()


def test_a_python_package_s_size_is_that_of_its_record_where_there_is_one() -> None:
    record = b"six.py,sha256=x,10\nshared/six.txt,,\n../bin/tool,,\nsix-1.dist-info/METADATA,,\n"
    text = metadata("six", "1")
    assert packages_of(
        file("lib/six.py", b"x" * 10),
        file("lib/shared/six.txt", b"y" * 5),
        file("bin/tool", b"z" * 2),
        file("lib/shared/other.txt", b"w" * 99),
        file("lib/six-1.dist-info/METADATA", text),
        file("lib/six-1.dist-info/RECORD", record),
    ) == [("pypi", "six", "1", 10 + 5 + 2 + len(text) + len(record))]


def test_a_python_package_without_a_record_has_the_files_of_its_name() -> None:
    text = metadata("Prometheus-Client", "2")
    assert packages_of(
        file("d/prometheus_client/a.py", b"1234"),
        file("d/prometheus_client.libs/b.so", b"12"),
        file("d/prometheus_client-2.dist-info/METADATA", text),
        file("d/other/c.py", b"x" * 50),
    ) == [("pypi", "Prometheus-Client", "2", 6 + len(text))]


def test_the_size_of_a_package_whose_files_cannot_be_told_is_not_known() -> None:
    entries = [
        file("d/google/protobuf/a.py", b"1234"),
        file("d/protobuf-6.dist-info/METADATA", metadata("protobuf", "6")),
    ]
    assert packages_of(*entries) == [("pypi", "protobuf", "6", None)]


def test_debian_s_packages_are_read_in_both_forms_and_removed_ones_are_none() -> None:
    installed_one = b"Package: a\nStatus: install ok installed\nVersion: 1\nInstalled-Size: 2\n"
    removed_one = b"Package: b\nStatus: deinstall ok config-files\nVersion: 1\n"
    status = installed_one + b"\n" + removed_one
    assert packages_of(
        file("var/lib/dpkg/status", status),
        file("var/lib/dpkg/status.d/c", b"Package: c\nVersion: 3\nInstalled-Size: x\n"),
    ) == [("deb", "a", "1", 2048), ("deb", "c", "3", None)]
