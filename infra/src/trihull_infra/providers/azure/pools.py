"""Node pools on Azure: AKS agent pools as resources of their own, node counts in total, spot taints declared."""

import pulumi
from pulumi_azure_native import containerservice

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.provider import Base, PoolShare, Site, capabilities
from trihull_infra.providers.azure import arm
from trihull_infra.providers.azure.cluster import SYSTEM_TAINT, verified_at_boot
from trihull_infra.providers.azure.spec import AzureSpec

# Images of what runs on accelerators are large (how large: not measured); the disk of others is as it always was.
DISK_GB = {False: 64, True: 256}


class Pools(pulumi.ComponentResource):
    """The agent pools; their nodes run as the cluster's node identity.

    The system pool of a cluster of ours is its inline one; in a cluster that is there already it is a pool like others.
    """

    def __init__(
        self,
        name: str,
        site: Site,
        base: Base,
        cluster: provider.Cluster,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:pools:Pools", name, None, opts)
        spec = site.spec
        assert isinstance(spec, AzureSpec)
        inline = naming.SYSTEM_POOL if spec.existing.cluster is None else None
        self.groups = [
            self._group(name, site, spec, base, cluster, share)
            for share in provider.every_share(site.environment.pools)
            if share.pool != inline
        ]
        self.register_outputs({"names": [group.name for group in self.groups]})

    def _group(
        self, name: str, site: Site, spec: AzureSpec, base: Base, cluster: provider.Cluster, share: PoolShare
    ) -> containerservice.AgentPool:
        system, accelerated = share.pool == naming.SYSTEM_POOL, share.machine.accelerator is not None
        group: pulumi.Input[str] = base.network.scope
        if spec.existing.cluster is not None:
            group = arm.parsed(spec.existing.cluster).group
        return containerservice.AgentPool(
            f"{name}-{share.name}",
            resource_group_name=group,
            resource_name_=cluster.name,
            agent_pool_name=share.name,
            mode="System" if system else "User",
            type="VirtualMachineScaleSets",
            vm_size=share.machine.types[Cloud.AZURE][0],
            os_type="Linux",
            os_disk_size_gb=DISK_GB[accelerated],
            orchestrator_version=site.environment.kubernetes_version,
            enable_auto_scaling=True,
            count=max(share.nodes_min, 1),
            min_count=share.nodes_min,
            max_count=share.nodes_max,
            availability_zones=list(spec.zones),
            enable_encryption_at_host=True,
            enable_node_public_ip=False,
            security_profile=verified_at_boot(share.machine),
            # The driver comes with the node, the plugin that hands devices out does not: "Use GPUs on AKS",
            # MicrosoftDocs/azure-aks-docs articles/aks/use-nvidia-gpu.md @fb060abe6a8f, looked up on 2026-11-24.
            gpu_profile=containerservice.GPUProfileArgs(driver="Install") if accelerated else None,
            vnet_subnet_id=base.network.subnets[0],
            scale_set_priority="Spot" if share.spot else "Regular",
            scale_set_eviction_policy="Delete" if share.spot else None,
            spot_max_price=-1 if share.spot else None,  # up to the on-demand price
            node_labels=share.labels,
            node_taints=_taints(share) or None,
            upgrade_settings=None if share.spot else containerservice.AgentPoolUpgradeSettingsArgs(max_surge="33%"),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[cluster.component],
                delete_before_replace=True,  # its name stays the same
                # The count is the autoscaler's to change; encryption at the host is fixed when a pool is made
                # (enable-host-encryption.md of the same).
                ignore_changes=["count", "enableEncryptionAtHost"],
            ),
        )


def _taints(share: PoolShare) -> list[str]:
    """Return a half's taints, those that Azure adds itself among them: what is not declared differs at each refresh."""
    own = capabilities(Cloud.AZURE)
    taints = {**(own.spot_taints if share.spot else {}), **share.taints}
    taints |= own.accelerator_taints if share.machine.accelerator is not None else {}
    system = [SYSTEM_TAINT] if share.pool == naming.SYSTEM_POOL else []
    return [*system, *(f"{key}={value}:NoSchedule" for key, value in taints.items())]


def pools(site: Site, base: Base, cluster: provider.Cluster, opts: pulumi.ResourceOptions) -> provider.Pools:
    """Make the node pools as resources of their own, node counts over all zones."""
    made = Pools("pools", site, base, cluster, opts)
    assert cluster.node_identity is not None, "AKS names the identity of its nodes"
    return provider.Pools(node_identity=cluster.node_identity, component=made)
