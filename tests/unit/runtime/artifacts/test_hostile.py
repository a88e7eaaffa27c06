"""Layouts and archives from people who wish us ill: a clear error, and nothing outside its place."""

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.runtime.artifacts.images import file, make_image, special, symlink
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry import layout, transfer
from trihull_runtime.artifacts.registry.blobs import blob_path, put_document
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry


def largest(folder: Path) -> Path:
    return max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def outside(path: Path) -> None:
    (path.parent.parent.parent.parent / "secret").write_bytes(b"s" * path.stat().st_size)
    path.unlink()
    path.symlink_to("../../../secret")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        a_pipe,
        outside,
    ],
    ids=["empty", "truncated", "longer", "missing", "a folder", "a pipe", "a link to elsewhere"],
)
@pytest.mark.parametrize("which", ["layer", "index"])
def test_a_blob_that_is_not_what_its_name_says_is_neither_copied_nor_run(
    tmp_path: Path, damage: Callable[[Path], object], which: str
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    digest = make_image(source, [file("a", bytes(range(256)) * 50)])
    damage(largest(source) if which == "layer" else blob_path(source, digest))
    with pytest.raises(LayoutError):
        transfer.copy(LayoutRegistry(source), LayoutRegistry(target), digest, tag="v1")
    assert not (target / "index.json").exists()
    with pytest.raises(LayoutError):
        layout.platform_image(source, digest, "linux/amd64")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"manifests": 5}, "manifests: expected a list"),
        ({"manifests": [5]}, "expected a descriptor"),
        ({"manifests": [{"mediaType": layout.MANIFEST_TYPE, "digest": "sha256:../../x", "size": 1}]}, "descriptor"),
        ({"manifests": [{"mediaType": "text/plain", "digest": f"sha256:{'0' * 64}", "size": 1}]}, "which is no image"),
        ({"manifests": [{"mediaType": layout.INDEX_TYPE, "digest": f"sha256:{'0' * 64}", "size": 1}]}, "is no image"),
        (
            {"manifests": [{"mediaType": layout.MANIFEST_TYPE, "digest": f"sha256:{'0' * 64}", "size": 1}] * 1001},
            "lists 1001 manifests; refused",
        ),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, value: dict[str, object], message: str) -> None:
    make_image(tmp_path / "source", [file("a")])
    made = put_document(tmp_path / "source", layout.INDEX_TYPE, {"mediaType": layout.INDEX_TYPE, **value})
    with pytest.raises(LayoutError, match=message):
        transfer.copy(LayoutRegistry(tmp_path / "source"), LayoutRegistry(tmp_path / "target"), str(made["digest"]))


def test_a_blob_listed_with_two_sizes_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    make_image(source, [file("a")])
    entry = {"mediaType": "x", "digest": f"sha256:{'1' * 64}", "size": 1}
    manifest = {"mediaType": layout.MANIFEST_TYPE, "config": entry, "layers": [{**entry, "size": 2}]}
    made = put_document(source, layout.MANIFEST_TYPE, manifest)
    with pytest.raises(LayoutError, match="is listed with two sizes"):
        transfer.describe(LayoutRegistry(source), str(made["digest"]))


@pytest.mark.parametrize(
    "entry",
    [
        file("../escaped"),
        file("/escaped"),
        file("a/../../escaped"),
        symlink("a", "../../escaped"),
        symlink("a", "x/../../escaped"),
        special("a", tarfile.LNKTYPE, "../escaped"),
        special("a", tarfile.LNKTYPE, "/etc/passwd"),
        special("a", tarfile.CHRTYPE),
        special("a", tarfile.FIFOTYPE),
    ],
    ids=lambda entry: f"{entry[0].name} {entry[0].linkname}",
)
def test_a_layer_that_would_leave_its_folder_is_refused(tmp_path: Path, entry: tuple[tarfile.TarInfo, bytes]) -> None:
    digest = make_image(tmp_path / "source", [entry])
    image = layout.platform_image(tmp_path / "source", digest, "linux/amd64")
    with pytest.raises(LayoutError, match="refused"):
        layout.unpack(image, tmp_path / "root")
    assert not (tmp_path / "root").exists()
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "ünïcode", " ", "-rf"])
def test_an_odd_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    digest = make_image(tmp_path / "source", [file(name)])
    layout.unpack(layout.platform_image(tmp_path / "source", digest, "linux/amd64"), tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").iterdir()] == [name]


def test_a_tag_in_an_index_never_becomes_a_path(tmp_path: Path) -> None:
    source = tmp_path / "source"
    digest = make_image(source, [file("a")])
    index = json.loads((source / "index.json").read_bytes())
    index["manifests"][0]["annotations"] = {layout.TAG: "../../etc/passwd"}
    (source / "index.json").write_text(json.dumps(index))
    assert LayoutRegistry(source).read_manifest("../../etc/passwd").digest == digest
    with pytest.raises(LayoutError, match="0 images have the tag"):
        LayoutRegistry(source).read_manifest("../../etc/shadow")
