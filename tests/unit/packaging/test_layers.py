import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.unit.packaging.test_spec import GOOD
from trihull_packaging import output, spec
from trihull_packaging.base.image import Base
from trihull_packaging.base.interpreter import Interpreter
from trihull_packaging.contents import Package
from trihull_packaging.oci import layers as oci_layers
from trihull_packaging.oci import tars
from trihull_packaging.oci.layers import Layer
from trihull_packaging.steps import layers
from trihull_packaging.steps.layers import Environment
from trihull_runtime.artifacts.registry.blobs import blob_path, link_file
from trihull_runtime.contract import ModelManifest
from trihull_runtime.contract.manifest import release_digest

COMPILER = Interpreter((), {}, "3.11", ())


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def layer(letter: str) -> Layer:
    return Layer(Path(letter), f"sha256:{letter * 64}", f"sha256:{letter * 63}0", 1, letter)


def environment(*base: str) -> Environment:
    return Environment(
        Base(tuple(layer(name) for name in base), Path("root"), "3.11", "amd64", "", COMPILER), layer("b"), layer("c")
    )


def test_a_cached_layer_is_made_once_and_leaves_no_scratch(own_cache: Path) -> None:
    calls = []

    def entries(scratch: Path, packages: list[Package]) -> list[tars.Entry]:
        calls.append(scratch)
        (scratch / "file").write_bytes(b"content")
        return list(tars.entries_of(scratch, "opt"))

    one = oci_layers.cached_layer("key", "purpose", entries)
    assert oci_layers.cached_layer("key", "purpose", entries) == one
    assert len(calls) == 1
    assert sorted(path.name for path in one.path.parent.iterdir()) == ["layer.json", "layer.tar.gz"]


@pytest.mark.parametrize("name", ["layer.tar.gz", "layer.json"])
def test_a_damaged_cached_layer_is_made_again(name: str) -> None:
    def entries(scratch: Path, packages: list[Package]) -> list[tars.Entry]:
        return [tars.Entry("a", data=b"content", mode=0o644)]

    one = oci_layers.cached_layer("key", "purpose", entries)
    (one.path.parent / name).write_bytes(b"damaged")
    assert oci_layers.cached_layer("key", "purpose", entries) == one
    assert f"sha256:{hashlib.sha256(one.path.read_bytes()).hexdigest()}" == one.digest


def test_a_cached_layer_of_as_many_other_bytes_is_made_again_and_a_copy_is_taken() -> None:
    def entries(scratch: Path, packages: list[Package]) -> list[tars.Entry]:
        return [tars.Entry("a", data=b"content", mode=0o644)]

    one = oci_layers.cached_layer("key", "purpose", entries)
    right = one.path.read_bytes()
    one.path.chmod(0o644)
    one.path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    assert oci_layers.cached_layer("key", "purpose", entries) == one
    assert one.path.read_bytes() == right
    made = one.path.stat().st_ino
    shutil.copy(one.path, one.path.with_name("copy"))
    one.path.with_name("copy").rename(one.path)
    assert oci_layers.cached_layer("key", "purpose", entries) == one
    assert one.path.stat().st_ino != made, "read by its digest, and kept"


def test_the_installers_own_files_and_the_packages_tests_are_left_out(tmp_path: Path) -> None:
    for name in (
        "bin/tool", "pkg/__init__.py", "pkg/__pycache__/a.pyc", "pkg/tests/test_a.py", "pkg/RECORD", ".lock",
        "pkg/__init__.pyi", "pkg/tests/a.pyi", "onnxruntime/tools/convert.py",
        "pkg-1.dist-info/RECORD", "pkg-1.dist-info/INSTALLER", "pkg-1.dist-info/METADATA",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    layers.clean(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["pkg-1.dist-info/METADATA", "pkg/RECORD", "pkg/__init__.py"]


def test_the_runtime_layer_holds_the_package_without_this_machines_bytecode(tmp_path: Path) -> None:
    for name in ("a/__init__.py", "a/__pycache__/x.pyc", "a/page.html", "a/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(layers.runtime_files(tmp_path / "a")) == ["a/__init__.py", "a/page.html"]


def test_the_manifest_names_the_model_and_all_that_lies_below_it(tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"graph")
    below = {"linux/amd64": environment("a"), "linux/arm64": environment("d")}
    packed = layers.model_layer(spec.parse(yaml.safe_dump(GOOD), "model.yaml"), graph, below, tmp_path)
    assert packed.manifest.files["model.onnx"].digest == f"sha256:{hashlib.sha256(b'graph').hexdigest()}"
    assert packed.manifest.environment == {
        "linux/amd64/base": f"sha256:{'a' * 63}0",
        "linux/amd64/dependencies": f"sha256:{'b' * 63}0",
        "linux/amd64/runtime": f"sha256:{'c' * 63}0",
        "linux/arm64/base": f"sha256:{'d' * 63}0",
        "linux/arm64/dependencies": f"sha256:{'b' * 63}0",
        "linux/arm64/runtime": f"sha256:{'c' * 63}0",
    }
    assert packed.release_digest == release_digest(packed.manifest_text)
    assert ModelManifest.parse(packed.manifest_text) == packed.manifest
    with tarfile.open(packed.layer.path) as tar:
        names = tar.getnames()
        manifest = tar.extractfile("models/digits/manifest.json")
        assert manifest is not None
        assert json.load(manifest) == packed.manifest.to_value()
    assert names == ["models", "models/digits", "models/digits/manifest.json", "models/digits/model.onnx"]


def test_a_models_layer_is_brought_to_the_disk_with_its_release_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", record)
    (tmp_path / "model.onnx").write_bytes(b"graph")
    wanted = spec.parse(yaml.safe_dump(GOOD), "model.yaml")
    with output.replacing(tmp_path / "out") as folder:
        scratch = folder / ".layer"
        scratch.mkdir()
        made = layers.model_layer(wanted, tmp_path / "model.onnx", {"linux/amd64": environment("a")}, scratch).layer
        link_file(folder / "image", made.path, made.digest)
        shutil.rmtree(scratch)
        assert synced == []
    kept = blob_path(tmp_path / "out/image", made.digest)
    assert synced.count(kept.stat().st_ino) == 1
    assert oct(kept.stat().st_mode & 0o777) == "0o444", "releases share it"


def test_a_base_of_several_layers_has_one_digest_of_its_own() -> None:
    one, other = environment("a", "d").digests()["base"], environment("d", "a").digests()["base"]
    assert one != other
    assert one != environment("a").digests()["base"]
