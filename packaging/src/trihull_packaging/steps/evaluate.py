"""The evaluation gate: metrics of the test split against the minima that model.yaml asks for."""

import json
from collections.abc import Mapping
from pathlib import Path

from trihull_packaging import workshop
from trihull_packaging.errors import GateError
from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps.parity import Answers
from trihull_packaging.steps.train import Trained
from trihull_runtime.contract.release import Evaluation, Gate, Verdict


def run(spec: ModelSpec, trained: Trained, answers: Answers, folder: Path) -> Evaluation:
    """Measure and judge.

    Raises:
        GateError: a minimum is not met; no release is written.
    """
    path = folder / "metrics.json"
    job = {"answers": str(answers.path), "output": str(path)}
    workshop.run_script(trained.python, "measure", job, folder, "measuring the test split")
    evaluation = judge(json.loads(path.read_text(encoding="utf-8")), spec.evaluation.gates)
    if evaluation.verdict is not Verdict.PASSED:
        missed = [
            f"{gate.metric} is {gate.value:g}, below {gate.minimum:g}" for gate in evaluation.gates if not gate.passed
        ]
        raise GateError(f"evaluation: {'; '.join(missed)}. No release was written.")
    return evaluation


def judge(metrics: Mapping[str, float], minima: Mapping[str, float]) -> Evaluation:
    """Return metrics, gates and verdict; a metric that is no number meets no gate."""
    gates = tuple(
        Gate(metric, float(minimum), metrics[metric], bool(metrics[metric] >= minimum))
        for metric, minimum in sorted(minima.items())
    )
    passed = all(gate.passed for gate in gates)
    return Evaluation(dict(metrics), gates, Verdict.PASSED if passed else Verdict.FAILED)
