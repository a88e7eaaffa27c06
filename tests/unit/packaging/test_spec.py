from pathlib import Path
from typing import Any

import pytest
import yaml

from trihull_packaging import spec
from trihull_packaging.errors import SpecError

GOOD: dict[str, Any] = {
    "name": "digits",
    "version": "1.0.0",
    "framework": "scikit-learn",
    "requirements": "requirements.txt",
    "train": {"script": "train.py"},
    "artifact": "model.skops",
    "signature": {
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    },
    "classes": ["0", "1"],
    "evaluation": {"gates": {"accuracy": 0.9}},
}
LOCK = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via something
"""


def changed(path: str, value: Any) -> str:
    """Return a good document with one place changed; `...` removes it."""
    document = yaml.safe_load(yaml.safe_dump(GOOD))
    *above, last = path.split(".")
    place = document
    for part in above:
        place = place[int(part) if part.isdigit() else part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return yaml.safe_dump(document)


def test_a_good_document_says_what_it_says() -> None:
    model = spec.parse(yaml.safe_dump(GOOD), "model.yaml")
    assert (model.name, model.version, model.evaluation.gates) == ("digits", "1.0.0", {"accuracy": 0.9})
    assert model.parity.tolerance == 1e-4
    assert model.contract_signature().outputs[1].shape == (-1, 2)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", "colour: is unknown"),
        ("train.colour", "red", "train.colour: is unknown"),
        ("name", ..., "name: is missing"),
        ("evaluation", ..., "evaluation: is missing"),
        ("train.script", ..., "train.script: is missing"),
        ("name", 7, "name: input should be a valid string, found 7"),
        ("name", "Digits!", "name: string should match pattern"),
        ("version", 1.0, "version: input should be a valid string, found 1.0"),
        ("framework", "torch", "framework: input should be 'scikit-learn', found 'torch'"),
        ("train", "train.py", "train: expected keys and values, found 'train.py'"),
        ("train.time_limit_s", "5", "train.time_limit_s: input should be a valid integer, found '5'"),
        ("train.time_limit_s", True, "train.time_limit_s: input should be a valid integer, found True"),
        ("train.script", "../train.py", "train.script: must be a file inside the model's folder"),
        ("requirements", "/etc/passwd", "requirements: must be a file inside the model's folder"),
        ("artifact", "model.pkl", "artifact: must be the name of a .skops file"),
        ("classes", [0, 1], r"classes\[0\]: input should be a valid string, found 0"),
        ("classes", ["a", "a"], "classes: names a class twice"),
        ("classes", ["a", "b", "c"], "ends in 2, but there are 3 classes"),
        ("signature.inputs", [], "signature.inputs: list should have at least 1 item"),
        ("signature.inputs.0.datatype", "FP16", r"signature.inputs\[0\].datatype: input should be 'BOOL'"),
        ("signature.inputs.0.datatype", "INT64", "must be FP32"),
        ("signature.inputs.0.shape", [-1, 2.5], r"signature.inputs\[0\].shape\[1\]: input should be a valid integer"),
        ("signature.outputs.0.name", "answer", "must be label and probabilities"),
        ("parity", {"tolerance": "1e-4"}, "parity.tolerance: input should be a valid number, found '1e-4'"),
        ("parity", {"tolerance": 0.5}, "parity.tolerance: input should be less than or equal to 0.01"),
        ("evaluation.gates", {}, "evaluation.gates: dictionary should have at least 1 item"),
        ("evaluation.gates", {"colour": 0.5}, "evaluation.gates.colour: is no metric; known: accuracy"),
        ("evaluation.gates", {"accuracy": 95}, "evaluation.gates.accuracy: input should be less than or equal to 1"),
        (
            "evaluation.gates",
            {"accuracy": "0.9"},
            "evaluation.gates.accuracy: input should be a valid number, found '0.9'",
        ),
        ("base", "debian:12", "base: is no base by digest: oci-layout://PATH@sha256"),
    ],
)
def test_bad_input_is_refused_with_file_key_and_what_was_expected(path: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        spec.parse(changed(path, value), "folder/model.yaml")
    assert str(caught.value).startswith("folder/model.yaml:")
    assert caught.value.exit_code == 65


def test_all_mistakes_are_told_at_once() -> None:
    document = {**GOOD, "colour": "red", "name": 7}
    del document["classes"]
    with pytest.raises(SpecError) as caught:
        spec.parse(yaml.safe_dump(document), "model.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "model.yaml:"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == ["classes", "colour", "name"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("- a", "expected keys and values, found list"),
        ("", "expected keys and values, found NoneType"),
        ("name: a\nname: b\n", "the key 'name' is given twice"),
        ("train: {script: a, script: b}", "the key 'script' is given twice"),
        ("name: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec.parse(text, "model.yaml")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    (tmp_path / "train.py").touch()
    (tmp_path / "requirements.txt").write_text(LOCK, encoding="utf-8")
    return tmp_path


def test_a_good_folder_is_read(model: Path) -> None:
    assert spec.load(model).name == "digits"


def test_missing_files_are_named_with_their_keys(model: Path) -> None:
    (model / "train.py").unlink()
    (model / "requirements.txt").unlink()
    with pytest.raises(SpecError) as caught:
        spec.load(model)
    assert "requirements: requirements.txt is not in" in str(caught.value)
    assert "train.script: train.py is not in" in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("nowhere", "is no folder"), ("", "has no model.yaml")])
def test_a_folder_without_model_yaml_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec.load(tmp_path / name)


def test_a_model_yaml_that_is_no_text_is_refused(model: Path) -> None:
    (model / "model.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        spec.load(model)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("numpy==2.4.6\n", "numpy has no version with hashes"),
        ("numpy>=2 --hash=sha256:aa\n", "numpy has no version with hashes"),
        (LOCK + "--index-url https://example.invalid\n", "has the option --index-url"),
        ("# nothing\n", "names no package"),
    ],
)
def test_a_lock_without_hashes_or_with_an_index_is_refused(model: Path, lock: str, message: str) -> None:
    (model / "requirements.txt").write_text(lock, encoding="utf-8")
    with pytest.raises(SpecError, match=message):
        spec.load(model)
