"""Statements: a predicate about named digests. Source: in-toto attestation framework, Statement v1.

Equal statements have equal bytes: there is no clock and no random number in them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.contract.codec import DIGEST

TYPE: Final = "https://in-toto.io/Statement/v1"
MEDIA_TYPE: Final = "application/vnd.in-toto+json"

SBOM: Final = "https://cyclonedx.org/bom"  # in-toto attestation framework, predicates/cyclonedx.md
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
GATE: Final = "https://trihull.dev/gate/v1"
MODEL_CARD: Final = "https://trihull.dev/model-card/v1"
SIGNATURE: Final = "https://sigstore.dev/cosign/sign/v1"  # what cosign writes when it signs an image into a bundle


@dataclass(frozen=True)
class Named:
    """What a statement is about: a name for people, and the digest that counts (`sha256:<hex>`)."""

    name: str
    digest: str


@dataclass(frozen=True)
class Statement:
    """What is said, of which kind, and about what."""

    predicate_type: str
    subjects: tuple[Named, ...]
    predicate: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return the statement's JSON, one form only."""
        subjects = [
            {"name": subject.name, "digest": {"sha256": subject.digest.removeprefix("sha256:")}}
            for subject in self.subjects
        ]
        return document_bytes(
            {
                "_type": TYPE,
                "subject": subjects,
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )

    def is_about(self, digest: str) -> bool:
        """Return whether `digest` is one of the subjects."""
        return any(subject.digest == digest for subject in self.subjects)


def parse(data: bytes, source: str) -> Statement:
    """Read a statement; `source` is what errors call it.

    Raises:
        LayoutError: not JSON, or no statement of this version with SHA-256 digests.
    """
    value = parse_json(data, source)
    if value.get("_type") != TYPE:
        raise LayoutError(f"{source}: is no statement of in-toto, version 1, but {value.get('_type')!r:.80}")
    kind, predicate, subjects = value.get("predicateType"), value.get("predicate"), value.get("subject")
    if not isinstance(kind, str) or not isinstance(predicate, dict) or not isinstance(subjects, list) or not subjects:
        raise LayoutError(f"{source}: expected predicateType, predicate and at least one subject")
    return Statement(kind, tuple(_subject(subject, source) for subject in subjects), predicate)


def parse_json(data: bytes, source: str) -> dict[str, Any]:
    """Return a JSON object; a key that is given twice is refused, since two readers may take another one each.

    Raises:
        LayoutError: it is none.
    """
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{source}: is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise LayoutError(f"{source}: is no JSON object")
    return value


def _subject(value: Any, source: str) -> Named:
    digests = value.get("digest") if isinstance(value, dict) else None
    sha256 = digests.get("sha256") if isinstance(digests, dict) else None
    if not isinstance(sha256, str) or re.fullmatch(DIGEST, f"sha256:{sha256}") is None:
        raise LayoutError(f"{source}: subject: expected a digest by sha256, found {value!r:.120}")
    return Named(str(value.get("name", "")), f"sha256:{sha256}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _no_constant(token: str) -> float:
    raise ValueError(f"{token} is no JSON number")
