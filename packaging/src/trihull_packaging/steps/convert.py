"""Convert the trained model to ONNX."""

from pathlib import Path

from trihull_packaging import workshop
from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps.train import Trained


def run(spec: ModelSpec, trained: Trained, folder: Path) -> Path:
    """Return the converted model's file in `folder`.

    Raises:
        StepError: the model cannot be read, holds types that are not trusted, or cannot be converted.
    """
    graph = folder / "model.onnx"
    tensor = spec.signature.inputs[0]
    job = {
        "artifact": str(trained.artifact),
        "name": spec.name,
        "input": tensor.name,
        "shape": tensor.shape,
        "output": str(graph),
    }
    workshop.run_script(trained.python, "convert", job, folder, f"converting {spec.artifact}")
    return graph
