"""The real model through the real steps; what is broken here is broken on purpose."""

import json
import platform
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.emulated.packaging.conftest import Digits
from tests.unit.packaging.conftest import DIGITS
from tests.unit.packaging.test_lock import write_lock
from trihull_packaging import builder, spec, workshop
from trihull_packaging.errors import GateError, SpecError, StepError, ToolError
from trihull_packaging.progress import Progress
from trihull_packaging.steps import convert, evaluate, parity, release, train
from trihull_packaging.steps.parity import Answers, Difference
from trihull_packaging.steps.train import Trained

pytestmark = pytest.mark.timeout(300)  # the first test installs scikit-learn

CHANGE = """
import sys, skops.io
model = skops.io.load(sys.argv[1])
model[-1].coef_[3, 20] += 0.01
skops.io.dump(model, sys.argv[2])
"""


Compared = tuple[Answers, dict[str, Difference]]


def test_the_converted_model_answers_as_the_trained_one(digits: Digits, compared: Compared, tmp_path: Path) -> None:
    answers, differences = compared
    assert {name: found.labels for name, found in differences.items()} == {"test": 0, "edge": 0}
    assert differences["edge"].rows > 500
    assert len(answers.document["test"]["rows"]) == 270  # 15 % of 1,797
    split = json.loads(release.test_split(digits.spec, answers))
    assert list(split) == ["version", "model", "input", "rows", "targets", "labels", "probabilities"]
    assert (split["input"], len(split["rows"][0]), len(split["probabilities"][0])) == ("pixels", 64, 10)
    assert {len(split[name]) for name in ("rows", "targets", "labels", "probabilities")} == {270}
    evaluation = evaluate.run(digits.spec, digits.trained, answers, tmp_path)
    assert set(evaluation.metrics) == set(spec.METRICS)
    assert all(gate.passed for gate in evaluation.gates)


def test_training_and_conversion_give_the_same_bytes_twice(digits: Digits, tmp_path: Path) -> None:
    graph = convert.run(digits.spec, digits.trained, tmp_path)
    assert graph.read_bytes() == digits.graph.read_bytes()


def test_the_converted_model_is_named_and_gives_plain_tensors(digits: Digits) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(digits.graph))
    assert session.get_modelmeta().graph_name == "digits"
    assert [(output.name, output.type, output.shape) for output in session.get_outputs()] == [
        ("label", "tensor(int64)", [None]),
        ("probabilities", "tensor(float)", [None, 10]),
    ]


def test_a_conversion_that_answers_differently_is_refused(digits: Digits, tmp_path: Path) -> None:
    other = tmp_path / "other.skops"
    python = digits.trained.python
    subprocess.run([python, "-c", CHANGE, digits.trained.artifact, other], check=True, timeout=60)
    graph = convert.run(digits.spec, Trained(python, other, digits.trained.split, ""), tmp_path)
    with pytest.raises(GateError, match=r"parity: the converted model does not answer .*probabilities by up to 0\.\d"):
        parity.run(digits.spec, digits.trained, graph, tmp_path)


def test_a_gate_that_is_not_met_is_refused_with_its_metric(digits: Digits, compared: Compared, tmp_path: Path) -> None:
    answers, _ = compared
    strict = digits.spec.model_copy(update={"evaluation": spec.EvaluationSpec(gates={"accuracy": 0.999})})
    with pytest.raises(
        GateError, match=r"evaluation: accuracy is 0\.\d+, below 0\.999\. No release was written"
    ) as caught:
        evaluate.run(strict, digits.trained, answers, tmp_path)
    assert caught.value.exit_code == 3


def test_another_signature_than_the_models_is_refused(digits: Digits, tmp_path: Path) -> None:
    text = (DIGITS / "model.yaml").read_text(encoding="utf-8").replace("name: pixels", "name: picture")
    with pytest.raises(SpecError, match=r"signature.inputs: the model has pixels FP32 \[-1, 64\], not picture"):
        parity.run(spec.parse(text, "model.yaml"), digits.trained, digits.graph, tmp_path)


