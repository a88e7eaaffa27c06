"""Identities on AWS: an EKS pod identity association gives a ServiceAccount a role; nothing is annotated.

CI becomes a role by a token of its own issuer (OIDC), which that role trusts for one subject. No key is ever made.
"""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_aws import eks, iam

from trihull_infra import naming, provider
from trihull_infra.environment import CiSpec
from trihull_infra.provider import Base, Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.bucket import CAPTURED
from trihull_infra.providers.aws.cluster import administrator
from trihull_infra.providers.aws.pools import DISCOVERED_BY
from trihull_infra.providers.aws.spec import AwsSpec

RELEASES: Final = "releases/"
AUTOSCALER: Final = "node-autoscaler"
STS: Final = "sts.amazonaws.com"  # the audience of tokens for AWS
# Source: kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md @062f28a624a2, on 2026-11-24; which of
# them IAM can hold to a resource is general knowledge.
SEES: Final = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
)
SCALES: Final = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")
PULLS: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSHES: Final = (
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


class Identity(pulumi.ComponentResource):
    """The roles of serving, of the nodes' autoscaler and of CI, each with the least that it needs."""

    def __init__(
        self,
        name: str,
        site: Site,
        cluster: provider.Cluster,
        registry: provider.Registry,
        bucket: provider.Bucket,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:identity:Identity", name, None, opts)
        self.deployer: iam.Role | None = None
        self._serving(name, site, cluster, bucket)
        self._autoscaler(name, site, cluster)
        if site.environment.ci is not None:
            self._deployer(name, site, site.environment.ci, cluster, registry, bucket)
        self.register_outputs({"servingRole": self.serving.arn})

    def _serving(self, name: str, site: Site, cluster: provider.Cluster, bucket: provider.Bucket) -> None:
        """Let serving read releases and write captured data, and neither list, read nor delete anything else."""
        self.serving = self._pods_role(f"{name}-serving", site, "serving")
        self.permissions = iam.RolePolicy(
            f"{name}-serving-permissions",
            name="read-bucket",  # of version 0.1.0; IAM knows a policy of a role by its name
            role=self.serving.name,
            policy=bucket.id.apply(_serving),
            opts=pulumi.ResourceOptions(parent=self),
        )
        if bucket.key is not None:
            self.key_permissions = self._key(f"{name}-serving-key", site, self.serving, bucket.key)
        self.association = self._associate(
            f"{name}-serving-association", site, cluster, naming.NAMESPACE, naming.SERVING, self.serving
        )

    def _autoscaler(self, name: str, site: Site, cluster: provider.Cluster) -> None:
        """Let the autoscaler, which runs in the cluster, see all groups and move those of this cluster."""
        assert isinstance(site.spec, AwsSpec)
        owner = site.spec.existing.cluster or site.name()
        place = f"{site.spec.region}:{site.spec.account}"
        groups = f"arn:{policies.partition(site.spec.region)}:eks:{place}:nodegroup/{owner}/*"
        tagged = {f"aws:ResourceTag/{DISCOVERED_BY}/{owner}": "owned"}
        self.autoscaler = self._pods_role(f"{name}-autoscaler", site, "autoscaler")
        self.autoscaler_permissions = iam.RolePolicy(
            f"{name}-autoscaler-permissions",
            name="scale-groups",
            role=self.autoscaler.name,
            policy=policies.document(
                policies.allow(SEES, ["*"]),
                policies.allow(["eks:DescribeNodegroup"], [groups]),
                policies.allow(SCALES, ["*"], StringEquals=tagged),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.autoscaler_association = self._associate(
            f"{name}-autoscaler-association",
            site,
            cluster,
            naming.SYSTEM,
            naming.NODE_AUTOSCALER,
            self.autoscaler,
        )

    def _deployer(
        self,
        name: str,
        site: Site,
        ci: CiSpec,
        cluster: provider.Cluster,
        registry: provider.Registry,
        bucket: provider.Bucket,
    ) -> None:
        """Let CI push images, write releases and administer inside the cluster, and not change infrastructure."""
        assert isinstance(site.spec, AwsSpec)
        child = pulumi.ResourceOptions(parent=self)
        issuer = ci.issuer.removeprefix("https://")
        trusted = site.spec.existing.ci_issuer
        made: list[pulumi.Resource] = []
        if trusted is None:
            # An account has one provider for an issuer: where another stack has made it, it is named as existing.
            self.issuer = iam.OpenIdConnectProvider(
                f"{name}-issuer", url=ci.issuer, client_id_lists=[STS], tags=site.labels, opts=child
            )
            trusted = f"arn:{policies.partition(site.spec.region)}:iam::{site.spec.account}:oidc-provider/{issuer}"
            made = [self.issuer]
        self.deployer = iam.Role(
            f"{name}-deployer",
            name=site.name("deployer"),
            assume_role_policy=policies.document(
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": trusted},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": {f"{issuer}:aud": STS, f"{issuer}:sub": ci.subject}},
                }
            ),
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=made),
        )
        self.deployer_permissions = iam.RolePolicy(
            f"{name}-deployer-permissions",
            name="deploy",
            role=self.deployer.name,
            policy=pulumi.Output.all(bucket.id, registry.id, cluster.id).apply(_deploy),
            opts=child,
        )
        if bucket.key is not None:
            self.deployer_key_permissions = self._key(f"{name}-deployer-key", site, self.deployer, bucket.key)
        access = administrator(
            f"{name}-deployer-access",
            site,
            cluster.name,
            self.deployer.arn,
            pulumi.ResourceOptions(parent=self, depends_on=[cluster.component]),
        )
        self.deployer_access, self.deployer_access_policy = access.entry, access.policy

    def _pods_role(self, name: str, site: Site, purpose: str) -> iam.Role:
        return iam.Role(
            name,
            name=site.name(purpose),
            assume_role_policy=policies.service_trust(
                "pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession", account=site.spec.account
            ),
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _key(self, name: str, site: Site, role: iam.Role, key: pulumi.Output[str]) -> iam.RolePolicy:
        """Let a role use the bucket's key, through S3 alone."""
        through = {"kms:ViaService": f"s3.{site.spec.region}.amazonaws.com"}
        return iam.RolePolicy(
            name,
            name="use-key",
            role=role.name,
            policy=key.apply(
                lambda arn: policies.document(
                    policies.allow(["kms:Decrypt", "kms:GenerateDataKey"], [arn], StringEquals=through)
                )
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _associate(
        self, name: str, site: Site, cluster: provider.Cluster, namespace: str, account: str, role: iam.Role
    ) -> eks.PodIdentityAssociation:
        return eks.PodIdentityAssociation(
            name,
            cluster_name=cluster.token_issuer,
            namespace=namespace,
            service_account=account,
            role_arn=role.arn,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )


def _serving(bucket: str) -> str:
    return policies.document(
        policies.allow(["s3:ListBucket"], [bucket], StringLike={"s3:prefix": f"{RELEASES}*"}),
        policies.allow(["s3:GetObject"], [f"{bucket}/{RELEASES}*"]),
        policies.allow(["s3:PutObject"], [f"{bucket}/{CAPTURED}*"]),
    )


def _deploy(arns: Sequence[str]) -> str:
    bucket, registry, cluster = arns
    return policies.document(
        policies.allow(["ecr:GetAuthorizationToken"], ["*"]),
        policies.allow([*PULLS, *PUSHES], [registry]),
        policies.allow(["s3:ListBucket"], [bucket], StringLike={"s3:prefix": f"{RELEASES}*"}),
        policies.allow(["s3:GetObject", "s3:PutObject"], [f"{bucket}/{RELEASES}*"]),
        policies.allow(["eks:DescribeCluster"], [cluster]),
    )


def identity(
    site: Site,
    base: Base,
    cluster: provider.Cluster,
    registry: provider.Registry,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind ServiceAccounts, and CI, to identities of the cloud that hold the least that each purpose needs."""
    made = Identity("identity", site, cluster, registry, bucket, opts)
    deployer: dict[str, pulumi.Input[str]] = (
        {} if made.deployer is None else {"role": made.deployer.arn, "region": site.spec.region}
    )
    return provider.Identity(
        service_accounts={"serving": {}, "router": {}, AUTOSCALER: {}}, deployer=deployer, component=made
    )
