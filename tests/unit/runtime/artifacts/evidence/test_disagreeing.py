"""Two statements of one kind, one of which does not hold: each is looked at, whichever was attached first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests import released
from tests.released import EVALUATION, PLATFORMS, Made, public_key, signing_key
from tests.unit.runtime.artifacts.evidence.test_verify import OTHER, broken, look
from trihull_packaging.evidence import gate as gates
from trihull_packaging.evidence import model_card, provenance, sbom
from trihull_packaging.evidence.subject import Subject
from trihull_runtime.artifacts.evidence import verify
from trihull_runtime.artifacts.evidence.statement import GATE, MODEL_CARD, PROVENANCE, SBOM
from trihull_runtime.contract.release import Evaluation, Gate, Verdict

AMD64, ARM64 = PLATFORMS
FAILED = Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.93, 0.5, False),), Verdict.FAILED)
BETTER = Evaluation({"accuracy": 0.99}, (Gate("accuracy", 0.93, 0.99, True),), Verdict.PASSED)  # a pass, and another


@dataclass(frozen=True)
class Kind:
    """A kind of evidence: its link, how its predicate is made, and what makes a predicate that does not hold."""

    token: str
    link: str
    document: Callable[[Subject], dict[str, Any]]
    wrong: Callable[[Subject], Subject]
    problem: str
    platform: str | None = None  # None: it is about the index


def _of_platform(platform: str) -> Callable[[Subject], dict[str, Any]]:
    return lambda subject: sbom.document(subject, platform)


def _other_release(subject: Subject) -> Subject:
    return replace(subject, release_digest=OTHER)


def _other_model(subject: Subject) -> Subject:
    file = replace(subject.manifest.files["model.onnx"], digest=OTHER)
    return replace(subject, manifest=replace(subject.manifest, files={"model.onnx": file}))


KINDS = {
    "a gate that failed": Kind(
        GATE, "gate", gates.document, lambda subject: replace(subject, evaluation=FAILED), "accuracy is 0.5"
    ),
    "a gate of another release": Kind(GATE, "gate", gates.document, _other_release, f"it is of release {OTHER}"),
    "a gate of a model too far away": Kind(
        GATE,
        "gate",
        gates.document,
        lambda subject: replace(subject, parity=replace(subject.parity, worst_probability=0.1)),
        "the converted model is 0.1 off",
    ),
    "a card of another release": Kind(MODEL_CARD, "card", model_card.document, _other_release, "it is of release"),
    "provenance without materials": Kind(
        PROVENANCE,
        "provenance",
        provenance.document,
        lambda subject: replace(subject, materials={}),
        "it names no materials",
    ),
    "a bill of the first platform": Kind(
        SBOM, "sbom", _of_platform(AMD64), _other_model, f"{AMD64}: it lists 1 model files", AMD64
    ),
    "a bill of the last platform": Kind(
        SBOM, "sbom", _of_platform(ARM64), _other_model, f"{ARM64}: it lists 1 model files", ARM64
    ),
}
ORDERS = ["the wrong one first", "the wrong one last"]


def attach_both(made: Made, kind: Kind, order: str) -> None:
    """Attach a good and a wrong statement, in an order, in place of what is attached."""
    about = made.subject.index if kind.platform is None else made.subject.platforms[kind.platform].manifest
    documents = [kind.document(kind.wrong(made.subject)), kind.document(made.subject)]
    made.remove(kind.token)
    for document in documents if order == ORDERS[0] else reversed(documents):
        made.attach(about, kind.token, document)
    if kind.platform is not None:  # the other platform's bill is as it was
        (other,) = set(PLATFORMS) - {kind.platform}
        made.attach(made.subject.platforms[other].manifest, kind.token, sbom.document(made.subject, other))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return released.make(tmp_path / "release")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", KINDS)
def test_one_of_two_statements_that_does_not_hold_breaks_the_link(made: Made, name: str, order: str) -> None:
    kind = KINDS[name]
    attach_both(made, kind, order)
    problems = broken(look(made, document=False))
    assert set(problems) == {kind.link}
    assert kind.problem in problems[kind.link]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.token == GATE])
def test_the_gate_alone_is_broken_by_one_of_two(made: Made, name: str, order: str) -> None:
    kind = KINDS[name]
    attach_both(made, kind, order)
    link = verify.gate(made.registry, made.release, ())
    assert not link.holds
    assert kind.problem in link.detail


@pytest.mark.parametrize("order", ORDERS)
def test_a_gate_that_passed_with_other_numbers_than_the_document_s_is_named(made: Made, order: str) -> None:
    attach_both(made, replace(KINDS["a gate that failed"], wrong=lambda one: replace(one, evaluation=BETTER)), order)
    report = look(made)
    assert made.release.evaluation == EVALUATION
    assert broken(report) == {"document": "has another evaluation than the gate's evidence"}


@pytest.mark.parametrize("order", ORDERS)
def test_two_signed_statements_both_count(tmp_path: Path, order: str) -> None:
    key = signing_key(tmp_path)
    made = released.make(tmp_path / "release", key)
    made.remove(GATE)
    documents = [gates.document(replace(made.subject, evaluation=FAILED)), gates.document(made.subject)]
    for document in documents if order == ORDERS[0] else reversed(documents):
        made.attach(made.subject.index, GATE, document, key)
    assert set(broken(look(made, public_key(tmp_path), document=False))) == {"gate"}
    assert not verify.gate(made.registry, made.release, (public_key(tmp_path),)).holds
