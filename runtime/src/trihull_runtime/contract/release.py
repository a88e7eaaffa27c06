"""The release: one packaged model with its evidence, `release.json`.

It names no registry host: the same release is served from a different registry on every site.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from trihull_runtime.contract.codec import Digest, Document, Name, Pattern
from trihull_runtime.contract.manifest import Signature


class Verdict(enum.StrEnum):
    """Outcome of an evaluation."""

    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class ReleasedModel:
    """The model's name, version and signature, as clients see them."""

    name: Name
    version: Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")]
    signature: Signature


@dataclass(frozen=True)
class Image:
    """The OCI image: index digest, the platforms in it (`linux/amd64`), the layout's path beside release.json."""

    index_digest: Digest
    platforms: tuple[Annotated[str, Pattern(r"linux/[a-z0-9]+")], ...]
    layout: str


@dataclass(frozen=True)
class Gate:
    """One threshold: `metric` must be at least `minimum` (and was `value`)."""

    metric: str
    minimum: float
    value: float
    passed: bool


@dataclass(frozen=True)
class Evaluation:
    """Metrics on the test split (name -> value), the gates they met, and the verdict over all gates."""

    metrics: Mapping[str, float]
    gates: tuple[Gate, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Attestation:
    """Evidence about the release: its predicate type (a URI) and the digest of the document."""

    predicate_type: str
    digest: Digest


@dataclass(frozen=True)
class RouterBuild(Document):
    """`router.json`, which `trihull package --router` writes: the image's index digest and its layout beside it.

    `attestations` is the evidence of the image; builds of before it had any lack the field.
    """

    version: int
    index_digest: Digest
    layout: str
    attestations: tuple[Attestation, ...] = ()


@dataclass(frozen=True)
class Release(Document):
    """One packaged model: image digest, model, evaluation, attestations."""

    version: int
    model: ReleasedModel
    release_digest: Digest
    image: Image
    evaluation: Evaluation
    attestations: tuple[Attestation, ...]
