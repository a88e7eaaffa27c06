"""Workload identity on Azure: the cluster's issuer vouches for a ServiceAccount towards a managed identity."""

import pulumi
from pulumi_azure_native import managedidentity

from trihull_infra import naming, provider
from trihull_infra.provider import Site
from trihull_infra.providers.azure import roles


class Identity(pulumi.ComponentResource):
    """The managed identity of serving: it reads the bucket, and nothing else."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        cluster: provider.Cluster,
        bucket: provider.Bucket,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:identity:Identity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.serving = managedidentity.UserAssignedIdentity(
            f"{name}-serving",
            resource_group_name=network.scope,
            resource_name_=site.name("serving"),
            location=site.spec.region,
            tags=site.labels,
            opts=child,
        )
        self.permissions = roles.assign(
            f"{name}-serving-permissions",
            site,
            self,
            role=roles.BLOB_READER,
            scope=bucket.id,
            principal=self.serving.principal_id,
        )
        self.association = managedidentity.FederatedIdentityCredential(
            f"{name}-serving-association",
            resource_group_name=network.scope,
            resource_name_=self.serving.name,
            federated_identity_credential_resource_name=naming.SERVING,
            issuer=cluster.token_issuer,
            subject=f"system:serviceaccount:{naming.NAMESPACE}:{naming.SERVING}",
            audiences=["api://AzureADTokenExchange"],
            opts=child,
        )
        self.register_outputs({"servingClientId": self.serving.client_id})


def identity(
    site: Site,
    network: provider.Network,
    cluster: provider.Cluster,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind the ServiceAccounts to identities of the cloud that hold the least that each purpose needs."""
    made = Identity("identity", site, network, cluster, bucket, opts)
    needs: dict[str, pulumi.Input[str]] = {
        "annotations.azure.workload.identity/client-id": made.serving.client_id,
        "labels.azure.workload.identity/use": "true",  # on the pods, too
    }
    return provider.Identity(service_accounts={"serving": needs, "router": {}}, component=made)
