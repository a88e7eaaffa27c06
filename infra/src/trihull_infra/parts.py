"""The parts of a site, as the functions of a provider receive them and give them back; in the words of no cloud."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi

from trihull_infra import addresses, naming
from trihull_infra.addresses import Addresses
from trihull_infra.cloud import Cloud

if TYPE_CHECKING:  # what an environment may say stands beside the providers, and these import the parts
    from trihull_infra.environment import Environment, SiteSpec

ENVIRONMENTS: Final = Path("..") / "environments"  # from a project's folder, where the engine runs programs


@dataclass(frozen=True)
class Site:
    """One cloud's share of an environment, as the functions of a provider receive it.

    `folder` holds the environment's file: paths in it are relative to that.
    """

    environment: "Environment"
    cloud: Cloud
    folder: Path = ENVIRONMENTS

    @property
    def spec(self) -> "SiteSpec":
        """Return what the environment asks of this cloud; a provider's functions know it by its own class."""
        return self.environment.site(self.cloud)

    @property
    def addresses(self) -> Addresses:
        """Return the site's address plan."""
        return addresses.plan(self.cloud, len(self.spec.zone_names))

    @property
    def labels(self) -> dict[str, str]:
        """Return tags or labels of every resource that takes any."""
        return {**self.environment.labels, **self.spec.own_tags}

    @property
    def authorised_networks(self) -> list[str]:
        """Return who reaches the API server over the internet; nobody when empty."""
        return list(self.environment.api_server.authorised_networks)

    def name(self, *parts: str) -> str:
        """Return the name of a resource: `trihull-<environment>[-<part>...]`."""
        return naming.resource(self.environment.name, *parts)

    @property
    def global_name(self) -> str:
        """Return the name of what shares one name space with all customers of the cloud."""
        return naming.globally_unique(self.environment.name, self.cloud, self.spec.account)


@dataclass(frozen=True)
class Network:
    """Where machines stand.

    `scope` is what the cloud files resources under: AWS account, Google Cloud project, Azure resource group. `subnets`
    are private and hold the nodes, `public_subnets` what must be reached (empty where the cloud needs none).
    """

    scope: pulumi.Output[str]
    id: pulumi.Output[str]
    subnets: Sequence[pulumi.Output[str]]
    public_subnets: Sequence[pulumi.Output[str]]
    component: pulumi.ComponentResource


class Purpose(enum.StrEnum):
    """What a key is for; each has a key of its own unless an existing one is named for all."""

    SECRETS = "secrets"  # Kubernetes secrets in the control plane's store
    IMAGES = "images"
    DATA = "data"  # the bucket
    DISKS = "disks"  # the nodes'
    LOGS = "logs"


@dataclass(frozen=True)
class Keys:
    """What encrypts, by purpose: the id by which the cloud's other resources name a key.

    `ids` is empty where the environment wants keys that the cloud manages. `user` is the identity through which
    services use the keys, where they need one (Azure), else None. `grants` must be there before anything uses a key.
    """

    ids: Mapping[Purpose, pulumi.Output[str]]
    user: pulumi.Output[str] | None
    grants: Sequence[pulumi.Resource]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Logs:
    """Where logs and the audit trail go; `destination` is the cloud's id of that place.

    Alarms, dashboards and budgets will stand beside this (a function `alarms`, after `identity`) and read from here.
    """

    destination: pulumi.Output[str]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Base:
    """What the rest of a site stands on."""

    network: Network
    keys: Keys
    logs: Logs


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster without nodes of ours.

    `kubeconfig` is a secret and gets its tokens from an exec plugin; `token_issuer` is what vouches for ServiceAccounts
    (AWS: the cluster's name, Google Cloud: the workload pool, Azure: the issuer's URL); `node_identity` is the id of
    the identity that nodes run as, where the cluster decides it, else None.
    """

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    token_issuer: pulumi.Output[str]
    node_identity: pulumi.Output[str] | None
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Pools:
    """The node pools; `node_identity` is the identity that nodes run as and pull images with."""

    node_identity: pulumi.Output[str]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Registry:
    """One image repository; `address` is `host/path` (or `oci-layout://path`), an image is `address@digest`.

    `id` is what permissions are given on.
    """

    address: pulumi.Output[str]
    id: pulumi.Output[str]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Bucket:
    """A private bucket; `address` as in SiteOutputs, `id` what permissions are given on, `key` its own key if any."""

    address: pulumi.Output[str]
    id: pulumi.Output[str]
    key: pulumi.Output[str] | None
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Identity:
    """Who workloads and CI are towards the cloud.

    Args:
        service_accounts: purpose (`serving`, `router`, and what the cloud's own agents need) -> `annotations.<key>` and
            `labels.<key>` of its ServiceAccount.
        deployer: what CI needs to become the deployer (role, service account, client id), by name; empty without `ci`.
    """

    service_accounts: Mapping[str, Mapping[str, pulumi.Input[str]]]
    deployer: Mapping[str, pulumi.Input[str]]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Dns:
    """An environment's name; `checks` are the ids of what watches each site's router."""

    checks: Mapping[Cloud, pulumi.Output[str]]
    component: pulumi.ComponentResource
