"""The engine's Google Cloud provider, bound to one project."""

import pulumi
import pulumi_gcp as gcp

from trihull_infra.provider import Site


def connect(site: Site) -> pulumi.ProviderResource:
    """Make a provider whose resources lie in the environment's project; nothing here names another one."""
    return gcp.Provider("gcp", project=site.spec.account, region=site.spec.region)
