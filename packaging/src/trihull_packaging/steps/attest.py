"""The evidence of an image, stored beside it: bill of materials, provenance, signature; of a model gate and card too.

It refers to the image and not the other way round, so no image's digest depends on it.
"""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trihull_packaging.evidence import gate, model_card, provenance, sbom
from trihull_packaging.evidence.subject import PlatformSubject, RouterSubject, Subject
from trihull_packaging.lock import Lock
from trihull_packaging.oci.layers import Layer
from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps.index import Indexed
from trihull_packaging.steps.layers import Environment, PackedModel
from trihull_packaging.steps.parity import Answers, Difference
from trihull_runtime.artifacts.evidence import statement
from trihull_runtime.artifacts.evidence.attached import attach
from trihull_runtime.artifacts.evidence.contents import ROUTER_TITLE
from trihull_runtime.artifacts.evidence.predicates import Parity
from trihull_runtime.artifacts.evidence.statement import Named, Statement
from trihull_runtime.artifacts.registry.protocol import Descriptor, Registry
from trihull_runtime.contract.release import Attestation, Evaluation

if TYPE_CHECKING:
    from trihull_runtime.artifacts.evidence.signing import SigningKey


def run(registry: Registry, subject: Subject | RouterSubject, key: "SigningKey | None") -> tuple[Attestation, ...]:
    """Store all evidence and return what `release.json` or `router.json` lists.

    Args:
        registry: the layout that holds the image.
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
    said.append(about(index, name, statement.PROVENANCE, provenance.document(subject)))
    if isinstance(subject, Subject):
        said.append(about(index, name, statement.GATE, gate.document(subject)))
        said.append(about(index, name, statement.MODEL_CARD, model_card.document(subject)))
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
        platforms=_platforms(below, indexed, packed.layer),
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


def router_subject_of(lock: Lock, below: Mapping[str, Environment], indexed: Indexed, version: str) -> RouterSubject:
    """Return what evidence of the router's image is made of; `version` is the one that its labels say."""
    return RouterSubject(
        name=ROUTER_TITLE,
        image_version=version,
        index=indexed.index,
        platforms=_platforms(below, indexed),
        lock_digest=lock.digest(),
        materials=provenance.locked_materials(lock),
        distribution=provenance.distribution(lock),
        version=importlib.metadata.version("trihull-packaging"),
    )


def _platforms(below: Mapping[str, Environment], indexed: Indexed, *more: Layer) -> dict[str, PlatformSubject]:
    """Return platform -> its manifest and the packages of its layers; `more` are layers that all platforms share."""
    return {
        platform: PlatformSubject(
            manifest, tuple(package for layer in (*below[platform].layers, *more) for package in layer.packages)
        )
        for platform, manifest in indexed.manifests.items()
    }
