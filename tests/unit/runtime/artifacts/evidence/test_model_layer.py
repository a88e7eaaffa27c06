"""The model's layer: what is read out of it, and layers that are not what they say."""

import gzip
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests import released
from tests.unit.runtime.artifacts.images import file, folder, special, symlink, tar_bytes
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.evidence.model_layer import read_model
from trihull_runtime.artifacts.registry.blobs import bytes_digest
from trihull_runtime.contract.manifest import release_digest


@pytest.fixture
def manifest(tmp_path: Path) -> bytes:
    return released.make(tmp_path / "release").subject.manifest.to_json().encode()


def write(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> str:
    tar = tar_bytes(entries)
    path.write_bytes(gzip.compress(tar, mtime=0))
    return bytes_digest(tar)


def test_a_model_is_known_by_its_manifest_and_its_files(tmp_path: Path, manifest: bytes) -> None:
    entries = [folder("models/digits"), file("models/digits/model.onnx", released.GRAPH),
               file("models/digits/manifest.json", manifest)]  # fmt: skip
    model = read_model(tmp_path / "layer", "x", write(tmp_path / "layer", entries))
    assert model.release_digest == release_digest(manifest)
    assert model.digests == {bytes_digest(released.GRAPH)}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "holds 0 models"),
        ([file("models/other/manifest.json", b"MANIFEST")], "calls itself digits"),
        ([file("models/digits/manifest.json", b"{}")], "version: is missing"),
        ([file("models/digits/manifest.json", b"MANIFEST")], "model.onnx is missing"),
        ([file("models/digits/manifest.json", b"MANIFEST"), file("models/a/manifest.json", b"MANIFEST")], "2 models"),
        ([file("models/digits/manifest.json", b"MANIFEST")] * 2, "manifest.json is there twice"),
        ([symlink("models/digits/manifest.json", "/etc/passwd")], "is no regular file"),
        ([file("models/digits/manifest.json", b"MANIFEST"), symlink("models/digits/model.onnx", "/dev/zero")],
         "is no regular file"),
        ([file("models/digits/manifest.json", b"MANIFEST"), file("models/digits/model.onnx", b"b model")],
         "has 7 bytes with sha256:"),
        ([file("models/digits/manifest.json", b"x" * (5 << 20))], "it is no manifest"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(
    tmp_path: Path, manifest: bytes, entries: list[tuple[tarfile.TarInfo, bytes]], said: str
) -> None:
    filled = [file(info.name, manifest) if data == b"MANIFEST" else (info, data) for info, data in entries]
    with pytest.raises(LayoutError, match=said):
        read_model(tmp_path / "layer", "x", write(tmp_path / "layer", filled))


EVIL = b"another model"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([file("models//digits/model.onnx", EVIL)], "/models/digits/model.onnx is there twice"),
        ([file("models/./digits/model.onnx", EVIL)], "/models/digits/model.onnx is there twice"),
        ([file("/models/digits/model.onnx", EVIL)], "/models/digits/model.onnx is there twice"),
        ([file("x/../models/digits/model.onnx", EVIL)], "/models/digits/model.onnx is there twice"),
        ([file("../models/digits/model.onnx", EVIL)], "/models/digits/model.onnx is there twice"),
        ([symlink("models/digits", "../evil")], "/models/digits is no regular file"),
        ([symlink("models", "/evil")], "/models is no regular file"),
        ([special("models/digits/alias", tarfile.LNKTYPE, "models/digits/model.onnx")], "alias is no regular file"),
        ([folder("models/digits/model.onnx")], "/models/digits/model.onnx is no regular file"),
        ([file("models/.wh.digits", b"")], "/models/.wh.digits, which is no file of a model"),
        ([file("models/digits/.wh.model.onnx", b"")], "model.onnx, which the manifest does not name"),
        ([file("models/digits/plugin.so", EVIL)], "/models/digits/plugin.so, which the manifest does not name"),
        ([file("models/other/model.onnx", EVIL)], "/models/other/model.onnx, which the manifest does not name"),
        ([file("models/digits/data/model.onnx", EVIL)], "/models/digits/data/model.onnx, which is no file of a model"),
        ([file("app/sitecustomize.py", EVIL)], "/app/sitecustomize.py, which is no file of a model"),
    ],
)
def test_nothing_may_take_the_place_of_what_was_read(
    tmp_path: Path, manifest: bytes, entries: list[tuple[tarfile.TarInfo, bytes]], said: str
) -> None:
    whole = [file("models/digits/manifest.json", manifest), file("models/digits/model.onnx", released.GRAPH)]
    with pytest.raises(LayoutError, match=re.escape(said)):
        read_model(tmp_path / "layer", "x", write(tmp_path / "layer", [*whole, *entries]))


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"garbage" * 200, gzip.compress(b"x" * 600, mtime=0)[:-9]])
def test_what_is_no_layer_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "layer").write_bytes(data)
    with pytest.raises(LayoutError, match=r"is no intact layer|holds 0 models|unpacks to"):
        read_model(tmp_path / "layer", "x", bytes_digest(b""))


def test_a_layer_must_be_what_the_configuration_says(tmp_path: Path, manifest: bytes) -> None:
    write(tmp_path / "layer", [file("models/digits/manifest.json", manifest)])
    with pytest.raises(LayoutError, match="but the configuration says None"):
        read_model(tmp_path / "layer", "x", None)


@pytest.mark.parametrize("value", [{"a": 1}, [], {"version": 99}])
def test_a_manifest_of_another_form_is_named(tmp_path: Path, value: Any) -> None:
    diff_id = write(tmp_path / "layer", [file("models/digits/manifest.json", json.dumps(value).encode())])
    with pytest.raises(LayoutError, match=r"/models/digits/manifest.json: "):
        read_model(tmp_path / "layer", "x", diff_id)
