"""Network of a cluster that is there already: its owner's; what serves stands where the cluster's nodes stand."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site


class Network(pulumi.ComponentResource):
    """Nothing is made: nodes, ways out and private ways to registry and bucket are the owner's."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        self.scope = pulumi.Output.from_input(site.spec.account)
        self.register_outputs({"scope": self.scope})


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make no network; resources are filed under the context alone."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=made.scope, id=pulumi.Output.from_input(""), subnets=(), public_subnets=(), component=made
    )
