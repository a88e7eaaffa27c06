"""Provider: what every cloud must be able to make for a site, and what it gives back.

Each cloud is a package of the same files with the same functions in the same order; its `provider.py` is the Provider
(conformance is checked by mypy at the end of this module). Only `load` imports one, so that no other cloud's SDK is
ever needed. What clouds can not do alike is declared in their `capabilities.toml`, never asked by `if cloud ==`.
"""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import pulumi

from trihull_infra.capabilities import Capabilities, capabilities
from trihull_infra.cloud import Cloud
from trihull_infra.domain import DnsSpec, RouterEndpoint
from trihull_infra.parts import (
    Base,
    Bucket,
    Cluster,
    Dns,
    Identity,
    Keys,
    Logs,
    Network,
    Pools,
    Purpose,
    Registry,
    Site,
)
from trihull_infra.pools import PoolShare, every_share, shares
from trihull_infra.properties import PoolProperties, Properties
from trihull_infra.registered import Registered

__all__ = [
    "Base",
    "Bucket",
    "Capabilities",
    "Cluster",
    "Dns",
    "Identity",
    "Keys",
    "Logs",
    "Network",
    "PoolProperties",
    "PoolShare",
    "Pools",
    "Properties",
    "Provider",
    "Purpose",
    "Registry",
    "Site",
    "capabilities",
    "every_share",
    "load",
    "shares",
]


class Provider(Protocol):
    """A cloud. Functions register resources with the engine and give back what later ones need.

    Each makes one component `trihull:<file>:<Name>`, whose children are its attributes. `connect` comes first: it makes
    the explicit engine provider that is bound to the site's account and that every component is given. What the
    environment names as existing is looked up and not made.
    """

    def connect(self, site: Site) -> pulumi.ProviderResource:
        """Make the engine provider, guarded so that it touches this site's account and no other."""

    def network(self, site: Site, opts: pulumi.ResourceOptions) -> Network:
        """Make a private network over the site's zones with a way out (NAT) and none in."""

    def keys(self, site: Site, network: Network, opts: pulumi.ResourceOptions) -> Keys:
        """Make the keys that encrypt, one for each purpose, rotated; none where the cloud's own are wanted."""

    def logs(self, site: Site, network: Network, keys: Keys, opts: pulumi.ResourceOptions) -> Logs:
        """Make the place where logs are kept, with its retention, and let connections be logged there."""

    def cluster(self, site: Site, base: Base, opts: pulumi.ResourceOptions) -> Cluster:
        """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""

    def pools(self, site: Site, base: Base, cluster: Cluster, opts: pulumi.ResourceOptions) -> Pools:
        """Make the node pools as resources of their own, node counts over all zones."""

    def registry(self, site: Site, base: Base, pools: Pools, opts: pulumi.ResourceOptions) -> Registry:
        """Make the image repository, audited, and let the nodes pull from it."""

    def bucket(self, site: Site, base: Base, opts: pulumi.ResourceOptions) -> Bucket:
        """Make the bucket of evidence and captured data: private, versioned, encrypted, its access logged."""

    def identity(
        self,
        site: Site,
        base: Base,
        cluster: Cluster,
        registry: Registry,
        bucket: Bucket,
        opts: pulumi.ResourceOptions,
    ) -> Identity:
        """Bind ServiceAccounts, and CI, to identities of the cloud that hold the least that each purpose needs."""

    def dns(self, site: Site, spec: DnsSpec, routers: Sequence[RouterEndpoint], opts: pulumi.ResourceOptions) -> Dns:
        """Point the environment's name at the first router, in their order, that is well.

        The only function that is not about one site: `site` is the one whose account hosts the zone.
        """

    def describe(self, registered: Sequence[Registered]) -> Properties:
        """Say what the registered resources of a site amount to; a pure function over what a program registered."""


def load(cloud: Cloud) -> Provider:
    """Import a cloud's provider, and with it the SDK of that cloud alone.

    It is `providers/<cloud>/provider.py`, or `providers/<cloud>.py` for one in a single file.
    """
    name = f"trihull_infra.providers.{cloud}"
    package = importlib.import_module(name)
    return cast(Provider, importlib.import_module(f"{name}.provider") if hasattr(package, "__path__") else package)


if TYPE_CHECKING:
    from trihull_infra.providers.aws import provider as aws
    from trihull_infra.providers.azure import provider as azure
    from trihull_infra.providers.gcp import provider as gcp
    from trihull_infra.providers.kubernetes import provider as kubernetes

    _CONFORMING: tuple[Provider, ...] = (aws, gcp, azure, kubernetes)
