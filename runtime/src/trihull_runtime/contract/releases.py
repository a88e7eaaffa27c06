"""What each site of an environment shall serve: `<environment>.releases.json`, committed beside the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from trihull_runtime.contract.codec import Digest, Document, Name
from trihull_runtime.contract.errors import ContractError


@dataclass(frozen=True)
class SiteRelease:
    """One model's release on one site: its digests and where its `release.json` lies (relative to this document)."""

    release_digest: Digest
    index_digest: Digest
    path: str


@dataclass(frozen=True)
class ReleasedRouter:
    """The router's image: its index digest and where its OCI layout lies (relative to this document)."""

    index_digest: Digest
    layout: str


@dataclass(frozen=True)
class EnvironmentReleases(Document):
    """Model -> site -> release, the release digests that routers accept per model, and the router's own image."""

    version: int
    environment: Name
    models: Mapping[str, Mapping[str, SiteRelease]]
    accepted: Mapping[str, tuple[Digest, ...]]
    router: ReleasedRouter | None = None

    def __post_init__(self) -> None:
        """Refuse a document in which a site is told to serve what no router would accept."""
        for model, sites in self.models.items():
            for site, release in sites.items():
                if release.release_digest not in self.accepted.get(model, ()):
                    problem = f"serves {release.release_digest}, which `accepted.{model}` does not list"
                    raise ContractError("EnvironmentReleases", f"models.{model}.{site}", problem)
