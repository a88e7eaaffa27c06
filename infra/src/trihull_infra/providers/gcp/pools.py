"""Node pools on Google Cloud: GKE node pools with an own service account and shielded nodes, node counts in total."""

import pulumi
from pulumi_gcp import container, projects, serviceaccount

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.provider import PoolShare, Site

NODE_ROLES = ("roles/container.defaultNodeServiceAccount",)


class Pools(pulumi.ComponentResource):
    """The nodes' service account with its roles, and the node pools."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        cluster: provider.Cluster,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:pools:Pools", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.account = serviceaccount.Account(
            f"{name}-account",
            account_id=site.name("nodes"),
            display_name=f"Nodes of {site.name()}",
            opts=child,
        )
        self.permissions = [
            projects.IAMMember(
                f"{name}-{role.removeprefix('roles/')}",
                project=network.scope,
                role=role,
                member=pulumi.Output.concat("serviceAccount:", self.account.email),
                opts=child,
            )
            for role in NODE_ROLES
        ]
        self.groups = [
            self._group(name, site, cluster, share) for share in provider.shares(site.environment.pools.serving)
        ]
        self.register_outputs({"account": self.account.email})

    def _group(self, name: str, site: Site, cluster: provider.Cluster, share: PoolShare) -> container.NodePool:
        types = site.environment.pools.serving.resolved.types[Cloud.GCP]
        return container.NodePool(
            f"{name}-{share.name}",
            cluster=cluster.id,
            name=share.name,
            location=site.spec.region,
            node_locations=list(site.spec.zones),
            # Plain min_node_count and initial_node_count mean each zone; the environment says all zones.
            autoscaling=container.NodePoolAutoscalingArgs(
                total_min_node_count=share.nodes_min,
                total_max_node_count=share.nodes_max,
                location_policy="ANY" if share.spot else "BALANCED",
            ),
            initial_node_count=1,
            management=container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            upgrade_settings=container.NodePoolUpgradeSettingsArgs(max_surge=1, max_unavailable=0),
            node_config=container.NodePoolNodeConfigArgs(
                machine_type=types[0],
                image_type="COS_CONTAINERD",
                disk_size_gb=50,
                disk_type="pd-balanced",
                spot=share.spot,
                service_account=self.account.email,
                oauth_scopes=["https://www.googleapis.com/auth/cloud-platform"],
                # Pods see GKE's metadata server, never the node's credentials.
                workload_metadata_config=container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
                shielded_instance_config=container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
                metadata={"disable-legacy-endpoints": "true"},
                labels={naming.POOL_LABEL: naming.POOL, **({naming.SPOT_LABEL: "true"} if share.spot else {})},
                taints=[
                    container.NodePoolNodeConfigTaintArgs(key=naming.SPOT_LABEL, value="true", effect="NO_SCHEDULE")
                ]
                if share.spot
                else None,
                resource_labels=site.labels,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self.permissions, cluster.component],
                ignore_changes=["initialNodeCount"],  # only read at creation; a change would replace the pool
            ),
        )


def pools(
    site: Site, network: provider.Network, cluster: provider.Cluster, opts: pulumi.ResourceOptions
) -> provider.Pools:
    """Make the node pools as resources of their own, node counts over all zones."""
    made = Pools("pools", site, network, cluster, opts)
    return provider.Pools(node_identity=made.account.email, component=made)
