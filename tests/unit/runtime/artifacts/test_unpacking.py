import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.unit.runtime.artifacts.images import file, folder, make_image, special, symlink
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry import layout as registry

PLATFORM = "linux/amd64"
Entry = tuple[tarfile.TarInfo, bytes]


def unpacked(tmp_path: Path, *layers: list[Entry], compressed: bool = True) -> Path:
    digest = make_image(tmp_path / "layout", *layers, compressed=compressed)
    registry.unpack(registry.platform_image(tmp_path / "layout", digest, PLATFORM), tmp_path / "root")
    return tmp_path / "root"


@pytest.mark.parametrize("compressed", [True, False])
def test_files_folders_links_and_modes_are_there(tmp_path: Path, compressed: bool) -> None:
    entries = [
        folder("bin"),
        file("bin/tool", b"#!", 0o755),
        file("etc/config", b"text", 0o640),
        symlink("bin/other", "tool"),
        special("bin/same", tarfile.LNKTYPE, "bin/tool"),
        folder("tmp", 0o1777),
    ]
    root = unpacked(tmp_path, entries, compressed=compressed)
    assert (root / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (root / "etc/config").read_bytes() == b"text"
    assert (root / "etc/config").stat().st_mode & 0o777 == 0o640
    assert (root / "bin/other").readlink() == Path("tool")
    assert (root / "bin/same").samefile(root / "bin/tool")
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_upper_layers_replace_hide_and_empty(tmp_path: Path) -> None:
    lower = [file("a", b"lower"), file("b"), file("keep/x"), file("full/old"), file("full/sub/old"), file("kind")]
    upper = [
        file("a", b"upper"),
        file(".wh.b"),
        file("full/new"),
        file("full/.wh..wh..opq"),
        folder("kind"),
        file("kind/inner"),
    ]
    root = unpacked(tmp_path, lower, upper)
    assert (root / "a").read_bytes() == b"upper"
    assert not (root / "b").exists()
    assert (root / "keep/x").exists()
    assert [path.name for path in (root / "full").iterdir()] == ["new"]
    assert (root / "kind/inner").exists()


def test_absolute_links_are_written_relative(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path, [file("usr/bin/python3.11"), symlink("usr/bin/python3", "/usr/bin/python3.11"), symlink("etc/x", "/")]
    )
    assert (root / "usr/bin/python3").readlink() == Path("python3.11")
    assert (root / "etc/x").resolve() == root.resolve()


def test_entries_follow_links_of_lower_layers_inside_the_root(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [folder("usr/lib"), symlink("lib", "usr/lib")], [file("lib/libc.so", b"elf")])
    assert (root / "usr/lib/libc.so").read_bytes() == b"elf"
    assert (root / "lib").is_symlink()


def test_a_hard_link_follows_the_links_on_its_path_inside_the_root_and_is_the_file_itself(tmp_path: Path) -> None:
    lower = [
        file("usr/lib/libc.so", b"elf"),
        symlink("lib", "usr/lib"),
        symlink("lib64", "/lib"),
        symlink("d/up", ".."),
    ]
    upper = [
        special("one", tarfile.LNKTYPE, "lib/libc.so"),
        special("two", tarfile.LNKTYPE, "lib64/libc.so"),
        special("three", tarfile.LNKTYPE, "d/up/lib64/libc.so"),
        special("lib/four", tarfile.LNKTYPE, "one"),
    ]
    root = unpacked(tmp_path, lower, upper)
    for name in ("one", "two", "three", "usr/lib/four"):
        assert not (root / name).is_symlink()
        assert (root / name).samefile(root / "usr/lib/libc.so")


def test_a_hard_link_replaces_a_link_and_not_what_that_leads_to(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        [file("old", b"old"), file("new", b"new"), symlink("name", "old")],
        [special("name", tarfile.LNKTYPE, "new")],
    )
    assert not (root / "name").is_symlink()
    assert (root / "name").samefile(root / "new")
    assert (root / "old").read_bytes() == b"old"


def test_a_hard_link_to_itself_leaves_the_file(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [file("a", b"kept"), symlink("l", ".")], [special("l/a", tarfile.LNKTYPE, "a")])
    assert (root / "a").read_bytes() == b"kept"


def test_a_file_in_place_of_a_hard_link_leaves_the_other_name_alone(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [file("a", b"lower"), special("b", tarfile.LNKTYPE, "a")], [file("b", b"upper")])
    assert [(root / name).read_bytes() for name in "ab"] == [b"lower", b"upper"]


def test_what_was_unpacked_can_be_removed_by_its_owner(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        [folder("shut", 0o000), file("shut/file", mode=0o000), folder("read", 0o555), file("read/x", mode=0o444)],
    )
    for path in (root / "shut", root / "read"):
        assert path.stat().st_mode & 0o700 == 0o700
    assert (root / "shut/file").stat().st_mode & 0o400
    shutil.rmtree(root)
    assert not root.exists()


def test_set_user_id_is_dropped(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [file("su", mode=0o6755)])
    assert (root / "su").stat().st_mode & 0o7777 == 0o755


HOSTILE = {
    "parent": [file("../evil")],
    "parent inside": [file("a/../../evil")],
    "absolute": [file("/tmp/evil")],
    "absolute folder": [folder("/tmp/evil")],
    "link up": [symlink("a", "../evil")],
    "link up from below": [symlink("a/b", "../../evil")],
    "absolute link up": [symlink("a", "/../evil")],
    "link through a name": [folder("d"), symlink("d/up", ".."), symlink("d/out", "up/../evil")],
    "empty link": [symlink("a", "")],
    "hard link up": [special("a", tarfile.LNKTYPE, "../evil")],
    "absolute hard link": [special("a", tarfile.LNKTYPE, "/etc/passwd")],
    "hard link to a link": [symlink("l", "x"), special("a", tarfile.LNKTYPE, "l")],
    "hard link to a link to a file": [file("x"), symlink("l", "x"), special("a", tarfile.LNKTYPE, "l")],
    "hard link to a link below": [file("d/x"), symlink("d/l", "x"), special("a", tarfile.LNKTYPE, "d/l")],
    "hard link to an absolute link": [file("x"), symlink("l", "/x"), special("a", tarfile.LNKTYPE, "l")],
    "hard link to a link to a folder": [folder("d"), symlink("l", "d"), special("a", tarfile.LNKTYPE, "l")],
    "hard link to a link of links": [
        file("x"),
        symlink("l", "x"),
        symlink("m", "l"),
        special("a", tarfile.LNKTYPE, "m"),
    ],
    "hard link to a link through a link": [
        file("d/x"),
        symlink("d/l", "x"),
        symlink("e", "d"),
        special("a", tarfile.LNKTYPE, "e/l"),
    ],
    "hard link to itself as a link": [file("x"), symlink("l", "x"), special("l", tarfile.LNKTYPE, "l")],
    "hard link through a link out": [symlink("up", ".."), special("a", tarfile.LNKTYPE, "up/first")],
    "hard link through a loop": [symlink("a", "b"), symlink("b", "a"), special("c", tarfile.LNKTYPE, "a/x")],
    "hard link through a file": [file("x"), special("a", tarfile.LNKTYPE, "x/y")],
    "hard link by ..": [file("d/x"), special("a", tarfile.LNKTYPE, "d/../d/x")],
    "hard link to the root": [special("a", tarfile.LNKTYPE, ".")],
    "hard link to nowhere": [special("a", tarfile.LNKTYPE, "")],
    "hard link to nothing": [special("a", tarfile.LNKTYPE, "missing")],
    "hard link to a folder": [folder("d"), special("a", tarfile.LNKTYPE, "d")],
    "loop": [symlink("a", "b"), symlink("b", "a"), file("a/x")],
    "character device": [special("null", tarfile.CHRTYPE)],
    "block device": [special("disk", tarfile.BLKTYPE)],
    "pipe": [special("pipe", tarfile.FIFOTYPE)],
    "whiteout up": [file(".wh...")],
    "whiteout of nothing": [file(".wh.")],
}


@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_entry_that_would_leave_the_root_is_refused_and_nothing_remains(
    tmp_path: Path, entries: list[Entry]
) -> None:
    with pytest.raises(LayoutError):
        unpacked(tmp_path, [file("first"), *entries])
    assert {path.name for path in tmp_path.iterdir()} == {"layout"}


def test_a_link_cannot_be_used_to_write_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(LayoutError, match="leaves the folder"):
        unpacked(tmp_path, [symlink("door", "../outside"), file("door/evil")])
    with pytest.raises(LayoutError, match="refused"):
        unpacked(tmp_path, [symlink("door", "."), file("door/../../outside/evil")])
    assert list(outside.iterdir()) == []


def damaged(tmp_path: Path, change: bytes | None, cut: int = 0) -> registry.PlatformImage:
    digest = make_image(tmp_path / "layout", [file("a", os.urandom(100_000))])
    image = registry.platform_image(tmp_path / "layout", digest, PLATFORM)
    data = image.layers[0].read_bytes()
    image.layers[0].write_bytes((change or data)[: len(data) - cut])
    return image


@pytest.mark.parametrize("cut", [1, 9, 5_000, 90_000])
def test_a_layer_cut_short_after_it_was_verified_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(LayoutError):
        registry.unpack(damaged(tmp_path, None, cut), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_layer_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no intact layer"):
        registry.unpack(damaged(tmp_path, b"text" * 30_000), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_another_content_than_the_diff_id_is_refused(tmp_path: Path) -> None:
    image = registry.platform_image(tmp_path / "layout", make_image(tmp_path / "layout", [file("a")]), PLATFORM)
    wrong = {"rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]}}
    with pytest.raises(LayoutError, match="instead of sha256:0000"):
        registry.unpack(registry.PlatformImage(image.digest, image.platform, wrong, image.layers), tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("config", [{}, {"rootfs": {}}, {"rootfs": {"diff_ids": []}}, {"rootfs": "x"}])
def test_a_configuration_without_diff_ids_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    image = registry.platform_image(tmp_path / "layout", make_image(tmp_path / "layout", [file("a")]), PLATFORM)
    with pytest.raises(LayoutError, match="one diff_id per layer"):
        registry.unpack(registry.PlatformImage(image.digest, image.platform, config, image.layers), tmp_path / "root")


def test_a_folder_with_something_in_it_is_not_unpacked_into(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/mine").touch()
    with pytest.raises(LayoutError, match="is not an empty folder"):
        unpacked(tmp_path, [file("a")])
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["mine"]
