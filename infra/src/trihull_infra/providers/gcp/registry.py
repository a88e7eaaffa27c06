"""Registry on Google Cloud: one Artifact Registry repository, its tags immutable, scanned where the project scans."""

import pulumi
from pulumi_gcp import artifactregistry

from trihull_infra import naming, provider
from trihull_infra.provider import Site


class Registry(pulumi.ComponentResource):
    """Artifact Registry repository, its cleanup, and the nodes' right to pull."""

    def __init__(
        self, name: str, site: Site, pools: provider.Pools, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:registry:Registry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.repository = artifactregistry.Repository(
            f"{name}-repository",
            repository_id=site.name(),
            location=site.spec.region,
            format="DOCKER",
            docker_config=artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            vulnerability_scanning_config=artifactregistry.RepositoryVulnerabilityScanningConfigArgs(
                enablement_config="INHERITED"
            ),
            cleanup_policies=[
                # Untagged images are leftovers of pushes that failed.
                artifactregistry.RepositoryCleanupPolicyArgs(
                    id="leftovers",
                    action="DELETE",
                    condition=artifactregistry.RepositoryCleanupPolicyConditionArgs(
                        tag_state="UNTAGGED", older_than=f"{14 * 24 * 3600}s"
                    ),
                )
            ],
            labels=site.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=site.environment.protect),
        )
        self.pull = artifactregistry.RepositoryIamMember(
            f"{name}-pull",
            repository=self.repository.name,
            location=site.spec.region,
            role="roles/artifactregistry.reader",
            member=pulumi.Output.concat("serviceAccount:", pools.node_identity),
            opts=child,
        )
        self.register_outputs({"address": self.repository.registry_uri})


def registry(
    site: Site, network: provider.Network, pools: provider.Pools, opts: pulumi.ResourceOptions
) -> provider.Registry:
    """Make the image repository and let the nodes pull from it."""
    made = Registry("registry", site, pools, opts)
    return provider.Registry(
        address=pulumi.Output.concat(made.repository.registry_uri, "/", naming.IMAGES), component=made
    )
