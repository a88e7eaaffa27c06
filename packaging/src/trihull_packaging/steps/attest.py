"""The evidence of a release, stored beside its image: bill of materials, provenance, gate, model card, signature.

It refers to the image and not the other way round, so no image's digest depends on it.
"""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trihull_packaging.evidence import gate, model_card, provenance, sbom
from trihull_packaging.evidence.subject import PlatformSubject, Subject
from trihull_packaging.lock import Lock
from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps.index import Indexed
from trihull_packaging.steps.layers import Environment, PackedModel
from trihull_packaging.steps.parity import Answers, Difference
from trihull_runtime.artifacts.evidence import statement
from trihull_runtime.artifacts.evidence.attached import attach
from trihull_runtime.artifacts.evidence.predicates import Parity
from trihull_runtime.artifacts.evidence.statement import Named, Statement
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry
from trihull_runtime.contract.release import Attestation, Evaluation

if TYPE_CHECKING:
    from trihull_runtime.artifacts.evidence.signing import SigningKey


def run(registry: Registry, subject: Subject, key: "SigningKey | None") -> tuple[Attestation, ...]:
    """Store all evidence and return what `release.json` lists.

    Args:
        registry: the release's own layout, which holds the image.
        subject: what is known of it.
        key: signs every statement, and the image; None leaves them unsigned.
    """

    def said(kind: str, about: Descriptor, name: str, predicate: Mapping[str, object]) -> Attestation:
        made = Statement(kind, (Named(name, about.digest),), predicate)
        return Attestation(kind, attach(registry, about, made, key))

    name, index = subject.name, subject.index
    result = [
        said(statement.SBOM, found.manifest, f"{name} {platform}", sbom.document(subject, platform))
        for platform, found in sorted(subject.platforms.items())
    ]
    result += [
        said(statement.PROVENANCE, index, name, provenance.document(subject)),
        said(statement.GATE, index, name, gate.document(subject)),
        said(statement.MODEL_CARD, index, name, model_card.document(subject)),
    ]
    if key is not None:
        result.append(said(statement.SIGNATURE, index, name, {}))
    return tuple(result)


def subject_of(
    spec: ModelSpec,
    folder: Path,
    lock: Lock,
    below: Mapping[str, Environment],
    packed: PackedModel,
    indexed: Indexed,
    answers: Answers,
    differences: Mapping[str, Difference],
    evaluation: Evaluation,
) -> Subject:
    """Return what evidence is made of, from what the steps before gave; `folder` is the model's."""
    return Subject(
        manifest=packed.manifest,
        release_digest=packed.release_digest,
        index=indexed.index,
        platforms={
            platform: PlatformSubject(
                manifest,
                tuple(package for layer in (*below[platform].layers, packed.layer) for package in layer.packages),
            )
            for platform, manifest in indexed.manifests.items()
        },
        evaluation=evaluation,
        parity=Parity(
            rows=sum(found.rows for found in differences.values()),
            worst_probability=max(found.probability for found in differences.values()),
            tolerance=spec.parity.tolerance,
        ),
        test_rows=len(answers.document["test"]["rows"]),
        lock_digest=lock.digest(),
        materials=provenance.materials(lock, spec, folder),
        distribution=provenance.distribution(lock),
        version=importlib.metadata.version("trihull-packaging"),
    )
