"""The gate's verdict: what the model was asked for and how it did, so that whoever deploys it can judge again."""

from typing import Any

from trihull_packaging.evidence.subject import Subject
from trihull_runtime.artifacts.evidence.predicates import GateVerdict


def document(subject: Subject) -> dict[str, Any]:
    """Return the predicate."""
    return GateVerdict(
        version=GateVerdict.CURRENT,
        name=subject.name,
        model_version=subject.manifest.model_version,
        release_digest=subject.release_digest,
        evaluation=subject.evaluation,
        parity=subject.parity,
    ).to_value()
