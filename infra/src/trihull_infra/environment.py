"""What an environment asks for: `stacks/environments/<name>.yaml`, typed and neutral to the clouds.

The file is written by people, so every mistake in it is told at once, each with its line, its key and what was expected
there. Nothing is converted: a number where a string belongs is a mistake (`1.30` would have become `1.3`). Its parts
stand in `spec/`, what only one cloud is asked for in `providers/<cloud>/spec.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import pydantic
from pydantic import Field, ValidationInfo, field_validator

from trihull_infra import organisation, specs, strict_yaml
from trihull_infra.cloud import Cloud
from trihull_infra.demands import ReleasesSpec
from trihull_infra.domain import DnsSpec
from trihull_infra.errors import SpecError
from trihull_infra.routers import RoutingSpec, Timings
from trihull_infra.spec import fitting, offered
from trihull_infra.spec.base import Spec, Tags
from trihull_infra.spec.pools import PoolSpec, PoolsSpec
from trihull_infra.spec.settings import (
    ApiServerSpec,
    CertificatesSpec,
    CiSpec,
    KeysSpec,
    NetworkSpec,
    RetentionSpec,
    ServingSpec,
    UpgradesSpec,
)
from trihull_infra.spec.sites import SiteSpec
from trihull_infra.strict_yaml import ElsewhereError

CURRENT: Final = 1

# So short because it is part of every name that a cloud limits, the storage account's 24 characters first (naming.py).
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,11}$")]


class _Sites(Spec):
    @pydantic.model_validator(mode="after")
    def _at_least_one(self) -> "_Sites":
        if not any(getattr(self, cloud, None) for cloud in Cloud):
            raise ValueError(f"expected at least one of {', '.join(Cloud)}")
        return self


def _site(cloud: Cloud) -> Any:
    """Return the field of a cloud: its model, as it stands beside the cloud's provider, or nothing."""
    return specs.of(cloud) | None, Field(default=None, description=f"a site on {cloud}")


# One key for each cloud; what stands below it is read without the cloud's SDK.
SitesSpec: Final = pydantic.create_model("SitesSpec", __base__=_Sites, **{str(cloud): _site(cloud) for cloud in Cloud})


