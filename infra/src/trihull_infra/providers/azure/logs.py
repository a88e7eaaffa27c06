"""Logs on Azure: a Log Analytics workspace with its retention, the vault's audit, and the network's flow logs.

Flow logs can only be written to a storage account; one of their own has them, reached through Azure alone and by an
identity. They are kept below the region's network watcher, which Azure makes in every subscription by itself: a region
takes no second one. Sources, looked up on 2026-11-24: "Virtual network flow logs", MicrosoftDocs/azure-docs
articles/network-watcher/vnet-flow-logs-overview.md @010d565da0af; "Managed identity for virtual network flow logs",
https://docs.azure.cn/en-us/network-watcher/vnet-flow-logs-managed-identity (names of the watcher and its group there).
"""

from typing import Final

import pulumi
from pulumi_azure_native import authorization, managedidentity, monitor, operationalinsights, storage
from pulumi_azure_native import network as azure_network

from trihull_infra import naming, provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.azure import roles
from trihull_infra.providers.azure.keys import Keys, vault_and_name
from trihull_infra.providers.azure.spec import AzureSpec

WATCHERS: Final = "NetworkWatcherRG"


class Logs(pulumi.ComponentResource):
    """Workspace, audit of the keys, flow logs and where they lie."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        keys: provider.Keys,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:logs:Logs", name, None, opts)
        spec = site.spec
        assert isinstance(spec, AzureSpec)
        # Version 0.1.0 had it in the cluster's component.
        before = pulumi.Alias(name="cluster-logs", parent=pulumi.create_urn("cluster", "trihull:cluster:Cluster"))
        self.workspace = operationalinsights.Workspace(
            f"{name}-workspace",
            resource_group_name=network.scope,
            workspace_name=site.name(),
            location=spec.region,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=site.environment.retention.logs_days,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, aliases=[before]),
        )
        self.key_audit: monitor.DiagnosticSetting | None = None
        assert isinstance(keys.component, Keys)
        if keys.component.vault is not None:
            self.key_audit = diagnostics(
                f"{name}-keys", site, self, keys.component.vault.id, self.workspace.id, ["AuditEvent"]
            )
        self.identity: managedidentity.UserAssignedIdentity | None = None
        self.account: storage.StorageAccount | None = None
        self.permissions: authorization.RoleAssignment | None = None
        self.connections: azure_network.FlowLog | None = None
        if site.environment.network.flow_logs and spec.existing.network is None:
            self._log_connections(name, site, network, keys)
        self.register_outputs({"workspaceId": self.workspace.id})

    def _log_connections(self, name: str, site: Site, network: provider.Network, keys: provider.Keys) -> None:
        region, labels = site.spec.region, site.labels
        self.identity = managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=network.scope,
            resource_name_=site.name("flows"),
            location=region,
            tags=labels,
            opts=pulumi.ResourceOptions(parent=self),
        )
        own = encryption(keys, Purpose.LOGS)
        self.account = storage.StorageAccount(
            f"{name}-account",
            resource_group_name=network.scope,
            account_name=naming.globally_unique(site.environment.name, site.cloud, f"{site.spec.account}/logs"),
            location=region,
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            allow_cross_tenant_replication=False,
            default_to_o_auth_authentication=True,
            is_local_user_enabled=False,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            public_network_access="Enabled",
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action=storage.DefaultAction.DENY, bypass="AzureServices"
            ),
            identity=user_of(keys, Purpose.LOGS),
            encryption=own,
            tags=labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(keys.grants), protect=site.environment.protect),
        )
        self.permissions = roles.assign(
            f"{name}-identity-permissions",
            site,
            self,
            role=roles.BLOB_CONTRIBUTOR,
            scope=self.account.id,
            principal=self.identity.principal_id,
        )
        self.connections = azure_network.FlowLog(
            f"{name}-connections",
            resource_group_name=WATCHERS,
            network_watcher_name=f"NetworkWatcher_{region}",
            flow_log_name=site.name(),
            location=region,
            target_resource_id=network.id,
            storage_id=self.account.id,
            enabled=True,
            format=azure_network.FlowLogFormatParametersArgs(type="JSON", version=2),
            identity=azure_network.ManagedServiceIdentityArgs(
                type=azure_network.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[self.identity.id]
            ),
            retention_policy=azure_network.RetentionPolicyParametersArgs(
                enabled=True, days=site.environment.retention.logs_days
            ),
            tags=labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.permissions]),
        )


def logs(site: Site, network: provider.Network, keys: provider.Keys, opts: pulumi.ResourceOptions) -> provider.Logs:
    """Make the place where logs are kept, with its retention, and let connections be logged there."""
    made = Logs("logs", site, network, keys, opts)
    return provider.Logs(destination=made.workspace.id, component=made)


def diagnostics(
    name: str,
    site: Site,
    parent: pulumi.Resource,
    resource: pulumi.Input[str],
    destination: pulumi.Input[str],
    categories: list[str],
    tables: str | None = None,
) -> monitor.DiagnosticSetting:
    """Let a resource's own logs be kept in the site's workspace.

    `tables` is `Dedicated` for resources that can write to tables of their own kind or to one for all.
    """
    return monitor.DiagnosticSetting(
        f"{name}-diagnostics",
        name=site.name(),
        resource_uri=resource,
        workspace_id=destination,
        log_analytics_destination_type=tables,
        logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in categories],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def encryption(keys: provider.Keys, purpose: Purpose) -> storage.EncryptionArgs:
    """Return how a storage account encrypts: with the key of a purpose, its newest version, or with Azure's own."""
    key = keys.ids.get(purpose)
    if key is None:
        return storage.EncryptionArgs(key_source="Microsoft.Storage", require_infrastructure_encryption=True)
    vault, key_name = vault_and_name(key)
    return storage.EncryptionArgs(
        key_source="Microsoft.Keyvault",
        key_vault_properties=storage.KeyVaultPropertiesArgs(key_vault_uri=vault, key_name=key_name),
        encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=keys.user),
        require_infrastructure_encryption=True,
    )


def user_of(keys: provider.Keys, purpose: Purpose) -> storage.IdentityArgs | None:
    """Return the identity by which a storage account uses its key; none where it has no key of ours."""
    if purpose not in keys.ids or keys.user is None:
        return None
    return storage.IdentityArgs(type="UserAssigned", user_assigned_identities=[keys.user])
