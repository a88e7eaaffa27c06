"""The cluster that is there already: read out of the kubeconfig, never changed."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.kubernetes.connection import context


class Cluster(pulumi.ComponentResource):
    """The context, its cluster and how to get in; the kubeconfig holds what the user's own does, so it is a secret."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        found = context(site)
        self.name = pulumi.Output.from_input(found.cluster)
        self.server = pulumi.Output.from_input(found.server)
        self.kubeconfig = pulumi.Output.secret(found.kubeconfig)
        self.register_outputs({"name": self.name, "server": self.server})


def cluster(site: Site, base: provider.Base, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Find the cluster; its version, administrators, logs and upgrades are its owner's."""
    made = Cluster("cluster", site, opts)
    return provider.Cluster(
        id=made.server,
        name=made.name,
        kubeconfig=made.kubeconfig,
        token_issuer=pulumi.Output.from_input(""),
        node_identity=None,
        component=made,
    )
