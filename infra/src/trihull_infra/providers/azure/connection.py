"""The engine's Azure provider, bound to one subscription."""

import copy
from typing import cast

import pulumi
import pulumi_azure_native as azure_native

from trihull_infra.cloud import Cloud
from trihull_infra.errors import SpecError
from trihull_infra.provider import Site, capabilities
from trihull_infra.providers.azure.spec import AzureSpec


def connect(site: Site) -> pulumi.ProviderResource:
    """Make a provider whose resources lie in the environment's subscription; nothing here names another one.

    Raises:
        SpecError: accelerators are asked for and nothing that hands them out to pods; nothing has been registered yet.
    """
    spec = site.spec
    assert isinstance(spec, AzureSpec)
    if site.environment.pools.accelerator and capabilities(Cloud.AZURE).device_plugin and spec.device_plugin is None:
        raise SpecError(
            f"{site.environment.name}.yaml: clouds.azure.device_plugin: is missing; pools.accelerator needs it, "
            "because AKS installs a driver and no device plugin: name the image of NVIDIA's by its digest, or say "
            "`external` where the platform runs one already"
        )
    pulumi.runtime.register_stack_transformation(_without_aliases)
    return azure_native.Provider("azure", subscription_id=spec.account, location=spec.region)


def _without_aliases(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """Drop the SDK's aliases: the type tokens of older API versions, some thirty for each resource.

    They halve a preview's speed, and no stack of trihull ever held such a token. A release of the SDK that moves a
    type must have its alias added here. Aliases that name no type are trihull's own and stay.
    """
    if not args.type_.startswith("azure-native:"):
        return None
    opts = copy.copy(args.opts)
    opts.aliases = [one for one in opts.aliases or () if isinstance(one, pulumi.Alias) and _names_no_type(one)]
    return pulumi.ResourceTransformationResult(args.props, opts)


def _names_no_type(alias: pulumi.Alias) -> bool:
    return cast(object, alias.type_) is ...
