"""Workload identity on Google Cloud: a ServiceAccount's annotation names the service account that it acts as.

No key of any account is made. CI shows a token of its own issuer, which a workload identity pool exchanges; the pool
takes tokens of one subject alone. Permissions on the bucket hold for objects below a prefix: an object's resource name
begins with the bucket's, and whoever lists says below which prefix. That Cloud Storage's conditions know
`objectListPrefix` was seen in other people's bindings and access boundaries, not on a page of Google's.
"""

import json
from typing import Final

import pulumi
from pulumi_gcp import artifactregistry, iam, projects, serviceaccount, storage

from trihull_infra import naming, provider
from trihull_infra.environment import CiSpec
from trihull_infra.provider import Site
from trihull_infra.providers.gcp.bucket import CAPTURED
from trihull_infra.providers.gcp.keys import lasting_name

RELEASES: Final = "releases/"
ACT_AS: Final = "roles/iam.workloadIdentityUser"
READ: Final = "roles/storage.objectViewer"
ADD: Final = "roles/storage.objectCreator"  # makes objects; reads, replaces and deletes none
WRITE: Final = "roles/storage.objectUser"
PUSH: Final = "roles/artifactregistry.writer"
# Everything inside the project's clusters (not their own RBAC), nothing of the clusters themselves.
DEPLOY: Final = "roles/container.developer"
SUBJECT_IS: Final = "assertion.sub == "  # and then the subject, as CEL and JSON write it alike


class Identity(pulumi.ComponentResource):
    """The service accounts of serving and of CI, each with what its purpose needs; the router has and needs none."""

    def __init__(
        self,
        name: str,
        site: Site,
        base: provider.Base,
        cluster: provider.Cluster,
        registry: provider.Registry,
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
            role=READ,
            member=_member(self.serving),
            condition=_below(bucket, RELEASES, "releases"),
            # Version 0.1.0 gave the whole bucket; a permission cannot be narrowed, only given anew, which is left to
            # `pulumi up --replace` where such a site exists.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["condition"]),
        )
        self.captured = storage.BucketIAMMember(
            f"{name}-serving-captured",
            bucket=bucket.id,
            role=ADD,
            member=_member(self.serving),
            condition=_below(bucket, CAPTURED, "captured"),
            opts=child,
        )
        self.association = serviceaccount.IAMMember(
            f"{name}-serving-association",
            service_account_id=self.serving.name,
            role=ACT_AS,
            member=pulumi.Output.concat(
                "serviceAccount:", cluster.token_issuer, f"[{naming.NAMESPACE}/{naming.SERVING}]"
            ),
            # The workload pool exists once the project has its first cluster with workload identity.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster.component]),
        )
        self.ci: serviceaccount.Account | None = None
        self.ci_pool: iam.WorkloadIdentityPool | None = None
        self.ci_provider: iam.WorkloadIdentityPoolProvider | None = None
        self.ci_permissions: list[pulumi.CustomResource] = []
        self.deployer: dict[str, pulumi.Input[str]] = {}
        if site.environment.ci is not None:
            self._let_in(name, site, base, site.environment.ci, registry, bucket)
        self.register_outputs({"servingAccount": self.serving.email})

    def _let_in(
        self,
        name: str,
        site: Site,
        base: provider.Base,
        ci: CiSpec,
        registry: provider.Registry,
        bucket: provider.Bucket,
    ) -> None:
        child = pulumi.ResourceOptions(parent=self)
        account = serviceaccount.Account(
            f"{name}-ci", account_id=site.name("ci"), display_name=f"CI of {site.name()}", opts=child
        )
        pool = iam.WorkloadIdentityPool(
            f"{name}-ci-pool",
            workload_identity_pool_id=lasting_name(site),
            display_name=site.name(),
            # A deleted pool keeps its name for 30 days; another name would be another pool.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[base.network.component], ignore_changes=["workloadIdentityPoolId"]
            ),
        )
        issuer = iam.WorkloadIdentityPoolProvider(
            f"{name}-ci-provider",
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id="ci",
            attribute_mapping={"google.subject": "assertion.sub"},
            attribute_condition=f"{SUBJECT_IS}{json.dumps(ci.subject)}",
            # Without an audience of ours Google wants the provider's own name, which tokens for others do not have.
            oidc=iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=ci.issuer),
            opts=child,
        )
        member = _member(account)
        self.ci, self.ci_pool, self.ci_provider = account, pool, issuer
        self.ci_permissions = [
            serviceaccount.IAMMember(
                f"{name}-ci-association",
                service_account_id=account.name,
                role=ACT_AS,
                member=pulumi.Output.concat("principal://iam.googleapis.com/", pool.name, f"/subject/{ci.subject}"),
                opts=child,
            ),
            artifactregistry.RepositoryIamMember(
                f"{name}-ci-images",
                repository=registry.id,
                location=site.spec.region,
                role=PUSH,
                member=member,
                opts=child,
            ),
            storage.BucketIAMMember(
                f"{name}-ci-releases",
                bucket=bucket.id,
                role=WRITE,
                member=member,
                condition=_below(bucket, RELEASES, "releases"),
                opts=child,
            ),
            projects.IAMMember(
                f"{name}-ci-cluster", project=base.network.scope, role=DEPLOY, member=member, opts=child
            ),
        ]
        self.deployer = {"workload_identity_provider": issuer.name, "service_account": account.email}


def _member(account: serviceaccount.Account) -> pulumi.Output[str]:
    return pulumi.Output.concat("serviceAccount:", account.email)


def _below(bucket: provider.Bucket, prefix: str, title: str) -> storage.BucketIAMMemberConditionArgs:
    """Return the condition of objects below a prefix, and of listing them."""
    listed = f'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("{prefix}")'
    return storage.BucketIAMMemberConditionArgs(
        title=title,
        expression=pulumi.Output.concat(
            'resource.name.startsWith("projects/_/buckets/', bucket.id, f'/objects/{prefix}") || {listed}'
        ),
    )


def identity(
    site: Site,
    base: provider.Base,
    cluster: provider.Cluster,
    registry: provider.Registry,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind ServiceAccounts, and CI, to identities of the cloud that hold the least that each purpose needs."""
    made = Identity("identity", site, base, cluster, registry, bucket, opts)
    annotations = {"annotations.iam.gke.io/gcp-service-account": made.serving.email}
    return provider.Identity(
        service_accounts={"serving": annotations, "router": {}}, deployer=made.deployer, component=made
    )
