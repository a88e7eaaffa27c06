"""Train the model by its own script, in an environment made from its own lock."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_packaging import resolver, workshop
from trihull_packaging.errors import StepError
from trihull_packaging.spec import ModelSpec

SPLIT: Final = "test_split.npz"


@dataclass(frozen=True)
class Trained:
    """The environment's Python, the files of model and test split (arrays `rows`, `targets`), the last printed line."""

    python: Path
    artifact: Path
    split: Path
    said: str


def run(spec: ModelSpec, model: Path, version: str, folder: Path) -> Trained:
    """Train in `folder`, with the Python of a version (`3.11.7`): another one may give other bytes.

    Raises:
        StepError: the script failed, or did not leave what it should.
        ToolError: the environment cannot be made, or training took too long.
    """
    python = resolver.python_environment(model / spec.requirements, version)
    printed = workshop.run_training(python, model / spec.train.script, folder, spec.train.time_limit_s)
    for name in (spec.artifact, SPLIT):
        if not (folder / name).is_file():
            raise StepError(f"{spec.train.script} ended well but left no {name} in the folder that it was given")
    return Trained(python, folder / spec.artifact, folder / SPLIT, (printed.strip().splitlines() or [""])[-1])
