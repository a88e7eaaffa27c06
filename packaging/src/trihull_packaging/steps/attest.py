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

    def about(to: Descriptor, name: str, kind: str, predicate: Mapping[str, object]) -> tuple[Descriptor, Statement]:
        return to, Statement(kind, (Named(name, to.digest),), predicate)

    name, index = subject.name, subject.index
    said = [
        about(found.manifest, f"{name} {platform}", statement.SBOM, sbom.document(subject, platform))
        for platform, found in sorted(subject.platforms.items())
    ]
    said += [
        about(index, name, statement.PROVENANCE, provenance.document(subject)),
        about(index, name, statement.GATE, gate.document(subject)),
        about(index, name, statement.MODEL_CARD, model_card.document(subject)),
    ]
    if key is not None:
        said.append(about(index, name, statement.SIGNATURE, {}))
    digests = attach(registry, said, key)
    return tuple(Attestation(one.predicate_type, digest) for (_, one), digest in zip(said, digests, strict=True))


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
