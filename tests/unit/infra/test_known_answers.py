"""From a release's test split to a question whose answer is known."""

import json
from pathlib import Path
from typing import Any

import pytest

from trihull_infra import known_answers
from trihull_runtime.contract import (
    ContractError,
    DataType,
    EnvironmentReleases,
    Evaluation,
    Image,
    KnownTensor,
    Release,
    ReleasedModel,
    Signature,
    SiteRelease,
    Tensor,
    Verdict,
)

DIGEST = f"sha256:{'a' * 64}"
SIGNATURE = Signature(
    (Tensor("pixels", DataType.FP32, (-1, 2)),),
    (Tensor("label", DataType.INT64, (-1,)), Tensor("probabilities", DataType.FP32, (-1, 2))),
)
SPLIT = {
    "version": 1,
    "rows": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
    "labels": [0, 1, 0],
    "probabilities": [[0.6, 0.4], [0.01, 0.99], [0.9, 0.1]],
}


def release(folder: Path, signature: Signature = SIGNATURE, split: Any = SPLIT) -> Path:
    document = Release(
        1,
        ReleasedModel("digits", "1", signature),
        DIGEST,
        Image(DIGEST, ("linux/amd64",), "image"),
        Evaluation({}, (), Verdict.PASSED),
        (),
    )
    document.write(folder / "release.json")
    if split is not None:
        (folder / "test_split.json").write_text(split if isinstance(split, str) else json.dumps(split))
    return folder / "release.json"


def test_the_rows_that_the_model_is_surest_of_are_asked(tmp_path: Path) -> None:
    found = known_answers.of_release(release(tmp_path))
    assert found is not None
    assert found.release_digest == DIGEST
    assert found.inputs == (KnownTensor("pixels", DataType.FP32, (2, 2), (2.0, 3.0, 4.0, 5.0)),)
    assert found.outputs == (
        KnownTensor("label", DataType.INT64, (2,), (1.0, 0.0)),
        KnownTensor("probabilities", DataType.FP32, (2, 2), (0.01, 0.99, 0.9, 0.1)),
    )


def test_labels_that_are_texts_stay_texts(tmp_path: Path) -> None:
    outputs = (Tensor("label", DataType.BYTES, (-1,)),)
    found = known_answers.of_release(
        release(tmp_path, Signature(SIGNATURE.inputs, outputs), {**SPLIT, "labels": list("abc")})
    )
    assert found is not None
    assert found.outputs == (KnownTensor("label", DataType.BYTES, (2,), (), ("b", "c")),)


def test_several_inputs_are_more_than_a_split_can_say(tmp_path: Path) -> None:
    inputs = (Tensor("a", DataType.FP32, (-1, 1)), Tensor("b", DataType.FP32, (-1, 1)))
    assert known_answers.of_release(release(tmp_path, Signature(inputs, SIGNATURE.outputs))) is None


@pytest.mark.parametrize("split", ["{", "[]", "{}", '{"rows": [], "labels": 1, "probabilities": []}'])
def test_a_damaged_split_is_named(tmp_path: Path, split: str) -> None:
    with pytest.raises(ContractError, match=r"test_split\.json"):
        known_answers.of_release(release(tmp_path, split=split))


def test_every_release_of_a_model_is_known_and_one_without_a_split_is_not(tmp_path: Path) -> None:
    release(tmp_path / "one")
    release(tmp_path / "two", split=None)
    sites = {
        "aws": SiteRelease(DIGEST, DIGEST, "one/release.json"),
        "gcp": SiteRelease(f"sha256:{'b' * 64}", DIGEST, "two/release.json"),
    }
    accepted = (DIGEST, f"sha256:{'b' * 64}")
    releases = EnvironmentReleases(1, "local", {"digits": sites}, {"digits": accepted})
    found = known_answers.of_releases(releases, tmp_path)
    assert [answer.release_digest for answer in found["digits"]] == [DIGEST]
