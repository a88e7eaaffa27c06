"""Who is asked, and what each must answer: from the environment's documents and its sites' stacks.

A site is asked at its own endpoint, as a router asks it: its certificate is of its own authority and carries its own
name, and it is shown the client certificate of its own router. So nobody else can have answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trihull_infra.errors import SpecError
from trihull_runtime.contract import EnvironmentReleases, Fleet, SiteOutputs, SiteState

SPLIT: Final = "test_split.json"  # what `trihull package` writes beside release.json


@dataclass(frozen=True)
class Credentials:
    """What a site is asked with, as PEM: its authority, and a router's certificate and key."""

    authority: str | None
    certificate: str
    key: str


@dataclass(frozen=True)
class Target:
    """One endpoint.

    Attributes:
        name: of the site, or of the site that the router stands on.
        router: whether it is a router.
        url: where it answers.
        server_name: what its certificate must carry; None for the host.
        credentials: None where no certificate is shown.
        split: the rows, with the answers of the model that it must serve.
        release_digest: of that model.
        problem: why it cannot be asked; empty when it can.
    """

    name: str
    router: bool
    url: str
    server_name: str | None
    credentials: Credentials | None
    split: Path | None
    release_digest: str
    problem: str = ""

    @property
    def title(self) -> str:
        """Return how messages call it."""
        return f"router on {self.name}" if self.router else self.name


def targets(
    fleet: Fleet,
    releases: EnvironmentReleases,
    folder: Path,
    outputs: Mapping[str, SiteOutputs],
    routers: Mapping[str, str],
    model: str,
) -> list[Target]:
    """Return every site that takes requests, then every router, each with what it must answer; a pure function.

    Args:
        fleet: the sites.
        releases: what each of them shall serve.
        folder: the folder that the paths of `releases` start from.
        outputs: of the site stacks, by site; they hold the client certificates.
        routers: site -> address of its router.
        model: to be asked.

    Raises:
        SpecError: the releases do not name the model.
    """
    chosen = releases.models.get(model)
    if chosen is None:
        known = ", ".join(sorted(releases.models)) or "none"
        raise SpecError(f"{releases.environment} serves no model {model!r}; it serves: {known}")
    found = []
    for site in fleet.sites:
        if site.state is SiteState.DISABLED:
            continue
        release, known_outputs = chosen.get(site.name), outputs.get(site.name)
        problem, credentials = "", None
        if release is None:
            problem = f"{releases.environment}.releases.json has no release of {model} for it"
        elif site.endpoint is None:
            problem = f"it is not deployed; run `trihull up {fleet.environment}`"
        elif known_outputs is None:
            problem = "its site stack gives no client certificate to ask with"
        else:
            authority = None if site.ca_certificate == "system" else site.ca_certificate
            credentials = Credentials(authority, known_outputs.router_certificate, known_outputs.router_key)
        found.append(
            Target(
                name=site.name,
                router=False,
                url=site.endpoint.url if site.endpoint is not None else "",
                server_name=site.endpoint.server_name if site.endpoint is not None else None,
                credentials=credentials,
                split=None if release is None else (folder / release.path).parent / SPLIT,
                release_digest="" if release is None else release.release_digest,
                problem=problem,
            )
        )
    served = {each.release_digest: each for each in chosen.values()}
    one = next(iter(served.values())) if len(served) == 1 else None
    for name, url in sorted(routers.items()):
        found.append(
            Target(
                name=name,
                router=True,
                url=url,
                server_name=None,
                credentials=None,
                split=None if one is None else (folder / one.path).parent / SPLIT,
                release_digest="" if one is None else one.release_digest,
                problem="" if one is not None else f"sites serve {len(served)} releases: which one answers is chance",
            )
        )
    return found
