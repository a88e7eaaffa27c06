"""Identity on a cluster that is there already: no cloud vouches for its ServiceAccounts, so there is none to bind."""

import pulumi

from trihull_infra import naming, provider
from trihull_infra.provider import Site


class Identity(pulumi.ComponentResource):
    """Nothing is made: workloads are who the cluster says they are, towards no cloud."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:identity:Identity", name, None, opts)
        self.register_outputs({})


def identity(
    site: Site,
    base: provider.Base,
    cluster: provider.Cluster,
    registry: provider.Registry,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind nothing: ServiceAccounts need neither annotation nor label, and CI deploys as its kubeconfig's user."""
    accounts = (naming.SERVING, naming.ROUTER)
    return provider.Identity(
        service_accounts={account.removeprefix(f"{naming.APPLICATION}-"): {} for account in accounts},
        deployer={},
        component=Identity("identity", opts),
    )
