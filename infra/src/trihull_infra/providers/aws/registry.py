"""Registry on AWS: one ECR repository, its tags immutable, scanned on push, with an own key, audited by the trail."""

import json

import pulumi
from pulumi_aws import ecr

from trihull_infra import naming, provider
from trihull_infra.provider import Base, Purpose, Site
from trihull_infra.providers.aws.spec import AwsSpec


class Registry(pulumi.ComponentResource):
    """ECR repository with its lifecycle, or one that is there. Nodes of the account pull by their role's policy."""

    def __init__(self, name: str, site: Site, base: Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        assert isinstance(site.spec, AwsSpec)
        if site.spec.existing.registry is None:
            self._make(name, site, base)
        else:
            self._find(site.spec.existing.registry)
        self.register_outputs({"address": self.address})

    def _find(self, existing: str) -> None:
        """Use a repository as it is: its key, scans and lifecycle are its owner's."""
        found = ecr.get_repository_output(name=existing, opts=pulumi.InvokeOutputOptions(parent=self))
        self.address, self.arn = found.repository_url, found.arn

    def _make(self, name: str, site: Site, base: Base) -> None:
        key = base.keys.ids.get(Purpose.IMAGES)
        self.repository = ecr.Repository(
            f"{name}-repository",
            name=f"{site.name()}/{naming.IMAGES}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key)]
            if key is not None
            else None,
            force_delete=not site.environment.protect,
            tags=site.labels,
            # ECR fixes a repository's encryption when it is made: another would be another repository, without images.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=site.environment.protect,
                depends_on=list(base.keys.grants),
                ignore_changes=["encryptionConfigurations"],
            ),
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
                                "countNumber": site.environment.retention.untagged_images_days,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.address, self.arn = self.repository.repository_url, self.repository.arn


def registry(site: Site, base: Base, pools: provider.Pools, opts: pulumi.ResourceOptions) -> provider.Registry:
    """Make the image repository, audited, and let the nodes pull from it."""
    made = Registry("registry", site, base, opts)
    return provider.Registry(address=made.address, id=made.arn, component=made)
