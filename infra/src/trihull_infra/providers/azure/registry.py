"""Registry on Azure: a container registry without administrator user; tags can not be made immutable for a registry."""

import pulumi
from pulumi_azure_native import authorization, containerregistry, monitor

from trihull_infra import naming, provider
from trihull_infra.provider import Base, Purpose, Site
from trihull_infra.providers.azure import arm, roles
from trihull_infra.providers.azure.cluster import guards
from trihull_infra.providers.azure.endpoints import Endpoint, Service, endpoint, firewall
from trihull_infra.providers.azure.keys import Keys, without_version
from trihull_infra.providers.azure.logs import diagnostics
from trihull_infra.providers.azure.network import Network
from trihull_infra.providers.azure.spec import AzureSpec

# Source: "Supported logs for Microsoft.ContainerRegistry/registries", learn.microsoft.com, looked up on 2026-11-24.
AUDITED = ["ContainerRegistryRepositoryEvents", "ContainerRegistryLoginEvents"]


class Registry(pulumi.ComponentResource):
    """Container registry, its private endpoint, its audit, and the nodes' right to pull."""

    def __init__(
        self,
        name: str,
        site: Site,
        base: Base,
        pools: provider.Pools,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        network = base.network.component
        assert isinstance(network, Network)
        self.registry = self._registry(name, site, base)
        self.endpoint: Endpoint | None = None
        if network.access is not None:
            self.endpoint = endpoint(
                name, site, self, network.access, base.network.scope, Service.IMAGES, self.registry.id
            )
        self.pull: authorization.RoleAssignment = roles.assign(
            f"{name}-pull",
            site,
            self,
            role=roles.ACR_PULL,
            scope=self.registry.id,
            principal=pools.node_identity,
        )
        self.audit: monitor.DiagnosticSetting = diagnostics(
            name, site, self, self.registry.id, base.logs.destination, AUDITED
        )
        self.guards = guards(name, site, self, self.registry.id)
        self.register_outputs({"address": self.registry.login_server})

    def _registry(self, name: str, site: Site, base: Base) -> containerregistry.Registry:
        private, own = site.environment.network.private_endpoints, Purpose.IMAGES in base.keys.ids
        premium = private or own  # the tier that has private endpoints, own keys, a firewall and retention
        walled = firewall(site)
        return containerregistry.Registry(
            f"{name}-registry",
            resource_group_name=base.network.scope,
            registry_name=site.global_name,
            location=site.spec.region,
            sku=containerregistry.SkuArgs(name="Premium" if premium else "Standard"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            public_network_access=walled.public_access,
            network_rule_bypass_options="AzureServices",
            network_rule_set=containerregistry.NetworkRuleSetArgs(
                default_action=walled.default_action,
                ip_rules=[
                    containerregistry.IPRuleArgs(action="Allow", i_p_address_or_range=address)
                    for address in walled.addresses
                ],
            )
            if premium
            else None,
            data_endpoint_enabled=private,  # layers come from a name of the registry's own, which is private as well
            policies=containerregistry.PoliciesArgs(
                # It begins when a manifest loses its last tag; what was only ever named by its digest is not touched.
                # "Set a retention policy for untagged manifests", learn.microsoft.com, looked up on 2026-11-24.
                retention_policy=containerregistry.RetentionPolicyArgs(
                    status="enabled", days=site.environment.retention.untagged_images_days
                )
            )
            if premium
            else None,
            identity=self._identity(base) if own else None,
            encryption=self._encryption(base) if own else None,
            zone_redundancy="Enabled" if premium else None,
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=site.environment.protect,
                depends_on=list(base.keys.grants),
                # Azure fixes them when a registry is made; one that is there keeps what it has.
                ignore_changes=["encryption", "identity", "zoneRedundancy"],
            ),
        )

    def _identity(self, base: Base) -> containerregistry.IdentityPropertiesArgs:
        assert base.keys.user is not None
        return containerregistry.IdentityPropertiesArgs(
            type=containerregistry.ResourceIdentityType.USER_ASSIGNED,
            user_assigned_identities=base.keys.user.apply(
                lambda identity: {identity: containerregistry.UserIdentityPropertiesArgs()}
            ),
        )

    def _encryption(self, base: Base) -> containerregistry.EncryptionPropertyArgs:
        keys = base.keys.component
        assert isinstance(keys, Keys)
        assert keys.identity is not None
        return containerregistry.EncryptionPropertyArgs(
            status="enabled",
            key_vault_properties=containerregistry.KeyVaultPropertiesArgs(
                identity=keys.identity.client_id,  # a registry wants its client id, other services its full id
                key_identifier=without_version(base.keys.ids[Purpose.IMAGES]),
            ),
        )


def registry(site: Site, base: Base, pools: provider.Pools, opts: pulumi.ResourceOptions) -> provider.Registry:
    """Make the image repository, audited, and let the nodes pull from it.

    One that is there already is looked up; our nodes may pull from it unless they are somebody's cluster's, too.
    """
    spec = site.spec
    assert isinstance(spec, AzureSpec)
    existing = spec.existing.registry
    if existing is None:
        made = Registry("registry", site, base, pools, opts)
        return provider.Registry(
            address=pulumi.Output.concat(made.registry.login_server, "/", naming.IMAGES),
            id=made.registry.id,
            component=made,
        )
    component = pulumi.ComponentResource("trihull:registry:Registry", "registry", None, opts)
    found = containerregistry.get_registry_output(
        resource_group_name=arm.parsed(existing).group,
        registry_name=arm.parsed(existing).name,
        opts=pulumi.InvokeOutputOptions(parent=component),
    )
    if spec.existing.cluster is None:
        roles.assign(
            "registry-pull", site, component, role=roles.ACR_PULL, scope=existing, principal=pools.node_identity
        )
    return provider.Registry(
        address=pulumi.Output.concat(found.login_server, "/", naming.IMAGES),
        id=pulumi.Output.from_input(existing),
        component=component,
    )
