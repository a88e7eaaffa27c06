"""Running code in the model's own environment: its script, and ours beside it."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from trihull_packaging import processes, resolver
from trihull_packaging.errors import StepError

SCRIPT_TIMEOUT_S: Final = 300


def run_training(python: Path, script: Path, folder: Path, time_limit_s: int) -> str:
    """Run a model's training script with a folder to write to; return what it printed.

    Raises:
        StepError: the script failed. ToolError: it took too long.
    """
    return processes.run(
        [python, script.absolute(), folder],
        doing=f"training with {script.name}",
        timeout_s=time_limit_s,
        environment=_environment(python),
        cwd=script.parent.absolute(),
        failure=StepError,
    )


def run_script(python: Path, name: str, job: Mapping[str, Any], folder: Path, doing: str) -> None:
    """Run one of `model_side`'s scripts with a job, which is left in `folder` as `<name>.json`.

    Raises:
        StepError: the script refused, or failed over what it was given.
    """
    document = folder / f"{name}.json"
    document.write_text(json.dumps(job), encoding="utf-8")
    with resources.as_file(resources.files("trihull_packaging") / "model_side") as scripts:
        processes.run(
            [python, "-W", "ignore", scripts / f"{name}.py", document],
            doing=doing,
            timeout_s=SCRIPT_TIMEOUT_S,
            environment=_environment(python),
            cwd=folder,
            failure=StepError,
        )


def _environment(python: Path) -> dict[str, str]:
    # The converter's bytes depend on the order of sets, and sums on the number of threads.
    fixed = {"PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # Bytecode is kept beside the environment: later runs start at once, and no folder of the user's is written to.
    fixed |= {"ORT_DISABLE_TELEMETRY": "1", "PYTHONPYCACHEPREFIX": str(python.parent.parent.parent / "bytecode")}
    return resolver.clean_environment() | fixed
