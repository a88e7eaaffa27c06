"""Workload identity on Google Cloud: a ServiceAccount's annotation names the service account that it acts as."""

import pulumi
from pulumi_gcp import serviceaccount, storage

from trihull_infra import naming, provider
from trihull_infra.provider import Site


class Identity(pulumi.ComponentResource):
    """The service account of serving: it reads the bucket, and nothing else."""

    def __init__(
        self,
        name: str,
        site: Site,
        cluster: provider.Cluster,
        bucket: provider.Bucket,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:identity:Identity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.serving = serviceaccount.Account(
            f"{name}-serving",
            account_id=site.name("serving"),
            display_name=f"Serving of {site.name()}",
            opts=child,
        )
        self.permissions = storage.BucketIAMMember(
            f"{name}-serving-permissions",
            bucket=bucket.id,
            role="roles/storage.objectViewer",
            member=pulumi.Output.concat("serviceAccount:", self.serving.email),
            opts=child,
        )
        self.association = serviceaccount.IAMMember(
            f"{name}-serving-association",
            service_account_id=self.serving.name,
            role="roles/iam.workloadIdentityUser",
            member=pulumi.Output.concat(
                "serviceAccount:", cluster.token_issuer, f"[{naming.NAMESPACE}/{naming.SERVING}]"
            ),
            # The workload pool exists once the project has its first cluster with workload identity.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster.component]),
        )
        self.register_outputs({"servingAccount": self.serving.email})


def identity(
    site: Site,
    network: provider.Network,
    cluster: provider.Cluster,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind the ServiceAccounts to identities of the cloud that hold the least that each purpose needs."""
    made = Identity("identity", site, cluster, bucket, opts)
    annotations = {"annotations.iam.gke.io/gcp-service-account": made.serving.email}
    return provider.Identity(service_accounts={"serving": annotations, "router": {}}, component=made)
