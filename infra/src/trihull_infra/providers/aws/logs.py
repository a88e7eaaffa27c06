"""Logs on AWS: a bucket for access logs and the audit trail, that trail, and the VPC's flow logs in CloudWatch."""

import pulumi
from pulumi_aws import cloudtrail, cloudwatch, ec2, iam, s3

from trihull_infra import provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.spec import AwsSpec

AUDIT_PREFIX = "audit"
ACCESS_PREFIX = "access"


class Logs(pulumi.ComponentResource):
    """The log bucket with everything that makes it private, the trail, and where connections are logged."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        keys: provider.Keys,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:logs:Logs", name, None, opts)
        assert isinstance(site.spec, AwsSpec)
        self._bucket(name, site)
        self._trail(name, site, keys)
        # Flow logs of a network that is there already are its owner's.
        if site.environment.network.flow_logs and site.spec.existing.network is None:
            self._connections(name, site, network, keys)
        self.register_outputs({"bucket": self.bucket.bucket})

    def _bucket(self, name: str, site: Site) -> None:
        """Make the bucket; without versions, as what is written there is never changed.

        It is encrypted with S3's own keys, since whether access logs are delivered into a bucket that KMS encrypts is
        disputed (aws/aws-cdk issue 23513 and pull request 25350, read on 2026-11-24). The trail's files are encrypted
        with the own key all the same, by the trail.
        """
        child = pulumi.ResourceOptions(parent=self)
        self.bucket = s3.Bucket(
            f"{name}-bucket",
            bucket=f"{site.global_name}-logs",
            force_destroy=not site.environment.protect,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=site.environment.protect),
        )
        self.public_access_block = s3.BucketPublicAccessBlock(
            f"{name}-public-access-block",
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        self.ownership = s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.bucket.bucket,
            rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        default = s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256"
        )
        self.encryption = s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.bucket,
            rules=[s3.BucketServerSideEncryptionConfigurationRuleArgs(apply_server_side_encryption_by_default=default)],
            opts=child,
        )
        self.lifecycle = s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.bucket,
            rules=[
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="retention",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(
                        days=site.environment.retention.logs_days
                    ),
                    abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=7
                    ),
                )
            ],
            opts=child,
        )
        self.policy = s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=bucket_policy(site),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.public_access_block]),
        )

    def _trail(self, name: str, site: Site, keys: provider.Keys) -> None:
        """Record who did what to the account's resources, and to the objects of the site's bucket.

        Pushes and pulls of images are management events of ECR. Those of KMS and of RDS's data service are left out:
        they are the only sources that a trail lets out, and KMS's are one for every object read.
        """
        objects = f"{policies.bucket_arn(site.spec.region, site.global_name)}/"
        field = cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs
        self.trail = cloudtrail.Trail(
            f"{name}-trail",
            name=site.name("audit"),
            s3_bucket_name=self.bucket.bucket,
            s3_key_prefix=AUDIT_PREFIX,
            kms_key_id=keys.ids.get(Purpose.LOGS),
            enable_log_file_validation=True,
            advanced_event_selectors=[
                cloudtrail.TrailAdvancedEventSelectorArgs(
                    name="management",
                    field_selectors=[
                        field(field="eventCategory", equals=["Management"]),
                        field(field="eventSource", not_equals=["kms.amazonaws.com", "rdsdata.amazonaws.com"]),
                    ],
                ),
                cloudtrail.TrailAdvancedEventSelectorArgs(
                    name="objects",
                    field_selectors=[
                        field(field="eventCategory", equals=["Data"]),
                        field(field="resources.type", equals=["AWS::S3::Object"]),
                        field(field="resources.ARN", starts_withs=[objects]),
                    ],
                ),
            ],
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy, *keys.grants]),
        )

    def _connections(self, name: str, site: Site, network: provider.Network, keys: provider.Keys) -> None:
        child = pulumi.ResourceOptions(parent=self)
        self.connections = cloudwatch.LogGroup(
            f"{name}-connections",
            name=f"/{site.name()}/connections",
            retention_in_days=site.environment.retention.logs_days,
            kms_key_id=keys.ids.get(Purpose.LOGS),
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(keys.grants)),
        )
        self.connections_role = iam.Role(
            f"{name}-connections-role",
            name=site.name("connections"),
            assume_role_policy=policies.service_trust("vpc-flow-logs.amazonaws.com", account=site.spec.account),
            tags=site.labels,
            opts=child,
        )
        self.connections_permissions = iam.RolePolicy(
            f"{name}-connections-permissions",
            name="write-logs",
            role=self.connections_role.name,
            policy=self.connections.arn.apply(_write),
            opts=child,
        )
        self.flow_log = ec2.FlowLog(
            f"{name}-flow-log",
            vpc_id=network.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=self.connections.arn,
            iam_role_arn=self.connections_role.arn,
            tags={**site.labels, "Name": site.name("connections")},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.connections_permissions]),
        )


def _write(group: str) -> str:
    streams = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return policies.document(
        policies.allow(streams, [group, f"{group}:*"]), policies.allow(["logs:DescribeLogGroups"], ["*"])
    )


def bucket_policy(site: Site) -> str:
    """Return who writes to the log bucket: S3 what happens to the site's bucket, CloudTrail what its trail records."""
    region, account = site.spec.region, site.spec.account
    arn = policies.bucket_arn(region, f"{site.global_name}-logs")
    source = policies.bucket_arn(region, site.global_name)
    trail = f"arn:{policies.partition(region)}:cloudtrail:{region}:{account}:trail/{site.name('audit')}"
    by_trail = {"StringEquals": {"aws:SourceArn": trail}}
    return policies.document(
        policies.tls_only(arn),
        policies.recent_tls_only(arn),
        {
            "Sid": "AccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{arn}/{ACCESS_PREFIX}/{site.global_name}/*",
            "Condition": {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": account}},
        },
        {
            "Sid": "TrailSees",
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "s3:GetBucketAcl",
            "Resource": arn,
            "Condition": by_trail,
        },
        {
            "Sid": "TrailWrites",
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{arn}/{AUDIT_PREFIX}/AWSLogs/{account}/*",
            "Condition": {"StringEquals": {"aws:SourceArn": trail, "s3:x-amz-acl": "bucket-owner-full-control"}},
        },
    )


def logs(site: Site, network: provider.Network, keys: provider.Keys, opts: pulumi.ResourceOptions) -> provider.Logs:
    """Make the place where logs are kept, with its retention, and let connections be logged there."""
    made = Logs("logs", site, network, keys, opts)
    return provider.Logs(destination=made.bucket.bucket, component=made)
