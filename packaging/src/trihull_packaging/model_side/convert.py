"""A scikit-learn classifier to ONNX: `convert.py JOB`, job = {artifact, name, input, output}.

Known traps (each was seen to give wrong answers without an error): an unnamed graph gets a random name, so its bytes
differ each time; `zipmap` turns the probabilities into a list of dictionaries; a double input fails at trees.
"""

import json
import sys
import zipfile
from pathlib import Path

import skl2onnx  # type: ignore[import-not-found]  # only in the model's environment
import skops.io  # type: ignore[import-not-found]  # only in the model's environment
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-not-found]  # only in the model's environment
from trusted import TRUSTED, refusal  # type: ignore[import-not-found]  # the script beside this one

OPSETS = {"": 18, "ai.onnx.ml": 3}  # fixed, so that a newer converter does not change the bytes or need a newer runtime


def main(job: dict[str, str | list[int]]) -> None:
    """Convert one model; `job` as the module says."""
    artifact = Path(str(job["artifact"]))
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=artifact)) - set(TRUSTED))
        if unknown:
            sys.exit(refusal(f"{artifact.name} holds types that are not trusted: {', '.join(unknown)}"))
        model = skops.io.load(artifact, trusted=TRUSTED)
    except (OSError, zipfile.BadZipFile, LookupError, TypeError, ValueError, AttributeError, ImportError) as error:
        sys.exit(refusal(f"{artifact.name} is no intact skops file: {type(error).__name__}: {error}"))
    if not hasattr(model, "predict_proba"):
        sys.exit(refusal(f"{artifact.name} holds a {type(model).__name__}, which gives no probabilities"))
    shape = [None if size == -1 else size for size in job["shape"]]
    graph = skl2onnx.convert_sklearn(
        model,
        name=job["name"],
        initial_types=[(job["input"], FloatTensorType(shape))],
        options={id(model): {"zipmap": False}},
        target_opset=OPSETS,
    )
    Path(str(job["output"])).write_bytes(graph.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
