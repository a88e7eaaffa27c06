"""Node pools on Azure: AKS agent pools as resources of their own, node counts in total, spot taints declared."""

import pulumi
from pulumi_azure_native import containerservice

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.provider import PoolShare, Site


class Pools(pulumi.ComponentResource):
    """The agent pools; their nodes run as the cluster's node identity."""

    def __init__(
        self,
        name: str,
        site: Site,
        network: provider.Network,
        cluster: provider.Cluster,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:pools:Pools", name, None, opts)
        self.groups = [
            self._group(name, site, network, cluster, share)
            for share in provider.shares(site.environment.pools.serving)
        ]
        self.register_outputs({"names": [group.name for group in self.groups]})

    def _group(
        self, name: str, site: Site, network: provider.Network, cluster: provider.Cluster, share: PoolShare
    ) -> containerservice.AgentPool:
        types = site.environment.pools.serving.resolved.types[Cloud.AZURE]
        # Azure adds its own taint to spot nodes; one that is not declared is a difference at every refresh.
        taints = {**provider.capabilities(Cloud.AZURE).spot_taints, naming.SPOT_LABEL: "true"} if share.spot else {}
        return containerservice.AgentPool(
            f"{name}-{share.name}",
            resource_group_name=network.scope,
            resource_name_=cluster.name,
            agent_pool_name=share.name,
            mode="User",
            type="VirtualMachineScaleSets",
            vm_size=types[0],
            os_type="Linux",
            os_disk_size_gb=64,
            orchestrator_version=site.environment.kubernetes_version,
            enable_auto_scaling=True,
            count=max(share.nodes_min, 1),
            min_count=share.nodes_min,
            max_count=share.nodes_max,
            availability_zones=list(site.spec.zones),
            enable_node_public_ip=False,
            vnet_subnet_id=network.subnets[0],
            scale_set_priority="Spot" if share.spot else "Regular",
            scale_set_eviction_policy="Delete" if share.spot else None,
            spot_max_price=-1 if share.spot else None,  # up to the on-demand price
            node_labels={naming.POOL_LABEL: naming.POOL, **({naming.SPOT_LABEL: "true"} if share.spot else {})},
            node_taints=[f"{key}={value}:NoSchedule" for key, value in taints.items()] or None,
            upgrade_settings=None if share.spot else containerservice.AgentPoolUpgradeSettingsArgs(max_surge="33%"),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[cluster.component],
                ignore_changes=["count"],  # the autoscaler's to change
            ),
        )


def pools(
    site: Site, network: provider.Network, cluster: provider.Cluster, opts: pulumi.ResourceOptions
) -> provider.Pools:
    """Make the node pools as resources of their own, node counts over all zones."""
    made = Pools("pools", site, network, cluster, opts)
    assert cluster.node_identity is not None, "an AKS cluster of ours names the identity of its nodes"
    return provider.Pools(node_identity=cluster.node_identity, component=made)
