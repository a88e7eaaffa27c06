"""Bucket beside a cluster that is there already: the one that the environment names."""

import pulumi

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.kubernetes.connection import asked


class Bucket(pulumi.ComponentResource):
    """Nothing is made: an address of evidence and captured data; who may read and write there is its owner's."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        self.address = pulumi.Output.from_input(asked(site).bucket)
        self.register_outputs({"address": self.address})


def bucket(site: Site, base: provider.Base, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Take the bucket as it is; its versions, keys and access logs are its owner's."""
    made = Bucket("bucket", site, opts)
    return provider.Bucket(address=made.address, id=made.address, key=None, component=made)
