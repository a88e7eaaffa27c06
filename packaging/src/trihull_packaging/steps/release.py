"""The documents of a release: release.json, the model's folder, and the test split that later checks are made with."""

import json
from pathlib import Path

from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps.layers import PackedModel
from trihull_packaging.steps.parity import Answers
from trihull_runtime.contract.codec import write_file
from trihull_runtime.contract.release import Evaluation, Image, Release, ReleasedModel

LAYOUT = "image"


def run(
    spec: ModelSpec,
    packed: PackedModel,
    answers: Answers,
    evaluation: Evaluation,
    image: Image,
    folder: Path,
) -> Release:
    """Write the release's documents into `folder` and return the release."""
    for name, data in packed.files.items():
        write_file(folder / "model" / spec.name / name, data)
    write_file(folder / "test_split.json", test_split(spec, answers))
    release = Release(
        version=Release.CURRENT,
        model=ReleasedModel(spec.name, spec.version, spec.contract_signature()),
        release_digest=packed.release_digest,
        image=image,
        evaluation=evaluation,
        attestations=(),
    )
    release.write(folder / "release.json")
    return release


def test_split(spec: ModelSpec, answers: Answers) -> bytes:
    """Return the test split with the trained model's own answers, as JSON."""
    test = answers.document["test"]
    value = {
        "version": 1,
        "model": spec.name,
        "input": spec.signature.inputs[0].name,
        "rows": test["rows"],
        "targets": test["targets"],
        "labels": test["trained"]["labels"],
        "probabilities": test["trained"]["probabilities"],
    }
    return (json.dumps(value, separators=(",", ":")) + "\n").encode()
