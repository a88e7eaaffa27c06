import re
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
        ("colour", "red", "colour: is unknown; known here: name, version, framework"),
        ("train.colour", "red", "train.colour: is unknown; known here: script, time_limit_s"),
        ("clases", [], r"clases: is unknown; known here: .*; did you mean classes\?"),
        ("name", ..., "name: is missing; expected a short name"),
        ("evaluation", ..., "evaluation: is missing"),
        ("train.script", ..., "train.script: is missing"),
        ("name", 7, 'name: expected a short name of .*, found 7; write it in quotes: "7"'),
        ("name", "Digits!", 'name: expected a short name of .*, found "Digits!"'),
        ("version", 1.1, 'version: expected text of .*, such as 1.0.0, found 1.1; write it in quotes: "1.1"'),
        ("framework", "torch", 'framework: expected the word scikit-learn, found "torch"'),
        ("train", "train.py", 'train: expected keys and values: the training script .*, found "train.py"'),
        ("train.time_limit_s", "5", 'time_limit_s: expected a whole number .*, found "5"; write it without quotes: 5'),
        ("train.time_limit_s", True, "train.time_limit_s: expected a whole number .*, found true$"),
        ("train.script", "../train.py", "train.script: must be a file inside the model's folder"),
        ("requirements", "/etc/passwd", "requirements: must be a file inside the model's folder"),
        ("artifact", "model.pkl", "artifact: must be the name of a .skops file"),
        ("classes", [0, "1"], r'classes\[0\]: expected text, found 0; write it in quotes: "0"'),
        ("classes", [False, "1"], r'classes\[0\]: expected text, found false; write it in quotes: "false"'),
        ("classes", ["a", "a"], "classes: names a class twice"),
        ("classes", ["a", "b", "c"], r"signature.outputs\[1\].shape: ends in 2, but there are 3 classes"),
        ("signature.inputs", [], "signature.inputs: expected a list of one input, found an empty list"),
        ("signature.inputs.0.datatype", "FP16", r'inputs\[0\].datatype: expected one of BOOL, INT32, .*, found "FP16"'),
        ("signature.inputs.0.datatype", "INT64", r"signature.inputs\[0\].datatype: must be FP32, found INT64"),
        ("signature.inputs.0.shape", [-1, 2.5], r"inputs\[0\].shape\[1\]: expected a whole number, found 2.5"),
        ("signature.outputs.0.name", "answer", "signature.outputs: must be label and probabilities"),
        ("parity", {"tolerance": "0.001"}, 'tolerance: expected a number .*, found "0.001"; write it without quotes'),
        ("parity", {"tolerance": 0.5}, "parity.tolerance: expected a number above 0 and at most 0.01, .*, found 0.5"),
        ("evaluation.gates", {}, "evaluation.gates: expected metrics, each with its minimum .*, found an empty object"),
        ("evaluation.gates", {"colour": 0.5}, "evaluation.gates.colour: is no metric; known: accuracy"),
        ("evaluation.gates", {"acuracy": 0.5}, r"gates.acuracy: is no metric; known: .*; did you mean accuracy\?"),
        ("evaluation.gates", {"accuracy": 95}, "evaluation.gates.accuracy: expected at most 1, found 95"),
        ("evaluation.gates", {"accuracy": "0.9"}, 'accuracy: expected a number, found "0.9"; write it without quotes'),
        ("image", {"platforms": "linux/amd64"}, r"image.platforms: .*; write it as a list: \[linux/amd64\]"),
        ("base", "debian:12", "base: is no base by digest: oci-layout://PATH@sha256"),
    ],
)
def test_bad_input_is_refused_with_file_key_and_what_was_expected(path: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        spec.parse(changed(path, value), "folder/model.yaml")
    text, told = changed(path, value), str(caught.value)
    assert re.match(r"folder/model\.yaml:[0-9]+: [a-z]", told)
    if value is not ...:
        key = re.split(r"[.\[]", told.split(": ")[1])[0]
        number = int(told.split(":")[1])
        assert [line.split(":")[0] for line in text.splitlines()[:number] if line[0].isalpha()][-1] == key
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("version: 1.10", '1: version: expected text of A-Z a-z 0-9 . _ -, at most 64, such as 1.0.0, found 1.10; write'
         ' it in quotes: "1.10"'),
        ("name: no", "1: name: expected a short name of a-z 0-9 -, a letter or digit at both ends, found no, which YAML"
         ' reads as false; write it in quotes: "no"'),
        ("name: 007", '1: name: expected a short name of a-z 0-9 -, a letter or digit at both ends, found 007; write it'
         ' in quotes: "007"'),
        ("name:", "1: name: expected a short name of a-z 0-9 -, a letter or digit at both ends, found nothing"),
        ("train: {time_limit_s: 5:00}", '1: train.time_limit_s: expected a whole number of seconds from 1 to 86400, '
         'found "5:00"'),
    ],
)  # fmt: skip
def test_what_yaml_makes_of_a_value_is_told_as_it_is_written(line: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec.parse(f"{line}\n", "model.yaml")
    assert f"model.yaml:{told}" in str(caught.value).splitlines()


def test_a_number_with_an_exponent_alone_is_a_number() -> None:
    text = yaml.safe_dump({**GOOD, "parity": None}).replace("parity: null", "parity: {tolerance: 1e-4}")
    assert spec.parse(text, "model.yaml").parity.tolerance == 1e-4


def test_all_mistakes_are_told_at_once() -> None:
    document = {**GOOD, "colour": "red", "name": 7}
    del document["classes"]
    with pytest.raises(SpecError) as caught:
        spec.parse(yaml.safe_dump(document), "model.yaml")
    lines = str(caught.value).splitlines()
    assert all(re.match(r"model\.yaml:[0-9]+: ", line) for line in lines)
    assert sorted(line.split(": ")[1] for line in lines) == ["classes", "colour", "name"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("- a", "expected keys and values, such as `name: digits`, found a list"),
        ("", "expected keys and values, such as `name: digits`, found nothing"),
        ("name: a\nname: b\n", 'model.yaml:2: is not valid YAML: the key "name" is given twice'),
        ("train: {script: a, script: b}", 'the key "script" is given twice'),
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
