"""The engine's AWS provider, bound to one account."""

import pulumi
import pulumi_aws as aws

from trihull_infra.provider import Site


def connect(site: Site) -> pulumi.ProviderResource:
    """Make a provider that refuses to work with the credentials of any account but the environment's."""
    return aws.Provider("aws", region=site.spec.region, allowed_account_ids=[site.spec.account])
