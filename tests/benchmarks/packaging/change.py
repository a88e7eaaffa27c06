"""Makes a release of a model that passed its gates before, and pushes it: `change.py STATE OUTPUT [REGISTRY]`.

STATE is a folder with `digits/` (the model, locked), `scratch/` (what the gates left) and `release/` (made of it). What
it prints is JSON: seconds in this process from the first own line to the end, and the peak of memory over that of the
imports, in bytes.
"""

import io
import json
import re
import sys
import time
from pathlib import Path

from trihull_packaging import builder, lock, spec
from trihull_packaging.builder import Options, Passed
from trihull_packaging.progress import Progress
from trihull_packaging.steps.parity import Answers, Difference
from trihull_runtime.artifacts.publishing import run
from trihull_runtime.artifacts.registry import distribution, transfer
from trihull_runtime.contract import Release


def peak_bytes() -> int:
    """Return the most memory that this process had so far (VmHWM of proc(5))."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def main(state: Path, output: Path, registry: str | None) -> None:
    idle, begun = peak_bytes(), time.perf_counter()
    assert distribution.ACCEPT
    assert transfer.PARALLEL
    model = state / "digits"
    wanted = spec.load(model)
    request = builder._model_request(wanted, model, Options())
    found = lock.Lock.read(model / lock.FILE)
    evaluation = Release.read(state / "release/release.json").evaluation
    answers = Answers(state / "scratch/answers.json", json.loads((state / "scratch/answers.json").read_bytes()))
    passed = Passed(state / "scratch/model.onnx", answers, {"test": Difference(270, 0, 1e-6, 0)}, evaluation)
    output.mkdir(parents=True)
    made = builder.assemble(wanted, request, found, passed, None, output, Progress(stream=io.StringIO()))
    built = time.perf_counter()
    if registry is not None:
        (outcome,) = run.to_all([run.source(output)], {"bench": registry}, lambda _: None)
        assert outcome.problem == "", outcome.problem
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "seconds": done - begun,
                "build_s": built - begun,
                "push_s": done - built,
                "growth_bytes": peak_bytes() - idle,
                "digest": made.image.index_digest,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
