"""What an environment asks for: `stacks/environments/<name>.yaml`, typed and neutral to the clouds.

The file is written by people, so every mistake in it is told at once, each with its line, its key and what was expected
there. Nothing is converted: a number where a string belongs is a mistake (`1.30` would have become `1.3`).
"""

import enum
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import pydantic
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from trihull_infra import strict_yaml
from trihull_infra.cloud import Cloud
from trihull_infra.demands import ReleasesSpec
from trihull_infra.domain import DnsSpec
from trihull_infra.errors import SpecError
from trihull_infra.machines import MACHINES, Machine
from trihull_runtime.contract import Policy
from trihull_runtime.contract.codec import NAME

CURRENT: Final = 1
UUID: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"expected a network such as 203.0.113.7/32: {error}") from error
    return value


def _machine(value: str) -> str:
    if value not in MACHINES:
        raise ValueError(f"expected one of {', '.join(MACHINES)}")
    return value


# So short because it is part of every name that a cloud limits, the storage account's 24 characters first (naming.py).
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,11}$")]
Network = Annotated[str, AfterValidator(_network)]


class _Spec(pydantic.BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SiteSpec(_Spec):
    """What every cloud is asked for; each cloud adds the account, project or subscription that it may touch."""

    region: str = Field(pattern=r"^[a-z][a-z0-9-]+$", description="the cloud's name of a region")
    zones: tuple[str, ...] = Field(min_length=2, max_length=3, description="two or three zones of the region")
    residency: str = Field(pattern=rf"^{NAME}$", description="a short name of where data stays, such as eu")
    administrators: tuple[str, ...] = Field(
        min_length=1, description="who administers the cluster: a list of the cloud's own principals"
    )
    priority: int = Field(0, ge=0, le=127, description="a whole number from 0 (first choice) to 127")
    weight: int = Field(100, ge=1, le=1000, description="a whole number from 1 to 1000: the share inside a priority")

    @property
    def account(self) -> str:
        """Return the only account, project or subscription that this site may touch."""
        raise NotImplementedError

    @field_validator("zones")
    @classmethod
    def _no_zone_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("expected different zones")
        return value


class AwsSpec(SiteSpec):
    """A site on AWS."""

    administrators: tuple[
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$")],
        ...,
    ] = Field(min_length=1, description="a list of ARNs of IAM roles or users: who administers the cluster")
    account_id: str = Field(alias="account", pattern=r"^[0-9]{12}$", description="a 12-digit account number, in quotes")

    @property
    def account(self) -> str:
        """Return the account number."""
        return self.account_id

    @field_validator("zones")
    @classmethod
    def _zones_of_the_region(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _zones_start_with(info.data.get("region", ""), value)


class GcpSpec(SiteSpec):
    """A site on Google Cloud."""

    administrators: tuple[
        Annotated[str, Field(pattern=r"^(user|group|serviceAccount|principal|principalSet):.+$")], ...
    ] = Field(min_length=1, description="a list of IAM members such as group:team@example.com: who administers")
    project: str = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", description="a project id, 6-30 characters")

    @property
    def account(self) -> str:
        """Return the project's id."""
        return self.project

    @field_validator("zones")
    @classmethod
    def _zones_of_the_region(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _zones_start_with(f"{info.data['region']}-" if "region" in info.data else "", value)


class AzureSpec(SiteSpec):
    """A site on Azure; its zones are numbers in quotes."""

    zones: tuple[Annotated[str, Field(pattern=r"^[123]$", description='"1", "2" or "3"')], ...] = Field(
        min_length=2, max_length=3, description='two or three of "1", "2", "3"'
    )
    administrators: tuple[Annotated[str, Field(pattern=UUID)], ...] = Field(
        min_length=1, description="a list of Entra object ids (lower-case UUIDs): who administers the cluster"
    )
    subscription: str = Field(pattern=UUID, description="a subscription id (a lower-case UUID)")

    @property
    def account(self) -> str:
        """Return the subscription's id."""
        return self.subscription


def _zones_start_with(prefix: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    for zone in zones:
        if prefix and (not zone.startswith(prefix) or zone == prefix):
            raise ValueError(f"expected zones of the region, such as {prefix}a, found {zone!r}")
    return zones


class _Sites(_Spec):
    aws: AwsSpec | None = Field(None, description="a site on AWS")
    gcp: GcpSpec | None = Field(None, description="a site on Google Cloud")
    azure: AzureSpec | None = Field(None, description="a site on Azure")

    @pydantic.model_validator(mode="after")
    def _at_least_one(self) -> "_Sites":
        if not any(getattr(self, cloud, None) for cloud in Cloud):
            raise ValueError(f"expected at least one of {', '.join(Cloud)}")
        return self


class ApiServerSpec(_Spec):
    """Who reaches the clusters' API servers over the internet; nobody when the list is empty."""

    authorised_networks: tuple[Network, ...] = Field(
        description="networks such as 203.0.113.7/32; [] for private access only"
    )


class PoolSpec(_Spec):
    """Machines of one kind; node counts are those of the whole pool, over all zones."""

    machine: Annotated[str, AfterValidator(_machine)] = Field(description="a machine class (data/machines.toml)")
    nodes_min: int = Field(ge=1, le=1000, description="a whole number, at least 1: nodes of the whole pool")
    nodes_max: int = Field(ge=1, le=1000, description="a whole number, at least nodes_min")
    spot_share: float = Field(ge=0, le=1, strict=False, description="a number from 0 (none) to 1 (all)")

    @field_validator("nodes_max")
    @classmethod
    def _not_below_minimum(cls, value: int, info: ValidationInfo) -> int:
        return _at_least("nodes_min", value, info)

    @field_validator("spot_share", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool | str):  # lax mode takes "0.5" and true; it is only lax so that 0 is a number too
            raise ValueError("expected a number from 0 (none) to 1 (all)")
        return value

    @property
    def resolved(self) -> Machine:
        """Return the machine class that `machine` names."""
        return MACHINES[self.machine]


class PoolsSpec(_Spec):
    """The node pools of every site."""

    serving: PoolSpec = Field(description="the pool that serves models")


class ServingSpec(_Spec):
    """How many replicas serve the model on each site."""

    replicas_min: int = Field(ge=1, le=1000, description="a whole number, at least 1")
    replicas_max: int = Field(ge=1, le=1000, description="a whole number, at least replicas_min")

    @field_validator("replicas_max")
    @classmethod
    def _not_below_minimum(cls, value: int, info: ValidationInfo) -> int:
        return _at_least("replicas_min", value, info)


def _at_least(key: str, value: int, info: ValidationInfo) -> int:
    if value < info.data.get(key, 1):
        raise ValueError(f"expected at least {key}, {info.data[key]}")
    return value


class Timings(enum.StrEnum):
    """Which set of intervals and time limits the routers use: between clouds, or on one machine."""

    WAN = "wan"
    LAB = "lab"


class RoutingSpec(_Spec):
    """The routers of every site."""

    policy: Policy = Field(description=f"one of {', '.join(Policy)}")
    replicas: int = Field(ge=1, le=100, description="a whole number, at least 1")
    replicas_max: int | None = Field(
        None, ge=1, le=100, description="a whole number, at least replicas: up to how many an autoscaler may add"
    )
    timings: Timings = Field(description="wan (between clouds) or lab (one machine)")

    @field_validator("replicas_max")
    @classmethod
    def _not_below_replicas(cls, value: int | None, info: ValidationInfo) -> int | None:
        return value if value is None else _at_least("replicas", value, info)

    @property
    def most(self) -> int:
        """Return the largest number of routers on a site; `replicas` when nothing scales them."""
        return self.replicas if self.replicas_max is None else self.replicas_max


class Environment(_Spec):
    """A whole environment, as `load` returns it."""

    version: int = Field(ge=CURRENT, le=CURRENT, description=f"the number {CURRENT}")
    name: EnvironmentName = Field(description="the file's own name: 2-12 of a-z and 0-9, a letter first")
    owner: str = Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", description="who answers for it: a-z 0-9 _ -")
    tags: Mapping[
        Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")],
        Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,63}$")],
    ] = Field(default_factory=dict, description="more tags, name to value, both of a-z 0-9 _ - (Google Cloud's rule)")
    protect: bool = Field(description="true or false: whether clusters, keys and data are guarded against deletion")
    kubernetes_version: str = Field(pattern=r"^1\.[1-9][0-9]$", description='a minor version in quotes, such as "1.34"')
    sites: _Sites = Field(alias="clouds", description="the clouds and what each is asked for")
    api_server: ApiServerSpec = Field(description="who reaches the API servers")
    pools: PoolsSpec = Field(description="the node pools")
    serving: ServingSpec = Field(description="the models' replicas")
    routing: RoutingSpec = Field(description="the routers")
    releases: ReleasesSpec = Field(ReleasesSpec(), description="what a release must show before it is served")
    dns: DnsSpec | None = Field(None, description="the name under which clients reach the routers; none when left out")

    @field_validator("tags")
    @classmethod
    def _own_tags(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if taken := sorted({"environment", "owner", "application"} & set(value)):
            raise ValueError(f"expected other names than trihull's own: {', '.join(taken)}")
        return value

    @field_validator("dns")
    @classmethod
    def _hosted_here(cls, value: DnsSpec | None, info: ValidationInfo) -> DnsSpec | None:
        sites = info.data.get("sites")
        if value is not None and sites is not None and getattr(sites, value.cloud, None) is None:
            raise ValueError(f"expected cloud to be one of this environment's, found {value.cloud}")
        return value

    @property
    def clouds(self) -> tuple[Cloud, ...]:
        """Return the clouds of this environment, in the order of `Cloud`."""
        return tuple(cloud for cloud in Cloud if getattr(self.sites, cloud, None) is not None)

    def site(self, cloud: Cloud) -> SiteSpec:
        """Return what one cloud is asked for; raises SpecError when the environment has no site there."""
        found: SiteSpec | None = getattr(self.sites, cloud, None)
        if found is None:
            raise SpecError(
                f"{self.name}.yaml: clouds.{cloud}: is missing; this environment has {', '.join(self.clouds)}"
            )
        return found

    @property
    def labels(self) -> dict[str, str]:
        """Return the tags of every resource; valid as AWS tags, Google Cloud labels and Azure tags alike."""
        return {"application": "trihull", "environment": self.name, "owner": self.owner, **self.tags}


def load(name: str, folder: Path) -> Environment:
    """Read `<folder>/<name>.yaml`.

    Raises:
        SpecError: no such environment (the message lists those there are), not YAML, or not what an environment must
            say; the message has one line for every mistake, with file, line, key and what was expected.
    """
    path = folder / f"{name}.yaml"
    if "/" in name or not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise SpecError(f"{path}: there is no environment {name!r}; environments here: {there}")
    return strict_yaml.read(path, Environment, {"name": name})


__all__ = [
    "ApiServerSpec",
    "AwsSpec",
    "AzureSpec",
    "DnsSpec",
    "Environment",
    "GcpSpec",
    "Policy",
    "PoolSpec",
    "ReleasesSpec",
    "RoutingSpec",
    "ServingSpec",
    "SiteSpec",
    "Timings",
    "load",
]
