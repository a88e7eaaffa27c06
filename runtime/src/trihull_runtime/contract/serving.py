"""What a `serving` stack gives: where the models answer and which release each one is."""

from collections.abc import Mapping
from dataclasses import dataclass

from trihull_runtime.contract.codec import Digest, Document
from trihull_runtime.contract.fleet import Endpoint


@dataclass(frozen=True)
class ServedModel:
    """One model on one site: its version and the digest of the release that the stack deployed."""

    version: str
    release_digest: Digest


@dataclass(frozen=True)
class ServingOutputs(Document):
    """The serving of one site."""

    version: int
    endpoint: Endpoint
    models: Mapping[str, ServedModel]
