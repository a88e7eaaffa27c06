"""The parity gate: the converted model must answer as the trained one, on the test split and on edge rows.

ONNX conversion is silently wrong in known cases, so no converted model is believed without this.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihull_packaging import workshop
from trihull_packaging.errors import GateError, SpecError
from trihull_packaging.spec import FILE, ModelSpec
from trihull_packaging.steps.train import Trained


@dataclass(frozen=True)
class Answers:
    """What both models answered: `document` as the script `model_side/predict.py` wrote it, and its file."""

    path: Path
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """How far two models are apart: rows compared, labels that differ, and the largest step between probabilities."""

    rows: int
    labels: int
    probability: float
    worst_row: int


def run(spec: ModelSpec, trained: Trained, graph: Path, folder: Path) -> tuple[Answers, dict[str, Difference]]:
    """Ask both models, check the signature, and compare.

    Raises:
        SpecError: the model takes or gives something else than model.yaml says.
        GateError: the answers differ; no release is written.
    """
    path = folder / "answers.json"
    job = {"artifact": trained.artifact, "graph": graph, "split": trained.split, "output": path}
    job_text = {name: str(value) for name, value in job.items()}
    workshop.run_script(trained.python, "predict", job_text, folder, "asking both models")
    document = json.loads(path.read_text(encoding="utf-8"))
    check_signature(spec, document["signature"], document["classes"])
    differences = {
        name: difference(document[name]["trained"], document[name]["converted"]) for name in ("test", "edge")
    }
    judge(differences, spec.parity.tolerance)
    return Answers(path, document), differences


def check_signature(spec: ModelSpec, found: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Compare what the converted model says of itself with model.yaml; raises `SpecError`."""
    for side in ("inputs", "outputs"):
        said = [tensor.model_dump() for tensor in getattr(spec.signature, side)]
        if said != found[side]:
            raise SpecError(f"{FILE}: signature.{side}: the model has {_shown(found[side])}, not {_shown(said)}")
    if list(classes) != spec.classes:
        raise SpecError(f"{FILE}: classes: the model has {', '.join(classes)}, not {', '.join(spec.classes)}")


def difference(trained: Mapping[str, Any], converted: Mapping[str, Any]) -> Difference:
    """Compare two sets of answers (`labels` [n], `probabilities` [n][classes]); what is no number is infinitely far."""
    labels = sum(1 for one, other in zip(trained["labels"], converted["labels"], strict=True) if one != other)
    worst, worst_row = 0.0, 0
    pairs = zip(trained["probabilities"], converted["probabilities"], strict=True)
    for row, (ours, theirs) in enumerate(pairs):
        for one, other in zip(ours, theirs, strict=True):
            step = abs(one - other)
            step = step if math.isfinite(step) else math.inf
            if step > worst:
                worst, worst_row = step, row
    return Difference(len(trained["labels"]), labels, worst, worst_row)


def judge(differences: Mapping[str, Difference], tolerance: float) -> None:
    """Raise `GateError` when a label differs or a probability is further away than `tolerance`."""
    for name, found in differences.items():
        if found.labels or found.probability > tolerance:
            raise GateError(
                f"parity: the converted model does not answer as the trained one: on {found.rows} {name} rows"
                f" {found.labels} labels differ, probabilities by up to {found.probability:.3g} (row {found.worst_row};"
                f" allowed: {tolerance:g}). No release was written."
            )


def _shown(tensors: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{tensor['name']} {tensor['datatype']} {list(tensor['shape'])}" for tensor in tensors)
