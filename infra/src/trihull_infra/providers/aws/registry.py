"""Registry on AWS: one ECR repository, its tags immutable, scanned on push, with an own key."""

import json

import pulumi
from pulumi_aws import ecr, kms

from trihull_infra import naming, provider
from trihull_infra.provider import Site


class Registry(pulumi.ComponentResource):
    """ECR repository with its key and lifecycle. Nodes of the account pull by their role's policy (pools.py)."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        guarded = pulumi.ResourceOptions(parent=self, protect=site.environment.protect)
        self.key = kms.Key(
            f"{name}-key",
            description=f"Images of {site.name()}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            tags=site.labels,
            opts=guarded,
        )
        self.alias = kms.Alias(
            f"{name}-key-alias", name=f"alias/{site.name('images')}", target_key_id=self.key.key_id, opts=child
        )
        self.repository = ecr.Repository(
            f"{name}-repository",
            name=f"{site.name()}/{naming.IMAGES}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=self.key.arn)
            ],
            force_delete=not site.environment.protect,
            tags=site.labels,
            opts=guarded,
        )
        self.lifecycle = ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=self.repository.name,
            policy=json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "description": "untagged images are leftovers of pushes that failed",
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "sinceImagePushed",
                                "countUnit": "days",
                                "countNumber": 14,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            opts=child,
        )
        self.register_outputs({"address": self.repository.repository_url})


def registry(
    site: Site, network: provider.Network, pools: provider.Pools, opts: pulumi.ResourceOptions
) -> provider.Registry:
    """Make the image repository and let the nodes pull from it."""
    made = Registry("registry", site, opts)
    return provider.Registry(address=made.repository.repository_url, component=made)
