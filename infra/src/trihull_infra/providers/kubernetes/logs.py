"""Logs of a cluster that is there already: wherever its owner takes them."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site


class Logs(pulumi.ComponentResource):
    """Nothing is made: what pods write goes where the cluster's own collector takes it, if it has one."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:logs:Logs", name, None, opts)
        self.register_outputs({})


def logs(site: Site, network: provider.Network, keys: provider.Keys, opts: pulumi.ResourceOptions) -> provider.Logs:
    """Make no place for logs."""
    return provider.Logs(destination=pulumi.Output.from_input(""), component=Logs("logs", opts))
