"""Identities on Azure: managed identities that trust an issuer's word for a ServiceAccount or a CI job; no key."""

import pulumi
from pulumi_azure_native import authorization, managedidentity

from trihull_infra import naming, provider
from trihull_infra.environment import CiSpec
from trihull_infra.provider import Base, Site
from trihull_infra.providers.azure import roles

AUDIENCE = "api://AzureADTokenExchange"
RELEASES, CAPTURED = "releases/", "captured/"
WRITER = "identity-writer"  # the logical name of the role, from which its id follows


class Identity(pulumi.ComponentResource):
    """The identities of serving and of CI, what each may do, and the role that writes blobs and nothing else."""

    def __init__(
        self,
        name: str,
        site: Site,
        base: Base,
        cluster: provider.Cluster,
        registry: provider.Registry,
        bucket: provider.Bucket,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:identity:Identity", name, None, opts)
        self.writer = self._writer(name, site, base)
        self.serving = self._identity(f"{name}-serving", site, base, "serving")
        self.permissions = roles.assign(
            f"{name}-serving-permissions",
            site,
            self,
            role=roles.BLOB_READER,
            scope=bucket.id,
            principal=self.serving.principal_id,
            condition=roles.reading_below(RELEASES),
        )
        self.captures = self._writes(f"{name}-serving-captures", site, bucket, self.serving, CAPTURED)
        self.association = managedidentity.FederatedIdentityCredential(
            f"{name}-serving-association",
            resource_group_name=base.network.scope,
            resource_name_=self.serving.name,
            federated_identity_credential_resource_name=naming.SERVING,
            issuer=cluster.token_issuer,
            subject=f"system:serviceaccount:{naming.NAMESPACE}:{naming.SERVING}",
            audiences=[AUDIENCE],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ci: managedidentity.UserAssignedIdentity | None = None
        self.ci_association: managedidentity.FederatedIdentityCredential | None = None
        self.ci_permissions: list[authorization.RoleAssignment] = []
        if site.environment.ci is not None:
            self.ci = self._identity(f"{name}-ci", site, base, "ci")
            self._let_ci(f"{name}-ci", site, base, site.environment.ci, self.ci)
            self._permit(f"{name}-ci", site, self.ci, cluster, registry, bucket)
        self.register_outputs({"servingClientId": self.serving.client_id})

    def _identity(self, name: str, site: Site, base: Base, part: str) -> managedidentity.UserAssignedIdentity:
        return managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=base.network.scope,
            resource_name_=site.name(part),
            location=site.spec.region,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _writer(self, name: str, site: Site, base: Base) -> authorization.RoleDefinition:
        """Make the role that writes blobs: Azure's own that do also read, delete, and manage the container itself."""
        group = base.network.scope.apply(lambda group: f"/subscriptions/{site.spec.account}/resourceGroups/{group}")
        return authorization.RoleDefinition(
            f"{name}-writer",
            role_definition_id=roles.stable_uuid(site, WRITER),
            role_name=f"{site.name()} blob writer {site.global_name[-5:]}",  # unique in a tenant
            description="Writes blobs, and neither reads, lists nor deletes them.",
            scope=group,
            assignable_scopes=[group],
            permissions=[
                authorization.PermissionArgs(
                    actions=[], not_actions=[], data_actions=list(roles.WRITE), not_data_actions=[]
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _writes(
        self,
        name: str,
        site: Site,
        bucket: provider.Bucket,
        identity: managedidentity.UserAssignedIdentity,
        prefix: str,
    ) -> authorization.RoleAssignment:
        return roles.assign(
            name,
            site,
            self,
            role=roles.stable_uuid(site, WRITER),
            scope=bucket.id,
            principal=identity.principal_id,
            condition=roles.writing_below(prefix),
            after=[self.writer],
        )

    def _let_ci(
        self, name: str, site: Site, base: Base, ci: CiSpec, identity: managedidentity.UserAssignedIdentity
    ) -> None:
        self.ci_association = managedidentity.FederatedIdentityCredential(
            f"{name}-association",
            resource_group_name=base.network.scope,
            resource_name_=identity.name,
            federated_identity_credential_resource_name="ci",
            issuer=ci.issuer,
            subject=ci.subject,
            audiences=[AUDIENCE],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _permit(
        self,
        name: str,
        site: Site,
        identity: managedidentity.UserAssignedIdentity,
        cluster: provider.Cluster,
        registry: provider.Registry,
        bucket: provider.Bucket,
    ) -> None:
        """Let CI push images and releases, and administer inside the cluster; nothing of the cloud itself."""
        wanted: dict[str, tuple[str, pulumi.Input[str], str | None]] = {
            "pushes": (roles.ACR_PUSH, registry.id, None),
            "reads-releases": (roles.BLOB_READER, bucket.id, roles.reading_below(RELEASES)),
            "gets-credentials": (roles.CLUSTER_USER, cluster.id, None),
            "administers": (roles.CLUSTER_ADMINISTRATOR, cluster.id, None),
        }
        self.ci_permissions = [
            roles.assign(
                f"{name}-{part}",
                site,
                self,
                role=role,
                scope=scope,
                principal=identity.principal_id,
                condition=condition,
            )
            for part, (role, scope, condition) in wanted.items()
        ]
        self.ci_permissions.append(self._writes(f"{name}-writes-releases", site, bucket, identity, RELEASES))


def identity(
    site: Site,
    base: Base,
    cluster: provider.Cluster,
    registry: provider.Registry,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind ServiceAccounts, and CI, to identities of the cloud that hold the least that each purpose needs."""
    made = Identity("identity", site, base, cluster, registry, bucket, opts)
    needs: dict[str, pulumi.Input[str]] = {
        "annotations.azure.workload.identity/client-id": made.serving.client_id,
        "labels.azure.workload.identity/use": "true",  # on the pods, too
    }
    deployer: dict[str, pulumi.Input[str]] = {}
    if made.ci is not None:
        deployer = {
            "client_id": made.ci.client_id,
            "tenant_id": made.ci.tenant_id,
            "subscription_id": site.spec.account,
        }
    return provider.Identity(
        service_accounts={"serving": needs, "router": {}},
        deployer=deployer,
        component=made,
    )
