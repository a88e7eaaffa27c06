"""Keys on Azure: a key vault with a key for each purpose, and one identity through which services use them.

The vault answers on the network: AKS's encryption of secrets does not work through its firewall, nor does a registry's
that uses a managed identity of ours. Roles open it, nothing else: no access policy, no right of whoever deploys.
Sources, looked up on 2026-11-24: "Add KMS etcd encryption to an AKS cluster", limitations, MicrosoftDocs/azure-aks-docs
articles/aks/use-kms-etcd-encryption.md @fb060abe6a8f; MicrosoftDocs/azure-docs issue 61064 (registries).

Unless `keys.keep` is false, vault, keys and all through which they are used stay where they are when nobody asks for
them any more: what they encrypted is read by them. They end with their resource group, and can be had back for a while.
"""

from typing import Final

import pulumi
from pulumi_azure_native import authorization, compute, keyvault, managedidentity

from trihull_infra import provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.azure import arm, roles
from trihull_infra.providers.azure.spec import AzureSpec

PURPOSES: Final = (Purpose.SECRETS, Purpose.IMAGES, Purpose.DATA, Purpose.DISKS, Purpose.LOGS)
OPERATIONS: Final = ("encrypt", "decrypt", "wrapKey", "unwrapKey")
# A changed rotation reaches no key that is there: the API makes a key's first version and changes none ("create_if_not_
# exist", azure-mgmt-keyvault, KeysOperations, looked up on 2026-11-24); `az keyvault key rotation-policy update` does.
# How long a deleted vault can be brought back, and its name is taken: 7 to 90 days, as the SDK says of it.
KEPT_DAYS: Final = {True: 90, False: 7}


