"""Workload identity on AWS: an EKS pod identity association gives a ServiceAccount a role; nothing is annotated."""

import json
from collections.abc import Sequence

import pulumi
from pulumi_aws import eks, iam

from trihull_infra import naming, provider
from trihull_infra.provider import Site


class Identity(pulumi.ComponentResource):
    """The role of serving: it reads the bucket, and nothing else."""

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
        self.serving = iam.Role(
            f"{name}-serving",
            name=site.name("serving"),
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "pods.eks.amazonaws.com"},
                            "Action": ["sts:AssumeRole", "sts:TagSession"],
                            "Condition": {"StringEquals": {"aws:SourceAccount": site.spec.account}},
                        }
                    ],
                }
            ),
            tags=site.labels,
            opts=child,
        )
        assert bucket.key is not None, "an S3 bucket of ours has its own key"
        self.permissions = iam.RolePolicy(
            f"{name}-serving-permissions",
            name="read-bucket",
            role=self.serving.name,
            policy=pulumi.Output.all(bucket.id, bucket.key).apply(_read),
            opts=child,
        )
        self.association = eks.PodIdentityAssociation(
            f"{name}-serving-association",
            cluster_name=cluster.token_issuer,
            namespace=naming.NAMESPACE,
            service_account=naming.SERVING,
            role_arn=self.serving.arn,
            tags=site.labels,
            opts=child,
        )
        self.register_outputs({"servingRole": self.serving.arn})


def _read(arns: Sequence[str]) -> str:
    bucket, key = arns
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]},
                {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{bucket}/*"]},
                {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [key]},
            ],
        }
    )


def identity(
    site: Site,
    network: provider.Network,
    cluster: provider.Cluster,
    bucket: provider.Bucket,
    opts: pulumi.ResourceOptions,
) -> provider.Identity:
    """Bind the ServiceAccounts to identities of the cloud that hold the least that each purpose needs."""
    made = Identity("identity", site, cluster, bucket, opts)
    return provider.Identity(service_accounts={"serving": {}, "router": {}}, component=made)
