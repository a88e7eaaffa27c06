import math
from typing import Any

import pytest
import yaml

from tests.unit.packaging.test_spec import GOOD
from trihull_packaging import spec
from trihull_packaging.errors import GateError, SpecError
from trihull_packaging.steps import evaluate, parity
from trihull_runtime.contract.release import Verdict


def answers(*rows: tuple[int, list[float]]) -> dict[str, Any]:
    return {"labels": [label for label, _ in rows], "probabilities": [probabilities for _, probabilities in rows]}


EQUAL = answers((0, [0.9, 0.1]), (1, [0.2, 0.8]))


def test_equal_answers_have_no_difference() -> None:
    assert parity.difference(EQUAL, EQUAL) == parity.Difference(rows=2, labels=0, probability=0.0, worst_row=0)


def test_the_largest_step_and_its_row_are_found() -> None:
    found = parity.difference(EQUAL, answers((0, [0.9, 0.1]), (0, [0.25, 0.75])))
    assert (found.labels, found.worst_row) == (1, 1)
    assert found.probability == pytest.approx(0.05)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_answer_that_is_no_number_is_infinitely_far(value: float) -> None:
    assert parity.difference(EQUAL, answers((0, [0.9, 0.1]), (1, [value, 0.8]))).probability == math.inf


def test_parity_holds_up_to_the_tolerance_and_no_further() -> None:
    near = parity.Difference(rows=5, labels=0, probability=1e-4, worst_row=2)
    parity.judge({"test": near}, 1e-4)
    with pytest.raises(GateError, match=r"probabilities by up to 0\.0001"):
        parity.judge({"test": near}, 0.9e-4)


@pytest.mark.parametrize("kind", ["test", "edge"])
def test_one_other_label_fails_parity_on_either_set_of_rows(kind: str) -> None:
    good = parity.Difference(5, 0, 0.0, 0)
    found = {"test": good, "edge": good, kind: parity.Difference(5, 1, 0.0, 0)}
    with pytest.raises(GateError, match=rf"on 5 {kind} rows 1 labels differ.*No release was written") as caught:
        parity.judge(found, 1e-4)
    assert caught.value.exit_code == 3


def test_a_different_number_of_answers_is_never_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        parity.difference(EQUAL, answers((0, [0.9, 0.1])))


def test_a_signature_that_the_model_does_not_have_is_refused() -> None:
    model = spec.parse(yaml.safe_dump(GOOD), "model.yaml")
    parity.check_signature(model, GOOD["signature"], ["0", "1"])
    other = {**GOOD["signature"], "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}
    with pytest.raises(SpecError, match=r"signature.inputs: the model has x FP32 \[-1, 3\], not pixels FP32 \[-1, 2\]"):
        parity.check_signature(model, other, ["0", "1"])
    with pytest.raises(SpecError, match="classes: the model has 1, 0, not 0, 1"):
        parity.check_signature(model, GOOD["signature"], ["1", "0"])


def test_every_gate_must_be_met() -> None:
    metrics = {"accuracy": 0.95, "f1_macro": 0.80}
    passed = evaluate.judge(metrics, {"accuracy": 0.95, "f1_macro": 0.8})
    assert (passed.verdict, [gate.passed for gate in passed.gates]) == (Verdict.PASSED, [True, True])
    failed = evaluate.judge(metrics, {"accuracy": 0.95, "f1_macro": 0.81})
    assert (failed.verdict, [gate.passed for gate in failed.gates]) == (Verdict.FAILED, [True, False])


def test_a_metric_that_is_no_number_meets_no_gate() -> None:
    assert evaluate.judge({"accuracy": math.nan}, {"accuracy": 0.0}).verdict is Verdict.FAILED
