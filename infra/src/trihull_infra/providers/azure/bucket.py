"""Bucket on Azure: a storage account with one container; versions and soft delete belong to the account."""

import pulumi
from pulumi_azure_native import monitor, storage

from trihull_infra import naming, provider
from trihull_infra.provider import Base, Purpose, Site
from trihull_infra.providers.azure.cluster import guards
from trihull_infra.providers.azure.endpoints import Endpoint, Service, endpoint, firewall
from trihull_infra.providers.azure.logs import diagnostics, encryption, user_of
from trihull_infra.providers.azure.network import Network

# Source: "Supported logs for Microsoft.Storage/storageAccounts/blobServices", learn.microsoft.com, on 2026-11-24.
ACCESS = ["StorageRead", "StorageWrite", "StorageDelete"]
CAPTURED = "captured/"


class Bucket(pulumi.ComponentResource):
    """Storage account without keys, its blob settings, lifecycle, endpoint and access log, and a private container."""

    def __init__(self, name: str, site: Site, base: Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        group, days = base.network.scope, site.environment.retention.old_versions_days
        network = base.network.component
        assert isinstance(network, Network)
        child = pulumi.ResourceOptions(parent=self)
        self.account = self._account(name, site, base)
        self.settings = storage.BlobServiceProperties(
            f"{name}-settings",
            resource_group_name=group,
            account_name=self.account.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=days),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=days),
            opts=child,
        )
        old = storage.ManagementPolicyVersionArgs(
            delete=storage.DateAfterCreationArgs(days_after_creation_greater_than=days)
        )
        captured = storage.ManagementPolicyBaseBlobArgs(
            delete=storage.DateAfterModificationArgs(
                days_after_modification_greater_than=site.environment.retention.captured_data_days
            )
        )
        self.lifecycle = storage.ManagementPolicy(
            f"{name}-lifecycle",
            resource_group_name=group,
            account_name=self.account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    _rule("leftovers", storage.ManagementPolicyActionArgs(version=old), None),
                    _rule(
                        "captured",
                        storage.ManagementPolicyActionArgs(base_blob=captured),
                        f"{naming.APPLICATION}/{CAPTURED}",
                    ),
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.settings]),
        )
        self.container = storage.BlobContainer(
            f"{name}-container",
            resource_group_name=group,
            account_name=self.account.name,
            container_name=naming.APPLICATION,
            public_access=storage.PublicAccess.NONE,
            opts=pulumi.ResourceOptions(parent=self, protect=site.environment.protect),
        )
        self.endpoint: Endpoint | None = None
        if network.access is not None:
            self.endpoint = endpoint(name, site, self, network.access, group, Service.BLOBS, self.account.id)
        blobs = pulumi.Output.concat(self.account.id, "/blobServices/default")
        self.access_log: monitor.DiagnosticSetting = diagnostics(name, site, self, blobs, base.logs.destination, ACCESS)
        self.guards = guards(name, site, self, self.account.id)
        self.register_outputs({"name": self.account.name})

    def _account(self, name: str, site: Site, base: Base) -> storage.StorageAccount:
        walled = firewall(site)
        return storage.StorageAccount(
            f"{name}-account",
            resource_group_name=base.network.scope,
            account_name=site.global_name,
            location=site.spec.region,
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            allow_cross_tenant_replication=False,
            default_to_o_auth_authentication=True,
            is_local_user_enabled=False,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            public_network_access=walled.public_access,
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action=storage.DefaultAction(walled.default_action),
                bypass="AzureServices",
                ip_rules=[
                    storage.IPRuleArgs(action=storage.Action.ALLOW, i_p_address_or_range=address)
                    for address in walled.addresses
                ],
            ),
            identity=user_of(base.keys, Purpose.DATA),
            encryption=encryption(base.keys, Purpose.DATA),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self, protect=site.environment.protect, depends_on=list(base.keys.grants)
            ),
        )


def _rule(
    name: str, actions: storage.ManagementPolicyActionArgs, prefix: str | None
) -> storage.ManagementPolicyRuleArgs:
    filters = storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"], prefix_match=[prefix] if prefix else None)
    definition = storage.ManagementPolicyDefinitionArgs(actions=actions, filters=filters)
    return storage.ManagementPolicyRuleArgs(name=name, type="Lifecycle", enabled=True, definition=definition)


def bucket(site: Site, base: Base, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Make the bucket of evidence and captured data: private, versioned, encrypted, its access logged."""
    made = Bucket("bucket", site, base, opts)
    return provider.Bucket(
        address=pulumi.Output.concat("az://", made.account.name, "/", made.container.name),
        id=made.container.id,
        key=base.keys.ids.get(Purpose.DATA),
        component=made,
    )
