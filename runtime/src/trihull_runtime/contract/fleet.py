"""The fleet: all sites of an environment as a router sees them, `fleet.json`. It holds no secret."""

import collections
import enum
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from trihull_runtime.contract.codec import Digest, Document, Name, Pattern, Range
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.routing import Routing, check_name


class SiteState(enum.StrEnum):
    """What an operator wants of a site: `draining` takes no new requests, `disabled` is absent."""

    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Endpoint:
    """Where a site's serving answers: `https://host:port` (or http, for servers without TLS).

    `server_name` is the DNS name that the server's certificate must carry; it is also sent as SNI.
    """

    url: Annotated[str, Pattern(r"https?://[^\s]+")]
    server_name: Annotated[str, Pattern(r"[A-Za-z0-9]([A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")]

    def __post_init__(self) -> None:
        """Refuse addresses that are more than scheme, host and port."""
        try:
            parts = urllib.parse.urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise ContractError("Endpoint", "url", f"is {self.url!r}: {error}") from error
        if (
            not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or parts.fragment
            or parts.username
            or port == 0
        ):
            raise ContractError("Endpoint", "url", f"is {self.url!r}; expected scheme://host:port and nothing else")

    @property
    def tls(self) -> bool:
        """Whether the endpoint speaks TLS."""
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """Host name or IP address."""
        return urllib.parse.urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port; the scheme's own when the address names none."""
        return urllib.parse.urlsplit(self.url).port or (443 if self.tls else 80)


@dataclass(frozen=True)
class FleetSite:
    """One site. `endpoint` is None until its serving was deployed once.

    `priority` 0 is the first choice; `weight` splits inside a priority; `cost_per_million` is money per million
    requests and `capacity_per_s` requests per second, both None when unknown. `ca_certificate` is PEM, or `system` for
    the authorities that the router's own system trusts. `grpc_endpoint` is where the site speaks gRPC, if it does.
    """

    name: Name
    cloud: Name
    region: str
    residency: str
    endpoint: Endpoint | None
    ca_certificate: str | None
    priority: Annotated[int, Range(minimum=0, maximum=127)]  # Envoy's priorities end at 127
    weight: Annotated[int, Range(minimum=1, maximum=1000)]
    cost_per_million: Annotated[float, Range(minimum=0)] | None = None
    capacity_per_s: Annotated[float, Range(minimum=0)] | None = None
    state: SiteState = SiteState.ACTIVE
    grpc_endpoint: Endpoint | None = None


@dataclass(frozen=True)
class Fleet(Document):
    """All sites of an environment; `models` maps a model to the release digests that may answer for it.

    `routing` are the rules of traffic: residency classes, canaries, shadows, known answers.
    """

    version: int
    environment: Name
    models: Mapping[str, tuple[Digest, ...]]
    sites: tuple[FleetSite, ...]
    routing: Routing = field(default_factory=Routing)

    def __post_init__(self) -> None:
        """Refuse two sites of one name, names that no route could carry, and rules for what is not there."""
        names = [site.name for site in self.sites]
        for name, count in collections.Counter(names).items():
            if count > 1:
                raise ContractError("Fleet", "sites", f"names {name!r} twice")
        for model in self.models:
            check_name("Fleet", f"models.{model}", model)
        for rule in ("canaries", "shadows", "known_answers"):
            for model in getattr(self.routing, rule):
                if model not in self.models:
                    raise ContractError(
                        "Fleet", f"routing.{rule}.{model}", "is for a model that `models` does not hold"
                    )
        for model, canary in self.routing.canaries.items():
            for site in canary.sites:
                _known(site, names, f"routing.canaries.{model}.sites")
        for model, shadow in self.routing.shadows.items():
            _known(shadow.site, names, f"routing.shadows.{model}.site")


def _known(site: str, names: list[str], path: str) -> None:
    if site not in names:
        raise ContractError("Fleet", path, f"names {site!r}; the fleet has {', '.join(names)}")
