"""Bucket on Google Cloud: Cloud Storage, versions, no public access, permissions by identity only.

Who reads and writes its objects is logged by the project's audit (logs.py). The bucket's own usage logs are not used:
they would need a second bucket in which a group of Google's outside the organisation writes.
"""

import pulumi
from pulumi_gcp import storage

from trihull_infra import provider
from trihull_infra.provider import Purpose, Site

CAPTURED = "captured/"  # what serving captured of requests


class Bucket(pulumi.ComponentResource):
    """Cloud Storage bucket; what S3 has as resources of their own are its arguments."""

    def __init__(self, name: str, site: Site, base: provider.Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        retention = site.environment.retention
        key = base.keys.ids.get(Purpose.DATA)
        self.bucket = storage.Bucket(
            f"{name}-bucket",
            name=site.global_name,
            location=site.spec.region.upper(),  # as the service gives it back
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=storage.BucketVersioningArgs(enabled=True),
            encryption=storage.BucketEncryptionArgs(default_kms_key_name=key) if key is not None else None,
            lifecycle_rules=[
                storage.BucketLifecycleRuleArgs(
                    action=storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                    condition=storage.BucketLifecycleRuleConditionArgs(age=7),
                ),
                storage.BucketLifecycleRuleArgs(
                    action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
                    condition=storage.BucketLifecycleRuleConditionArgs(
                        days_since_noncurrent_time=retention.old_versions_days, with_state="ARCHIVED"
                    ),
                ),
                storage.BucketLifecycleRuleArgs(
                    action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
                    condition=storage.BucketLifecycleRuleConditionArgs(
                        age=retention.captured_data_days, matches_prefixes=[CAPTURED], with_state="LIVE"
                    ),
                ),
            ],
            force_destroy=not site.environment.protect,
            labels=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Logged from its first object on, and its key may be used.
                depends_on=[base.network.component, base.logs.component, *base.keys.grants],
                protect=site.environment.protect,
            ),
        )
        self.register_outputs({"name": self.bucket.name})


def bucket(site: Site, base: provider.Base, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Make the bucket of evidence and captured data: private, versioned, encrypted, its access logged."""
    made = Bucket("bucket", site, base, opts)
    return provider.Bucket(
        address=pulumi.Output.concat("gs://", made.bucket.name),
        id=made.bucket.name,
        key=base.keys.ids.get(Purpose.DATA),
        component=made,
    )