@pytest.mark.parametrize("damage", ["not a zip", "empty", "truncated", "unknown type"])
def test_an_unreadable_model_is_refused(digits: Digits, tmp_path: Path, damage: str) -> None:
    artifact = tmp_path / "model.skops"
    data = digits.trained.artifact.read_bytes()
    artifact.write_bytes({"not a zip": b"text", "empty": b"", "truncated": data[:-200]}.get(damage, data))
    if damage == "unknown type":
        with zipfile.ZipFile(digits.trained.artifact) as source, zipfile.ZipFile(artifact, "w") as target:
            for name in source.namelist():
                target.writestr(
                    name,
                    source.read(name)
                    .replace(b'"Pipeline"', b'"Popen"')
                    .replace(b'"sklearn.pipeline"', b'"subprocess"'),
                )
    broken = Trained(digits.trained.python, artifact, digits.trained.split, "")
    message = (
        r"types that are not trusted: subprocess\.Popen" if damage == "unknown type" else "is no intact skops file"
    )
    with pytest.raises(StepError, match=message):
        convert.run(digits.spec, broken, tmp_path)
    assert not (tmp_path / "model.onnx").exists()


def small_model(tmp_path: Path, script: str) -> Path:
    """Return a copy of digits with another training script."""
    folder = tmp_path / "model"
    shutil.copytree(DIGITS, folder)
    (folder / "train.py").write_text(script, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("raise SystemExit('no data')", StepError, "(?s)training with train.py: python failed with code 1:\nno data"),
        ("pass", StepError, "left no model.skops"),
        ("import sys, pathlib; pathlib.Path(sys.argv[1], 'model.skops').touch()", StepError, "left no test_split.npz"),
        ("import time; time.sleep(600)", ToolError, "training with train.py: python did not end within 1 s"),
    ],
)
def test_a_failed_training_leaves_no_release(
    digits: Digits, tmp_path: Path, script: str, error: type[Exception], message: str
) -> None:
    model = small_model(tmp_path, script)
    text = (model / "model.yaml").read_text(encoding="utf-8").replace("time_limit_s: 300", "time_limit_s: 1")
    if "sleep" in script:
        (model / "model.yaml").write_text(text, encoding="utf-8")
    write_lock(model)  # what goes into an image is resolved before the training, and is no matter here
    with pytest.raises(error, match=message):
        builder.package_model(model, tmp_path / "out", builder.Options(), Progress())
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_a_bad_test_split_is_refused(digits: Digits, tmp_path: Path) -> None:
    (tmp_path / "split.npz").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "split.npz", "w"):
        pass
    broken = Trained(digits.trained.python, digits.trained.artifact, tmp_path / "split.npz", "")
    with pytest.raises(StepError, match="has no rows and no targets"):
        parity.run(digits.spec, broken, digits.graph, tmp_path)


def test_the_models_environment_holds_nothing_of_trihull(digits: Digits, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(
            [digits.trained.python, "-c", "import trihull_packaging"], check=True, capture_output=True, cwd=tmp_path
        )


def test_neither_training_nor_conversion_writes_into_our_folders(digits: Digits) -> None:
    assert digits.graph.exists()
    ours = Path(workshop.__file__).parent / "model_side"
    assert not [path for path in (*DIGITS.rglob("*"), *ours.rglob("*")) if path.name == "__pycache__"]


def test_the_split_is_stratified_and_reproducible(digits: Digits, tmp_path: Path) -> None:
    again = train.run(digits.spec, DIGITS, platform.python_version(), tmp_path)
    import numpy as np

    with np.load(digits.trained.split) as one, np.load(again.split) as other:
        assert (one["rows"] == other["rows"]).all()
        assert (one["targets"] == other["targets"]).all()
        counts = np.bincount(one["targets"], minlength=10)
    assert (counts.min(), counts.max(), counts.sum()) == (26, 28, 270)
