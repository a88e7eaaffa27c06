"""Bucket on AWS: S3 with an own key, versions, no public access, no plain HTTP. Each of these is its own resource."""

import json

import pulumi
from pulumi_aws import kms, s3

from trihull_infra import provider
from trihull_infra.provider import OLD_VERSIONS_DAYS, Site


class Bucket(pulumi.ComponentResource):
    """S3 bucket and everything that makes it private."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        guarded = pulumi.ResourceOptions(parent=self, protect=site.environment.protect)
        self.key = kms.Key(
            f"{name}-key",
            description=f"Evidence and captured data of {site.name()}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            tags=site.labels,
            opts=guarded,
        )
        self.alias = kms.Alias(
            f"{name}-key-alias", name=f"alias/{site.name('bucket')}", target_key_id=self.key.key_id, opts=child
        )
        self.bucket = s3.Bucket(
            f"{name}-bucket",
            bucket=site.global_name,
            force_destroy=not site.environment.protect,
            tags=site.labels,
            opts=guarded,
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
        default = s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="aws:kms", kms_master_key_id=self.key.arn
        )
        self.encryption = s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.bucket,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default, bucket_key_enabled=True
                )
            ],
            opts=child,
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
                        noncurrent_days=OLD_VERSIONS_DAYS
                    ),
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.versioning]),
        )
        self.policy = s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=self.bucket.arn.apply(_tls_only),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.public_access_block]),
        )
        self.register_outputs({"name": self.bucket.bucket})


def _tls_only(arn: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )


def bucket(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Make the bucket of evidence: private, versioned, encrypted."""
    made = Bucket("bucket", site, opts)
    return provider.Bucket(
        address=pulumi.Output.concat("s3://", made.bucket.bucket),
        id=made.bucket.arn,
        key=made.key.arn,
        component=made,
    )
