"""Metrics of the test split, by scikit-learn: `measure.py JOB`, job = {answers, output}.

Measured on the converted model, since that is what will answer.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score


def main(job: dict[str, str]) -> None:
    """Measure one model; `job` as the module says."""
    test = json.loads(Path(job["answers"]).read_text(encoding="utf-8"))["test"]
    targets, labels = np.asarray(test["targets"]), np.asarray(test["converted"]["labels"])
    probabilities = np.asarray(test["converted"]["probabilities"])
    precision, recall, f1, _ = precision_recall_fscore_support(targets, labels, average="macro", zero_division=0.0)
    scores = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 sums are not quite 1
    metrics = {
        "accuracy": accuracy_score(targets, labels),
        "precision_macro": precision,
        "recall_macro": recall,
        "f1_macro": f1,
        "roc_auc_ovr": roc_auc_score(targets, scores[:, 1] if scores.shape[1] == 2 else scores, multi_class="ovr"),
    }
    result = {name: round(float(value), 6) for name, value in metrics.items()}
    Path(job["output"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
