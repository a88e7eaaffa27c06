"""Nodes of a cluster that is there already: chosen by their labels (`nodes`), never made."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site


class Pools(pulumi.ComponentResource):
    """Nothing is made: what the environment says of pools holds on other clouds."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:pools:Pools", name, None, opts)
        self.register_outputs({})


def pools(site: Site, base: provider.Base, cluster: provider.Cluster, opts: pulumi.ResourceOptions) -> provider.Pools:
    """Make no pools; nodes pull images with a Secret of the cluster (`pull_secret`) or without asking."""
    return provider.Pools(node_identity=pulumi.Output.from_input(""), component=Pools("pools", opts))
