"""Ask the trained and the converted model the same questions: `predict.py JOB`, job = {artifact, graph, split, output}.

The questions are the rows of the test split and edge rows: what lies between two classes, beyond what was seen, and on
the boundary of single columns. Answers go to `output` as JSON; who compares them has none of these packages.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import skops.io  # type: ignore[import-not-found]  # only in the model's environment
from trusted import TRUSTED, refusal  # type: ignore[import-not-found]  # the script beside this one

EDGE_ROWS = 200
SEED = 7


def edge_rows(rows: Any) -> Any:
    """Return rows that a test split hardly holds, from its rows of shape [n, ...] as float32: deterministic."""
    random = np.random.default_rng(SEED)
    low, high = rows.min(axis=0), rows.max(axis=0)
    first, second = (random.integers(0, len(rows), EDGE_ROWS) for _ in range(2))
    share = random.choice([0.25, 0.5, 0.75], size=(EDGE_ROWS, *[1] * (rows.ndim - 1)))
    between = rows[first] * share + rows[second] * (1 - share)
    noisy = rows[first] + random.normal(0, 1, rows[first].shape)
    outside = random.uniform(low - 3 * (high - low + 1), high + 3 * (high - low + 1), rows[first].shape)
    fixed = np.stack([np.zeros_like(low), low, high, -high, high * 100, (low + high) / 2, np.full_like(low, 1e-30)])
    return np.concatenate([fixed, between, noisy, outside]).astype(np.float32)


def main(job: dict[str, str]) -> None:
    """Ask both models; `job` as the module says."""
    with np.load(job["split"], allow_pickle=False) as split:
        missing = {"rows", "targets"} - set(split.files)
        if missing:
            sys.exit(refusal(f"test_split.npz has no {' and no '.join(sorted(missing))}"))
        rows, targets = split["rows"].astype(np.float32), split["targets"]
    if len(rows) == 0 or len(rows) != len(targets):
        sys.exit(refusal(f"test_split.npz has {len(rows)} rows and {len(targets)} targets"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(job["graph"], options, providers=["CPUExecutionProvider"])
    model = skops.io.load(job["artifact"], trusted=TRUSTED)
    answers: dict[str, Any] = {"signature": signature(session), "classes": [str(label) for label in model.classes_]}
    for name, questions in (("test", rows), ("edge", edge_rows(rows))):
        label, probabilities = session.run(["label", "probabilities"], {session.get_inputs()[0].name: questions})
        answers[name] = {
            "trained": {
                "labels": model.predict(questions).tolist(),
                "probabilities": model.predict_proba(questions).tolist(),
            },
            "converted": {"labels": label.tolist(), "probabilities": probabilities.tolist()},
        }
    answers["test"] |= {"rows": rows.tolist(), "targets": targets.tolist()}
    Path(job["output"]).write_text(json.dumps(answers), encoding="utf-8")


def signature(session: Any) -> dict[str, list[dict[str, Any]]]:
    """Return what the graph takes and gives, in the words of the Open Inference Protocol."""
    names = {"float": "FP32", "double": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "string": "BYTES"}
    return {
        side: [
            {
                "name": tensor.name,
                "datatype": names.get(tensor.type.removeprefix("tensor(").removesuffix(")"), tensor.type),
                "shape": [size if isinstance(size, int) else -1 for size in tensor.shape],
            }
            for tensor in tensors
        ]
        for side, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
    }


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
