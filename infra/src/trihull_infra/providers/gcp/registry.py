"""Registry on Google Cloud: one Artifact Registry repository, its tags immutable, its images scanned.

It scans because the project does (`containerscanning` in network.py), and is audited with the project (logs.py).
"""

from typing import Final

import pulumi
from pulumi_gcp import artifactregistry

from trihull_infra import naming, provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.gcp.spec import GcpSpec

DAY_S: Final = 24 * 3600
PULL: Final = "roles/artifactregistry.reader"


class Registry(pulumi.ComponentResource):
    """Artifact Registry repository, its cleanup, and the nodes' right to pull."""

    def __init__(
        self,
        name: str,
        site: Site,
        base: provider.Base,
        pools: provider.Pools,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        assert isinstance(site.spec, GcpSpec)
        self.repository: artifactregistry.Repository | None = None
        given = site.spec.existing.registry
        if given is not None:
            found = artifactregistry.get_repository_output(
                repository_id=given,
                location=site.spec.region,
                project=site.spec.project,
                opts=pulumi.InvokeOutputOptions(parent=self),
            )
            self.repository_name, self.address = pulumi.Output.from_input(given), found.registry_uri
        else:
            self.repository = self._made(name, site, base)
            self.repository_name, self.address = self.repository.name, self.repository.registry_uri
        self.pull = artifactregistry.RepositoryIamMember(
            f"{name}-pull",
            repository=self.repository_name,
            location=site.spec.region,
            role=PULL,
            member=pulumi.Output.concat("serviceAccount:", pools.node_identity),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"address": self.address})

    def _made(self, name: str, site: Site, base: provider.Base) -> artifactregistry.Repository:
        return artifactregistry.Repository(
            f"{name}-repository",
            repository_id=site.name(),
            location=site.spec.region,
            format="DOCKER",
            docker_config=artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            kms_key_name=base.keys.ids.get(Purpose.IMAGES),
            vulnerability_scanning_config=artifactregistry.RepositoryVulnerabilityScanningConfigArgs(
                enablement_config="INHERITED"
            ),
            cleanup_policies=[
                # Untagged images are leftovers of pushes that failed.
                artifactregistry.RepositoryCleanupPolicyArgs(
                    id="leftovers",
                    action="DELETE",
                    condition=artifactregistry.RepositoryCleanupPolicyConditionArgs(
                        tag_state="UNTAGGED",
                        older_than=f"{site.environment.retention.untagged_images_days * DAY_S}s",
                    ),
                )
            ],
            labels=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[base.network.component, *base.keys.grants],
                protect=site.environment.protect,
                ignore_changes=["kmsKeyName"],  # fixed at creation: another key would be another, empty repository
            ),
        )


def registry(site: Site, base: provider.Base, pools: provider.Pools, opts: pulumi.ResourceOptions) -> provider.Registry:
    """Make the image repository, audited, and let the nodes pull from it."""
    made = Registry("registry", site, base, pools, opts)
    return provider.Registry(
        address=pulumi.Output.concat(made.address, "/", naming.IMAGES), id=made.repository_name, component=made
    )
