"""Registry beside a cluster that is there already: the one that the environment names."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.kubernetes.connection import asked


class Registry(pulumi.ComponentResource):
    """Nothing is made: one repository of anybody's registry, to which whoever deploys may push."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        self.address = pulumi.Output.from_input(asked(site).registry)
        self.register_outputs({"address": self.address})


def registry(site: Site, base: provider.Base, pools: provider.Pools, opts: pulumi.ResourceOptions) -> provider.Registry:
    """Take the registry as it is; its tags, scans and audit are its owner's."""
    made = Registry("registry", site, opts)
    return provider.Registry(address=made.address, id=made.address, component=made)
