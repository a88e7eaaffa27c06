"""The name under which clients reach an environment: what its file says of it, and the routers that stand behind it.

The zone exists already and is only named: delegating a domain is nothing that a deploy should do. Mistakes are told as
everywhere in the file, with the key and what was expected.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import pydantic
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from trihull_infra.capabilities import ZoneCapabilities, capabilities
from trihull_infra.cloud import Cloud
from trihull_infra.errors import SpecError

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
NAME: Final = rf"^{_LABEL}(\.{_LABEL})+$"


@dataclass(frozen=True)
class HealthChecks:
    """How a cloud's DNS watches routers: a check every `interval_s`; `failures` in a row make a router unwell.

    `timeout_s` is what one check may take where we set it, else 0.
    """

    interval_s: int
    failures: int
    timeout_s: int = 0

    @property
    def unwell_after_s(self) -> int:
        """Return how long a dead router is taken for well, by these settings."""
        return self.interval_s * self.failures + self.timeout_s


# Of each cloud that hosts zones; the numbers' sources are in docs/dns.md.
ZONES: Final[Mapping[Cloud, ZoneCapabilities]] = {
    cloud: zone for cloud in Cloud if (zone := capabilities(cloud).zone) is not None
}
HEALTH_CHECKS: Final[Mapping[Cloud, HealthChecks]] = {
    cloud: HealthChecks(zone.interval_s, zone.failures, zone.timeout_s) for cloud, zone in ZONES.items()
}
GROUP: Final = r"^[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]$"


class DnsSpec(pydantic.BaseModel):
    """The name of an environment, the zone it lies in, and how its routers are asked whether they are well."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    cloud: Cloud = Field(description="the cloud that hosts the zone: one of this environment's clouds")
    zone: str = Field(description="an existing zone, as its cloud names it")
    resource_group: str | None = Field(
        None, validate_default=True, description="Azure only: the resource group that the zone lies in"
    )
    name: str = Field(
        pattern=NAME, max_length=253, description="a full name inside the zone, such as models.example.com"
    )
    ttl_s: int = Field(30, ge=1, le=3600, description="a whole number from 1 to 3600: how long resolvers may remember")
    health_path: str = Field(
        "/routerz",
        pattern=r"^/[!-~]{0,254}$",
        description="a path such as /routerz: what a router is asked; an answer of 200 means that it is well",
    )

    @field_validator("cloud")
    @classmethod
    def _that_hosts_zones(cls, value: Cloud) -> Cloud:
        if value not in ZONES:
            raise ValueError(f"expected a cloud that can host a zone, {', '.join(ZONES)}, found {value}")
        return value

    @field_validator("zone")
    @classmethod
    def _of_the_cloud(cls, value: str, info: ValidationInfo) -> str:
        if "cloud" in info.data:
            hosting = ZONES[info.data["cloud"]]
            if not re.fullmatch(hosting.pattern, value, re.ASCII):
                raise ValueError(f"expected {hosting.words}")
        return value

    @field_validator("resource_group")
    @classmethod
    def _where_the_cloud_has_any(cls, value: str | None, info: ValidationInfo) -> str | None:
        cloud = info.data.get("cloud")
        if cloud is None:
            return value
        in_group = ZONES[cloud].in_group
        if in_group and (value is None or not re.fullmatch(GROUP, value, re.ASCII)):
            raise ValueError("expected the name of the resource group that the zone lies in")
        if not in_group and value is not None:
            raise ValueError(f"expected nothing: {cloud} has no resource groups")
        return value

    @field_validator("name")
    @classmethod
    def _inside_the_zone(cls, value: str, info: ValidationInfo) -> str:
        # Where a zone is not named by its domain, the cloud refuses a name of another zone.
        hosting = ZONES[info.data["cloud"]] if "cloud" in info.data else None
        if hosting is not None and hosting.named_by_domain and not value.endswith(f".{info.data.get('zone', '')}"):
            raise ValueError(f"expected a name that ends in .{info.data.get('zone', '')}")
        return value


@dataclass(frozen=True)
class RouterEndpoint:
    """Where one site's router answers, as DNS needs it: a host (a name or a bare IP address), a port and a scheme."""

    site: Cloud
    scheme: str
    host: str
    port: int

    @property
    def record_type(self) -> str:
        """Return the type of a record that leads to the host: A, AAAA or CNAME."""
        try:
            return "A" if ipaddress.ip_address(self.host).version == 4 else "AAAA"
        except ValueError:
            return "CNAME"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address."""
        return self.record_type != "CNAME"


def endpoint(site: Cloud, url: str) -> RouterEndpoint:
    """Return a router's endpoint from its URL; raises SpecError for one that names no host."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        raise SpecError(f"the router of {site}: {url!r} is no URL: {error}") from error
    if scheme not in ("http", "https") or not host:
        raise SpecError(f"the router of {site}: expected a URL such as http://203.0.113.7:8080, found {url!r}")
    return RouterEndpoint(site, scheme, host.rstrip("."), port or (443 if scheme == "https" else 80))


def probed_alike(endpoints: Sequence[RouterEndpoint], service: str) -> RouterEndpoint:
    """Return the first endpoint, for a service that asks all of them by one scheme and port.

    Raises:
        SpecError: they differ.
    """
    first = endpoints[0]
    for one in endpoints:
        if (one.scheme, one.port) != (first.scheme, first.port):
            raise SpecError(
                f"{service} asks every router by one scheme and port, but the router of {first.site} is reached by "
                f"{first.scheme} on {first.port} and that of {one.site} by {one.scheme} on {one.port}; "
                "host the zone on a cloud that takes both (docs/dns.md)"
            )
    return first


def addresses_alike(endpoints: Sequence[RouterEndpoint], service: str) -> str:
    """Return the record type of endpoints, for a service that only checks addresses, of one kind in one record.

    Raises:
        SpecError: one has a name in place of an address, or they are of both kinds.
    """
    for one in endpoints:
        if not one.is_address:
            raise SpecError(
                f"{service} checks the health of addresses only, but the router of {one.site} is reached by a name, "
                f"{one.host}; host the zone on a cloud that checks names too (docs/dns.md)"
            )
    kinds = sorted({one.record_type for one in endpoints})
    if len(kinds) > 1:
        raise SpecError(
            f"{service} holds addresses of one kind in a record, but the routers have {' and '.join(kinds)}"
        )
    return kinds[0]
