"""Bucket on AWS: S3 with an own key, versions, no public access, no plain HTTP. Each of these is its own resource."""

import pulumi
from pulumi_aws import s3

from trihull_infra import provider
from trihull_infra.provider import Base, Purpose, Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.logs import ACCESS_PREFIX

CAPTURED = "captured/"


class Bucket(pulumi.ComponentResource):
    """S3 bucket and everything that makes it private."""

    def __init__(self, name: str, site: Site, base: Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        retention = site.environment.retention
        self.bucket = s3.Bucket(
            f"{name}-bucket",
            bucket=site.global_name,
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
        self.versioning = s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket.bucket,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        key = base.keys.ids.get(Purpose.DATA)
        default = s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="aws:kms" if key is not None else "AES256", kms_master_key_id=key
        )
        self.encryption = s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.bucket,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default, bucket_key_enabled=key is not None
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(base.keys.grants)),
        )
        self.lifecycle = s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.bucket,
            rules=[
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="leftovers",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=7
                    ),
                    noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=retention.old_versions_days
                    ),
                ),
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="captured",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=CAPTURED),
                    expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=retention.captured_data_days),
                ),
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.versioning]),
        )
        self.policy = s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=self.bucket.arn.apply(_tls),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.public_access_block]),
        )
        self.logging = s3.BucketLogging(
            f"{name}-logging",
            bucket=self.bucket.bucket,
            target_bucket=base.logs.destination,
            target_prefix=f"{ACCESS_PREFIX}/{site.global_name}/",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[base.logs.component]),
        )
        self.register_outputs({"name": self.bucket.bucket})


def _tls(arn: str) -> str:
    return policies.document(policies.tls_only(arn), policies.recent_tls_only(arn))


def bucket(site: Site, base: Base, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Make the bucket of evidence and captured data: private, versioned, encrypted, its access logged."""
    made = Bucket("bucket", site, base, opts)
    return provider.Bucket(
        address=pulumi.Output.concat("s3://", made.bucket.bucket),
        id=pulumi.Output.from_input(policies.bucket_arn(site.spec.region, site.global_name)),
        key=base.keys.ids.get(Purpose.DATA),
        component=made,
    )
