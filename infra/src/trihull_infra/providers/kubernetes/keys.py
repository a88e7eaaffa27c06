"""Keys of a cluster that is there already: its owner's."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site


class Keys(pulumi.ComponentResource):
    """Nothing is made: whether secrets, disks, images and data are encrypted, and how, is the owner's."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:keys:Keys", name, None, opts)
        self.register_outputs({})


def keys(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Keys:
    """Make no keys, whatever the environment says of its own."""
    return provider.Keys(ids={}, user=None, grants=(), component=Keys("keys", opts))
