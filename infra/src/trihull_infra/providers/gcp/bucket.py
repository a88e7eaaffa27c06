"""Bucket on Google Cloud: Cloud Storage, versions, no public access, permissions by identity only."""

import pulumi
from pulumi_gcp import storage

from trihull_infra import provider
from trihull_infra.provider import OLD_VERSIONS_DAYS, Site


class Bucket(pulumi.ComponentResource):
    """Cloud Storage bucket; what S3 has as resources of their own are its arguments."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:bucket:Bucket", name, None, opts)
        self.bucket = storage.Bucket(
            f"{name}-bucket",
            name=site.global_name,
            location=site.spec.region.upper(),  # as the service gives it back
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=storage.BucketVersioningArgs(enabled=True),
            lifecycle_rules=[
                storage.BucketLifecycleRuleArgs(
                    action=storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                    condition=storage.BucketLifecycleRuleConditionArgs(age=7),
                ),
                storage.BucketLifecycleRuleArgs(
                    action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
                    condition=storage.BucketLifecycleRuleConditionArgs(
                        days_since_noncurrent_time=OLD_VERSIONS_DAYS, with_state="ARCHIVED"
                    ),
                ),
            ],
            force_destroy=not site.environment.protect,
            labels=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[network.component], protect=site.environment.protect),
        )
        self.register_outputs({"name": self.bucket.name})


def bucket(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Bucket:
    """Make the bucket of evidence: private, versioned, encrypted."""
    made = Bucket("bucket", site, network, opts)
    return provider.Bucket(
        address=pulumi.Output.concat("gs://", made.bucket.name), id=made.bucket.name, key=None, component=made
    )
