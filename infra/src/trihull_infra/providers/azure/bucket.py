"""Bucket on Azure: a storage account with one container; versions and soft delete belong to the account."""

import pulumi
from pulumi_azure_native import storage

from trihull_infra import naming, provider
from trihull_infra.provider import OLD_VERSIONS_DAYS, Site


class Bucket(pulumi.ComponentResource):
    """Storage account without keys, its blob settings and lifecycle, and a private container."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        guarded = pulumi.ResourceOptions(parent=self, protect=site.environment.protect)
        self.account = storage.StorageAccount(
            f"{name}-account",
            resource_group_name=network.scope,
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
            encryption=storage.EncryptionArgs(key_source="Microsoft.Storage", require_infrastructure_encryption=True),
            tags=site.labels,
            opts=guarded,
        )
        self.settings = storage.BlobServiceProperties(
            f"{name}-settings",
            resource_group_name=network.scope,
            account_name=self.account.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=OLD_VERSIONS_DAYS),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=OLD_VERSIONS_DAYS),
            opts=child,
        )
        old = storage.ManagementPolicyVersionArgs(
            delete=storage.DateAfterCreationArgs(days_after_creation_greater_than=OLD_VERSIONS_DAYS)
        )
        self.lifecycle = storage.ManagementPolicy(
            f"{name}-lifecycle",
            resource_group_name=network.scope,
            account_name=self.account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="leftovers",
                        type="Lifecycle",
                        enabled=True,
                        definition=storage.ManagementPolicyDefinitionArgs(
                            actions=storage.ManagementPolicyActionArgs(version=old),
                            filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"]),
                        ),
                    )
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.settings]),
        )
        self.container = storage.BlobContainer(
            f"{name}-container",
            resource_group_name=network.scope,
            account_name=self.account.name,
            container_name=naming.APPLICATION,
            public_access=storage.PublicAccess.NONE,
            opts=guarded,
        )
        self.register_outputs({"name": self.account.name})


def bucket(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Make the bucket of evidence: private, versioned, encrypted."""
    made = Bucket("bucket", site, network, opts)
    return provider.Bucket(
        address=pulumi.Output.concat("az://", made.account.name, "/", made.container.name),
        id=made.container.id,
        key=None,
        component=made,
    )
