"""Provider: what every cloud must be able to make for a site, and what it gives back.

Each cloud is a package of the same files with the same functions in the same order; the package itself is the Provider
(its conformance is checked by mypy at the end of this module). Only `load` imports one, so that no other cloud's SDK is
ever needed. What clouds can not do alike is declared in their `capabilities.toml`, never asked by `if cloud ==`.
"""

import importlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import pulumi

from trihull_infra import addresses, naming
from trihull_infra.addresses import Addresses
from trihull_infra.cloud import Cloud
from trihull_infra.domain import DnsSpec, RouterEndpoint
from trihull_infra.environment import Environment, PoolSpec, SiteSpec
from trihull_infra.registered import Registered

LOG_RETENTION_DAYS: Final = 90  # of control-plane logs
OLD_VERSIONS_DAYS: Final = 90  # how long a replaced or deleted object of the bucket can be had back


@dataclass(frozen=True)
class Site:
    """One cloud's share of an environment, as the functions of a provider receive it."""

    environment: Environment
    cloud: Cloud

    @property
    def spec(self) -> SiteSpec:
        """Return what the environment asks of this cloud."""
        return self.environment.site(self.cloud)

    @property
    def addresses(self) -> Addresses:
        """Return the site's address plan."""
        return addresses.plan(self.cloud, len(self.spec.zones))

    @property
    def labels(self) -> dict[str, str]:
        """Return tags or labels of every resource that takes any."""
        return self.environment.labels

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
    """One image repository; `address` is `host/path` (or `oci-layout://path`), an image is `address@digest`."""

    address: pulumi.Output[str]
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
    """Who workloads are towards the cloud: purpose -> `annotations.<key>` and `labels.<key>` of its ServiceAccount."""

    service_accounts: Mapping[str, Mapping[str, pulumi.Input[str]]]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Dns:
    """An environment's name; `checks` are the ids of what watches each site's router."""

    checks: Mapping[Cloud, pulumi.Output[str]]
    component: pulumi.ComponentResource


@dataclass(frozen=True)
class Properties:
    """What a site is, told without the words of any cloud; equal on all clouds but for declared differences."""

    # network and cluster
    zones: int
    kubernetes_version: str
    api_server_networks: tuple[str, ...]
    api_server_private_only: bool
    api_server_cloud_identities_only: bool
    control_plane_logged: bool
    secrets_with_own_key: bool
    network_policy_enforced: bool
    deletion_guarded: bool
    # nodes
    node_vcpus: int
    node_memory_gib: float
    nodes_min: int
    nodes_max: int
    spot_nodes_max: int
    spot_nodes_tainted: bool
    nodes_private: bool
    nodes_with_own_identity: bool
    node_metadata_guarded: bool
    pools_scale_themselves: bool
    # registry and bucket
    registry_tags_immutable: bool
    registry_scans: bool
    registry_named_accounts_only: bool
    bucket_versioned: bool
    bucket_private: bool
    bucket_identities_only: bool
    bucket_tls_only: bool
    bucket_with_own_key: bool
    # workloads
    workload_identity: tuple[str, ...]
    labels: Mapping[str, str]


class Provider(Protocol):
    """A cloud. Functions register resources with the engine and give back what later ones need.

    Each makes one component `trihull:<file>:<Name>`, whose children are its attributes. `connect` comes first: it makes
    the explicit engine provider that is bound to the site's account and that every component is given.
    """

    def connect(self, site: Site) -> pulumi.ProviderResource:
        """Make the engine provider, guarded so that it touches this site's account and no other."""

    def network(self, site: Site, opts: pulumi.ResourceOptions) -> Network:
        """Make a private network over the site's zones with a way out (NAT) and none in."""

    def cluster(self, site: Site, network: Network, opts: pulumi.ResourceOptions) -> Cluster:
        """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""

    def pools(self, site: Site, network: Network, cluster: Cluster, opts: pulumi.ResourceOptions) -> Pools:
        """Make the node pools as resources of their own, node counts over all zones."""

    def registry(self, site: Site, network: Network, pools: Pools, opts: pulumi.ResourceOptions) -> Registry:
        """Make the image repository and let the nodes pull from it."""

    def bucket(self, site: Site, network: Network, opts: pulumi.ResourceOptions) -> Bucket:
        """Make the bucket of evidence: private, versioned, encrypted."""

    def identity(
        self, site: Site, network: Network, cluster: Cluster, bucket: Bucket, opts: pulumi.ResourceOptions
    ) -> Identity:
        """Bind the ServiceAccounts to identities of the cloud that hold the least that each purpose needs."""

    def dns(self, site: Site, spec: DnsSpec, routers: Sequence[RouterEndpoint], opts: pulumi.ResourceOptions) -> Dns:
        """Point the environment's name at the first router, in their order, that is well.

        The only function that is not about one site: `site` is the one whose account hosts the zone.
        """

    def describe(self, registered: Sequence[Registered]) -> Properties:
        """Say what the registered resources of a site amount to; a pure function over what a program registered."""


@dataclass(frozen=True)
class PoolShare:
    """The on-demand or the spot half of a pool, as clouds register it; node counts are over all zones."""

    name: str
    spot: bool
    nodes_min: int
    nodes_max: int


def shares(pool: PoolSpec) -> tuple[PoolShare, ...]:
    """Cut a pool into its on-demand and its spot part; each part that exists may grow to at least one node.

    The minimum of spot nodes is rounded down (a guarantee should stand on machines that stay), the maximum to the
    nearest; the parts' sums are the pool's own numbers.
    """
    if pool.spot_share in (0, 1):
        spot = pool.spot_share == 1
        return (PoolShare(naming.SPOT_POOL if spot else naming.POOL, spot, pool.nodes_min, pool.nodes_max),)
    spot_min = int(pool.nodes_min * pool.spot_share)
    spot_max = min(max(round(pool.nodes_max * pool.spot_share), spot_min, 1), pool.nodes_max)
    steady_min, steady_max = pool.nodes_min - spot_min, pool.nodes_max - spot_max
    if steady_max < steady_min:
        steady_max, spot_max = steady_min, pool.nodes_max - steady_min
    parts = (
        PoolShare(naming.POOL, False, steady_min, steady_max),
        PoolShare(naming.SPOT_POOL, True, spot_min, spot_max),
    )
    return tuple(part for part in parts if part.nodes_max > 0)


@dataclass(frozen=True)
class Capabilities:
    """How a cloud differs from the others, declared in `providers/<cloud>/capabilities.toml`.

    `service_annotations` make a Service of type LoadBalancer a layer-4 one; `spot_taints` are the taints (all
    NoSchedule, key to value) that the cloud itself puts on spot nodes; `differs` maps a property to the reason why it
    is not what the other clouds have.
    """

    service_annotations: Mapping[str, str]
    spot_taints: Mapping[str, str]
    differs: Mapping[str, str]


def capabilities(cloud: Cloud) -> Capabilities:
    """Read what a cloud declares, without importing its SDK."""
    path = Path(__file__).parent / "providers" / cloud / "capabilities.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Capabilities(table["service_annotations"], table["spot_taints"], table["differs"])


def load(cloud: Cloud) -> Provider:
    """Import a cloud's provider, and with it the SDK of that cloud alone."""
    return cast(Provider, importlib.import_module(f"trihull_infra.providers.{cloud}"))


if TYPE_CHECKING:
    from trihull_infra.providers import aws, azure, gcp

    _CONFORMING: tuple[Provider, ...] = (aws, gcp, azure)
