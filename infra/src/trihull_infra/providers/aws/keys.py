"""Keys on AWS: a KMS key for each purpose, rotated, whose policy lets in the account and the services that use it.

Unless `keys.keep` is false, a key is left where it is when nobody asks for it any more, with its policy: what it
encrypted is read by it. Whoever knows that there is nothing left of that schedules its end in KMS.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import kms

from trihull_infra import provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.aws.policies import Statement, document, partition
from trihull_infra.providers.aws.spec import AwsSpec


@dataclass(frozen=True)
class _Key:
    """What is said of a key; `before` is the component that had it in version 0.1.0 (logical name `<before>-key`)."""

    description: str
    alias: str
    before: str | None


KEYS: Final = {
    Purpose.SECRETS: _Key("Kubernetes secrets", "secrets", "cluster"),
    Purpose.IMAGES: _Key("Images", "images", "registry"),
    Purpose.DATA: _Key("Evidence and captured data", "bucket", "bucket"),
    Purpose.DISKS: _Key("Disks of nodes", "disks", None),
    Purpose.LOGS: _Key("Logs and audit trail", "logs", None),
}
USE: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")


class Keys(pulumi.ComponentResource):
    """The keys and their aliases; nothing where a key is there already, or where the cloud's own are wanted."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:keys:Keys", name, None, opts)
        assert isinstance(site.spec, AwsSpec)
        made = site.environment.keys.own and site.spec.existing.key is None
        self.keys = {purpose: self._key(name, site, purpose) for purpose in KEYS} if made else {}
        self.aliases = {purpose: self._alias(name, site, purpose) for purpose in self.keys}
        self.register_outputs({})

    def _key(self, name: str, site: Site, purpose: Purpose) -> kms.Key:
        said = KEYS[purpose]
        return kms.Key(
            f"{name}-{purpose}",
            description=f"{said.description} of {site.name()}",
            enable_key_rotation=True,
            rotation_period_in_days=site.environment.keys.rotation_days,
            deletion_window_in_days=30,  # the longest: what it encrypted can be read again until then
            policy=policy(site, purpose),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=site.environment.protect,
                retain_on_delete=site.environment.keys.keep,
                aliases=_moved(said.before, "key"),
            ),
        )

    def _alias(self, name: str, site: Site, purpose: Purpose) -> kms.Alias:
        said = KEYS[purpose]
        return kms.Alias(
            f"{name}-{purpose}-alias",
            name=f"alias/{site.name(said.alias)}",
            target_key_id=self.keys[purpose].key_id,
            opts=pulumi.ResourceOptions(parent=self, aliases=_moved(said.before, "key-alias")),
        )


def _moved(before: str | None, what: str) -> list[pulumi.Alias]:
    """Return where version 0.1.0 had a resource: a child of the component that used it."""
    if before is None:
        return []
    parent = pulumi.create_urn(before, f"trihull:{before}:{before.capitalize()}")
    return [pulumi.Alias(name=f"{before}-{what}", parent=parent)]


def policy(site: Site, purpose: Purpose) -> str:
    """Return who may use a key: whoever IAM lets in the account, and the services that the purpose needs.

    EKS, ECR and S3 use a key in the name of whoever calls them, or by a grant that they are given when the cluster or
    the repository is made, so secrets, images and data need no service here.
    """
    words = partition(site.spec.region)
    root = f"arn:{words}:iam::{site.spec.account}:root"
    administered = {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": "kms:*",
        "Resource": "*",
    }
    more = {Purpose.DISKS: _disks, Purpose.LOGS: _logs}.get(purpose)
    return document(administered, *(more(site, words) if more is not None else ()))


def _disks(site: Site, words: str) -> tuple[Statement, ...]:
    """Let Auto Scaling start machines with encrypted disks, as its user guide asks.

    Source: docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html, on 2026-11-24.
    Its role is made by AWS with an account's first group, and KMS refuses a policy that names a role which is not
    there: so it is told by a condition, which is not checked when the policy is put.
    """
    role = f"arn:{words}:iam::{site.spec.account}:role/aws-service-role/autoscaling.amazonaws.com/*"
    caller = {"StringEquals": {"kms:CallerAccount": site.spec.account}, "ArnLike": {"aws:PrincipalArn": role}}
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*"}
    return (
        {"Sid": "AutoScaling", **anybody, "Action": list(USE), "Condition": caller},
        {
            "Sid": "AutoScalingGrants",
            **anybody,
            "Action": ["kms:CreateGrant"],
            "Condition": {**caller, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )


def _logs(site: Site, words: str) -> tuple[Statement, ...]:
    """Let CloudWatch encrypt the log groups of this account and region, and CloudTrail what its trail writes."""
    place = f"{site.spec.region}:{site.spec.account}"
    trail = f"arn:{words}:cloudtrail:{place}:trail/{site.name('audit')}"
    return (
        {
            "Sid": "CloudWatchLogs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{site.spec.region}.amazonaws.com"},
            "Action": list(USE),
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:{words}:logs:{place}:log-group:*"}},
        },
        {
            "Sid": "CloudTrail",
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": ["kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceArn": trail}},
        },
    )


def keys(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Keys:
    """Make the keys that encrypt, one for each purpose, rotated; none where the cloud's own are wanted."""
    assert isinstance(site.spec, AwsSpec)
    made = Keys("keys", site, opts)
    ids = {purpose: key.arn for purpose, key in made.keys.items()}
    if site.environment.keys.own and site.spec.existing.key is not None:
        ids = {purpose: pulumi.Output.from_input(site.spec.existing.key) for purpose in Purpose}
    return provider.Keys(ids=ids, user=None, grants=(), component=made)
