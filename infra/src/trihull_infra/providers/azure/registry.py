"""Registry on Azure: a container registry without administrator user; tags can not be made immutable for a registry."""

import pulumi
from pulumi_azure_native import containerregistry

from trihull_infra import naming, provider
from trihull_infra.provider import Site
from trihull_infra.providers.azure import roles


class Registry(pulumi.ComponentResource):
    """Container registry, and the nodes' right to pull."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        pools: provider.Pools,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        self.registry = containerregistry.Registry(
            f"{name}-registry",
            resource_group_name=network.scope,
            registry_name=site.global_name,
            location=site.spec.region,
            sku=containerregistry.SkuArgs(name="Standard"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=site.environment.protect),
        )
        self.pull = roles.assign(
            f"{name}-pull",
            site,
            self,
            role=roles.ACR_PULL,
            scope=self.registry.id,
            principal=pools.node_identity,
        )
        self.register_outputs({"address": self.registry.login_server})


def registry(
    site: Site, network: provider.Network, pools: provider.Pools, opts: pulumi.ResourceOptions
) -> provider.Registry:
    """Make the image repository and let the nodes pull from it."""
    made = Registry("registry", site, network, pools, opts)
    return provider.Registry(
        address=pulumi.Output.concat(made.registry.login_server, "/", naming.IMAGES), component=made
    )
