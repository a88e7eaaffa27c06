"""The engine's Azure provider, bound to one subscription."""

import copy

import pulumi
import pulumi_azure_native as azure_native

from trihull_infra.provider import Site


def connect(site: Site) -> pulumi.ProviderResource:
    """Make a provider whose resources lie in the environment's subscription; nothing here names another one."""
    pulumi.runtime.register_stack_transformation(_without_aliases)
    return azure_native.Provider("azure", subscription_id=site.spec.account, location=site.spec.region)


def _without_aliases(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """Drop the SDK's aliases: the type tokens of older API versions, some thirty for each resource.

    They halve a preview's speed, and no stack of trihull ever held such a token. A release of the SDK that moves a
    type must have its alias added here.
    """
    if not args.type_.startswith("azure-native:"):
        return None
    opts = copy.copy(args.opts)
    opts.aliases = []
    return pulumi.ResourceTransformationResult(args.props, opts)
