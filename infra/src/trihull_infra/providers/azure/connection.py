"""The engine's Azure provider, bound to one subscription."""

import pulumi
import pulumi_azure_native as azure_native

from trihull_infra.provider import Site


def connect(site: Site) -> pulumi.ProviderResource:
    """Make a provider whose resources lie in the environment's subscription; nothing here names another one."""
    return azure_native.Provider("azure", subscription_id=site.spec.account, location=site.spec.region)
