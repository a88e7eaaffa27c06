"""Makes a release of a model that passed its gates before, and pushes it, in a process of its own.

Its arguments are a workspace's folder, a new folder, a registry (empty: nothing is pushed) and `evidence` (empty: the
image alone is pushed). What it prints is JSON: the digest of the index; seconds from the first own line to the end, of
packing, of the evidence in that, and of the push; and the peak of memory over that of the imports, in bytes.
"""

import io
import json
import re
import sys
import time
from pathlib import Path

from trihull_packaging import builder, lock, spec
from trihull_packaging import output as placing
from trihull_packaging.builder import Options, Passed
from trihull_packaging.progress import Progress
from trihull_packaging.steps import lock as locking
from trihull_packaging.steps.parity import Answers, Difference
from trihull_runtime.artifacts.publishing import run
from trihull_runtime.artifacts.registry import distribution, references, transfer
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.contract import Release


def peak_bytes() -> int:
    """Return the most memory that this process had so far (VmHWM of proc(5))."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def left(folder: Path) -> Passed:
    """Return what a workspace's gates left; in the process that ran them it is in memory."""
    evaluation = Release.read(folder / "release/release.json").evaluation
    kept = folder / "scratch/answers.json"
    answers = Answers(kept, json.loads(kept.read_bytes()))
    return Passed(folder / "scratch/model.onnx", answers, {"test": Difference(270, 0, 1e-6, 0)}, evaluation)


def packed(folder: Path, passed: Passed, output: Path, progress: Progress) -> Release:
    """Make the release of what is in a workspace, its model's files and lock read anew."""
    model = folder / "digits"
    wanted = spec.load(model)
    request = builder._model_request(wanted, model, Options())
    found = locking.read(request, model / lock.FILE)
    with placing.replacing(output) as partial:
        return builder.assemble(wanted, request, found, passed, None, partial, progress)


def push(output: Path, registry: str, *, evidence: bool) -> None:
    """Push a release as `trihull publish` does, or its image alone."""
    source = run.source(output)
    if evidence:
        (outcome,) = run.to_all([source], {"bench": registry}, lambda _: None)
        assert outcome.problem == "", outcome.problem
    else:
        opened = references.open_registry(registry)
        transfer.copy(
            LayoutRegistry(source.layout), opened.registry, source.digest, tag=opened.reference, evidence=False
        )


def main() -> None:
    """Do it, and print what it took."""
    folder, output, registry, evidence = sys.argv[1:]
    assert distribution.ACCEPT  # imported, as it would be by the command
    passed = left(Path(folder))
    idle, begun = peak_bytes(), time.perf_counter()
    progress = Progress(stream=io.StringIO())
    made = packed(Path(folder), passed, Path(output), progress)
    built = time.perf_counter()
    if registry:
        push(Path(output), registry, evidence=bool(evidence))
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "digest": made.image.index_digest,
                "seconds": done - begun,
                "build_s": built - begun,
                "evidence_s": progress.seconds["attest"],
                "push_s": done - built,
                "growth_bytes": peak_bytes() - idle,
            }
        )
    )
