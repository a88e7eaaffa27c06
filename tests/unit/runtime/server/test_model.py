"""Loading one model folder: what the manifest says is compared with what the file is."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.servers import SIGNATURES, write_model
from trihull_runtime.contract import ContractError, DataType, ModelManifest, Signature, Tensor
from trihull_runtime.errors import InputError
from trihull_runtime.server.dataplane import DataPlane
from trihull_runtime.server.errors import UnknownModelError
from trihull_runtime.server.model import find_folders, load_model

INPUT, OUTPUTS = SIGNATURES["linear"].inputs[0], SIGNATURES["linear"].outputs


def rewrite(folder: Path, **changes: object) -> None:
    manifest = ModelManifest.read(folder / "manifest.json")
    dataclasses.replace(manifest, **changes).write(folder / "manifest.json")  # type: ignore[arg-type]  # per test


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        (Signature((dataclasses.replace(INPUT, name="pixels"),), OUTPUTS), "names 'pixels', but the model file has"),
        (Signature((dataclasses.replace(INPUT, datatype=DataType.FP64),), OUTPUTS), "is FP64, but the model file has"),
        (Signature((dataclasses.replace(INPUT, shape=(-1, 65)),), OUTPUTS), r"has shape \[-1, 65\], but"),
        (Signature((dataclasses.replace(INPUT, shape=(-1, -1)),), OUTPUTS), r"has shape \[-1, -1\], but"),
        (Signature((dataclasses.replace(INPUT, shape=(-1,)),), OUTPUTS), "has shape"),
        (Signature((INPUT,), (Tensor("score", DataType.FP32, (-1,)),)), "signature.outputs.0.: names 'score'"),
    ],
)
def test_a_signature_that_the_file_does_not_have_is_refused(tmp_path: Path, signature: Signature, problem: str) -> None:
    write_model(tmp_path)
    rewrite(tmp_path / "digits", signature=signature)
    with pytest.raises(ContractError, match=problem):
        load_model(tmp_path / "digits")


def test_an_input_that_the_manifest_forgets_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "divide", "divide")
    signature = SIGNATURES["divide"]
    rewrite(tmp_path / "divide", signature=Signature(signature.inputs[:1], signature.outputs))
    with pytest.raises(ContractError, match="lacks b, which the model file needs"):
        load_model(tmp_path / "divide")


def test_outputs_may_be_left_out_and_free_sizes_fixed(tmp_path: Path) -> None:
    write_model(tmp_path)
    fixed = dataclasses.replace(INPUT, shape=(1, 64))
    rewrite(tmp_path / "digits", signature=Signature((fixed,), OUTPUTS[:1]))
    model = load_model(tmp_path / "digits")
    (label,) = model.run({"image": np.zeros((1, 64), np.float32)}, ["label"])
    assert label.shape == (1,)


def test_every_file_is_verified_not_only_the_model_file(tmp_path: Path) -> None:
    write_model(tmp_path)
    path = tmp_path / "digits" / "manifest.json"
    manifest = ModelManifest.read(path)
    rewrite(
        tmp_path / "digits", model_file="notes.txt", files={**manifest.files, "notes.txt": manifest.files["model.onnx"]}
    )
    (tmp_path / "digits" / "notes.txt").write_bytes((tmp_path / "digits" / "model.onnx").read_bytes())
    assert load_model(tmp_path / "digits").name == "digits"
    (tmp_path / "digits" / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"is not the file that manifest\.json names"):
        load_model(tmp_path / "digits")


def test_the_release_digest_follows_the_manifests_bytes(tmp_path: Path) -> None:
    digest = write_model(tmp_path)
    assert load_model(tmp_path / "digits").release_digest == digest
    path = tmp_path / "digits" / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")
    assert load_model(tmp_path / "digits").release_digest != digest


def test_a_folder_of_models_and_one_model_folder_both_serve(tmp_path: Path) -> None:
    write_model(tmp_path, "b")
    write_model(tmp_path, "a")
    (tmp_path / "not-a-model").mkdir()
    assert find_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_folders(tmp_path / "a") == [tmp_path / "a"]


def test_unknown_models_and_versions_are_named(tmp_path: Path) -> None:
    write_model(tmp_path)
    data = DataPlane([load_model(tmp_path / "digits")], inline_s=1.0)
    try:
        assert data.find("digits", "1") is data.find("digits", None)
        with pytest.raises(UnknownModelError, match="unknown model: 'faces' is not found; this server has digits"):
            data.find("faces", None)
        with pytest.raises(UnknownModelError, match="version '2' is not found"):
            data.find("digits", "2")
    finally:
        data.close()