class Environment(Spec):
    """A whole environment, as `load` returns it."""

    version: int = Field(ge=CURRENT, le=CURRENT, description=f"the number {CURRENT}")
    name: EnvironmentName = Field(description="the file's own name: 2-12 of a-z and 0-9, a letter first")
    owner: str = Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", description="who answers for it: a-z 0-9 _ -")
    cost_centre: str | None = Field(
        default=None, pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", description="who pays for it: a-z 0-9 _ -"
    )
    tags: Tags = Field(
        default_factory=dict, description="more tags, name to value, both of a-z 0-9 _ - (Google Cloud's rule)"
    )
    protect: bool = Field(description="true or false: whether clusters, keys and data are guarded against deletion")
    kubernetes_version: str = Field(
        pattern=r"^1\.[1-9][0-9]$",
        description="a minor version in quotes, one that every cloud of the environment offers (data/kubernetes.toml)",
    )
    upgrades: UpgradesSpec = Field(default=UpgradesSpec(), description="when the clouds may patch")
    sites: SitesSpec = Field(alias="clouds", description="the clouds and what each is asked for")  # type: ignore[valid-type]  # made from Cloud
    api_server: ApiServerSpec = Field(description="who reaches the API servers")
    network: NetworkSpec = Field(default=NetworkSpec(), description="the sites' networks")
    keys: KeysSpec = Field(default=KeysSpec(), description="what encrypts")
    retention: RetentionSpec = Field(default=RetentionSpec(), description="for how long things are kept")
    pools: PoolsSpec = Field(description="the node pools")
    serving: ServingSpec = Field(description="the models' replicas")
    routing: RoutingSpec = Field(description="the routers")
    certificates: CertificatesSpec = Field(default=CertificatesSpec(), description="the sites' certificate authorities")
    releases: ReleasesSpec = Field(default=ReleasesSpec(), description="what a release must show before it is served")
    ci: CiSpec | None = Field(default=None, description="who deploys from CI, without a key; nobody when left out")
    dns: DnsSpec | None = Field(
        default=None, description="the name under which clients reach the routers; none when left out"
    )

    @field_validator("tags")
    @classmethod
    def _own_tags(cls, value: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        own = {"environment", "owner", "application"} | ({"cost_centre"} if info.data.get("cost_centre") else set())
        if taken := sorted(own & set(value)):
            raise ValueError(f"expected other names than trihull's own: {', '.join(taken)}")
        return value

    @field_validator("sites")
    @classmethod
    def _offered_by_the_clouds(cls, value: Any, info: ValidationInfo) -> Any:
        sites = {cloud: getattr(value, cloud) for cloud in _present(value)}
        name, version = info.data.get("name", ""), info.data.get("kubernetes_version")
        if problems := offered.problems(name, version, sites):
            raise ElsewhereError(problems)
        return value

    @field_validator("pools")
    @classmethod
    def _machines_that_every_cloud_has(cls, value: PoolsSpec, info: ValidationInfo) -> PoolsSpec:
        for cloud in _present(info.data.get("sites")):
            for name, pool in value.all.items():
                if not specs.offers(cloud, pool.resolved):
                    raise ValueError(
                        f"expected machine classes that every cloud of the environment has; {name}.machine: "
                        f"{cloud} has no {pool.machine} (data/machines.toml)"
                    )
        return value

    @field_validator("serving")
    @classmethod
    def _on_a_pool_that_is_there(cls, value: ServingSpec, info: ValidationInfo) -> ServingSpec:
        pools: PoolsSpec | None = info.data.get("pools")
        if pools is not None and value.pool not in pools.of_workloads:
            raise ValueError(f"expected pool to be one of pools, found {value.pool}; ask for it in pools.{value.pool}")
        clouds = [cloud for cloud in _present(info.data.get("sites")) if specs.provisions(cloud)]
        if pools is not None and (problems := fitting.problems(value, pools.of_workloads[value.pool], clouds)):
            raise ElsewhereError(problems)
        return value

    @field_validator("routing")
    @classmethod
    def _residencies_of_the_clouds(cls, value: RoutingSpec, info: ValidationInfo) -> RoutingSpec:
        sites = info.data.get("sites")
        if sites is None:
            return value
        known = {getattr(sites, cloud).residency for cloud in _present(sites)}
        for name, each in value.classes.items():
            if unknown := sorted(set(each.residencies) - known):
                raise ValueError(
                    f"expected residencies of classes.{name} to be those of the clouds, {', '.join(sorted(known))}; "
                    f"found {', '.join(unknown)}"
                )
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
        return _present(self.sites)

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
        paid = {} if self.cost_centre is None else {"cost_centre": self.cost_centre}
        return {"application": "trihull", "environment": self.name, "owner": self.owner, **paid, **self.tags}


def _present(sites: object) -> tuple[Cloud, ...]:
    return tuple(cloud for cloud in Cloud if getattr(sites, cloud, None) is not None)


def load(name: str, folder: Path) -> Environment:
    """Read `<folder>/<name>.yaml`.

    Raises:
        SpecError: no such environment (the message lists those there are), not YAML, or not what an environment must
            say, or not what the organisation lets it; the message has one line for every mistake, with file, line, key
            and what was expected.
    """
    path = folder / f"{name}.yaml"
    if "/" in name or not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        like = strict_yaml.suggestion(name, there.split(", "))
        raise SpecError(f"{path}: there is no environment {name!r}; environments here: {there}{like}")
    found = strict_yaml.read(path, Environment, {"name": name})
    if problems := organisation.load(folder).problems(found):
        lines = [(strict_yaml.line(path, problem.partition(": ")[0]), problem) for problem in problems]
        raise SpecError("\n".join(f"{path}:{line}: {problem}" for line, problem in lines))
    return found


__all__ = [
    "ApiServerSpec",
    "CiSpec",
    "DnsSpec",
    "Environment",
    "PoolSpec",
    "PoolsSpec",
    "ReleasesSpec",
    "RoutingSpec",
    "ServingSpec",
    "SiteSpec",
    "Timings",
    "load",
]