class Keys(pulumi.ComponentResource):
    """Vault and keys (or what is there already), who uses them, and the encryption of the nodes' disks."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:keys:Keys", name, None, opts)
        spec = site.spec
        assert isinstance(spec, AzureSpec)
        self.vault: keyvault.Vault | None = None
        self.keys: dict[Purpose, keyvault.Key] = {}
        self.identity: managedidentity.UserAssignedIdentity | None = None
        self.grants: list[authorization.RoleAssignment] = []
        self.disks: compute.DiskEncryptionSet | None = None
        self.scope: pulumi.Output[str] | None = None
        self.uris: dict[Purpose, pulumi.Output[str]] = {}
        if site.environment.keys.own:
            if spec.existing.vault is not None and spec.existing.key is not None:
                self._take(spec.existing.vault, spec.existing.key)
            else:
                self._make(name, site, network, spec.existing.vault)
            self._use(name, site, network)
        self.register_outputs({"purposes": list(self.uris)})

    def scope_of(self, purpose: Purpose) -> pulumi.Output[str] | None:
        """Return what a role on the key of one purpose is given on; None without keys of ours."""
        key = self.keys.get(purpose)
        return self.scope if key is None else key.id

    def _take(self, vault: str, key: str) -> None:
        """Use one key of somebody's vault for everything."""
        found = keyvault.get_key_output(
            resource_group_name=arm.parsed(vault).group,
            vault_name=arm.parsed(vault).name,
            key_name=key,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        self.scope = pulumi.Output.from_input(f"{vault}/keys/{key}")
        self.uris = dict.fromkeys(PURPOSES, found.key_uri_with_version)

    def _make(self, name: str, site: Site, network: provider.Network, existing_vault: str | None) -> None:
        group: pulumi.Input[str] = network.scope
        vault: pulumi.Input[str]
        if existing_vault is not None:
            group, vault = arm.parsed(existing_vault)
            self.scope = pulumi.Output.from_input(existing_vault)
        else:
            self.vault = self._vault(name, site, network)
            vault, self.scope = self.vault.name, self.vault.id
        for purpose in PURPOSES:
            self.keys[purpose] = keyvault.Key(
                f"{name}-{purpose}",
                resource_group_name=group,
                vault_name=vault,
                key_name=purpose.value if existing_vault is None else site.name(purpose),
                properties=keyvault.KeyPropertiesArgs(
                    kty="RSA",
                    key_size=3072,
                    key_ops=list(OPERATIONS),
                    rotation_policy=keyvault.RotationPolicyArgs(
                        lifetime_actions=[
                            keyvault.LifetimeActionArgs(
                                action=keyvault.ActionArgs(type=keyvault.KeyRotationPolicyActionType.ROTATE),
                                trigger=keyvault.TriggerArgs(
                                    time_after_create=f"P{site.environment.keys.rotation_days}D"
                                ),
                            )
                        ]
                    ),
                ),
                tags=site.labels,
                opts=pulumi.ResourceOptions(
                    parent=self, protect=site.environment.protect, retain_on_delete=site.environment.keys.keep
                ),
            )
        self.uris = {purpose: key.key_uri_with_version for purpose, key in self.keys.items()}

    def _vault(self, name: str, site: Site, network: provider.Network) -> keyvault.Vault:
        tenant = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).tenant_id
        return keyvault.Vault(
            f"{name}-vault",
            resource_group_name=network.scope,
            vault_name=site.global_name,
            location=site.spec.region,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=tenant,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                enable_purge_protection=True,
                soft_delete_retention_in_days=KEPT_DAYS[site.environment.protect],
                public_network_access="Enabled",
            ),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=site.environment.protect,
                retain_on_delete=site.environment.keys.keep,
                # Azure fixes it when a vault is made, and `protect` of an environment may change.
                ignore_changes=["properties.softDeleteRetentionInDays"],
            ),
        )

    def _use(self, name: str, site: Site, network: provider.Network) -> None:
        assert self.scope is not None
        self.identity = managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=network.scope,
            resource_name_=site.name("keys"),
            location=site.spec.region,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=site.environment.keys.keep),
        )
        self.grants.append(
            roles.assign(
                f"{name}-used",
                site,
                self,
                role=roles.KEY_ENCRYPTION_USER,
                scope=self.scope,
                principal=self.identity.principal_id,
                kept=site.environment.keys.keep,
            )
        )
        self.disks = compute.DiskEncryptionSet(
            f"{name}-disk-encryption",
            resource_group_name=network.scope,
            disk_encryption_set_name=site.name("disks"),
            location=site.spec.region,
            encryption_type="EncryptionAtRestWithCustomerKey",
            identity=compute.EncryptionSetIdentityArgs(
                type="UserAssigned", user_assigned_identities=[self.identity.id]
            ),
            active_key=compute.KeyForDiskEncryptionSetArgs(key_url=self.uris[Purpose.DISKS]),
            rotation_to_latest_key_version_enabled=True,
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=self.grants,
                protect=site.environment.protect,
                retain_on_delete=site.environment.keys.keep,
            ),
        )


def keys(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Keys:
    """Make the keys that encrypt, one for each purpose, rotated; none where the cloud's own are wanted.

    Ids are keys' URIs with their version; that of disks is the disk encryption set's, which is what nodes name.
    """
    made = Keys("keys", site, network, opts)
    ids = dict(made.uris)
    if made.disks is not None:
        ids[Purpose.DISKS] = made.disks.id
    return provider.Keys(
        ids=ids,
        user=made.identity.id if made.identity is not None else None,
        grants=made.grants,
        component=made,
    )


def without_version(uri: pulumi.Output[str]) -> pulumi.Output[str]:
    """Return a key's URI by which its newest version is meant: what uses it rotates by itself."""
    return uri.apply(lambda text: text.rpartition("/")[0])


def vault_and_name(uri: pulumi.Output[str]) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Return the URI of the vault and the key's name: `https://<vault>/keys/<name>/<version>` taken apart."""
    return uri.apply(lambda text: text.partition("/keys/")[0]), uri.apply(lambda text: text.split("/")[-2])
