"""Node pools on Google Cloud: GKE node pools with an own service account and shielded nodes, node counts in total.

Disks and node-to-node traffic inside Google's network are encrypted without a setting; the disks' key is ours. What GKE
fixes when it makes a pool (key, network card) stays as it was made: a change would replace all its nodes at once.
"""

import math
from typing import Final

import pulumi
from pulumi_gcp import container, projects, serviceaccount

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.machines import Architecture
from trihull_infra.provider import PoolShare, Purpose, Site
from trihull_infra.providers.gcp.spec import GcpSpec

NODE_ROLES: Final = ("roles/container.defaultNodeServiceAccount",)
# The taint that GKE's own pods tolerate, by which GKE's metrics-server is known: robusta-dev/robusta @038e23a03c5f,
# playbooks/robusta_playbooks/cpu_throttling.py, read on 2026-11-24. That kube-dns does so too was not looked up.
SYSTEM_TAINT: Final = ("components.gke.io/gke-managed-components", "true")
DISK_GB: Final = 50
# These take no Persistent Disk (data/machines.toml names the page); every other type of ours takes pd-balanced.
HYPERDISK_ONLY: Final = ("c4a-",)
SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)  # what an account may is said by IAM alone
FIXED_AT_CREATION: Final = (
    "initialNodeCount",  # only read at creation, and the autoscaler's afterwards
    "nodeConfig.bootDiskKmsKey",
    "nodeConfig.gvnic",
)


class Pools(pulumi.ComponentResource):
    """The nodes' service account with its roles, and the node pools."""

    def __init__(
        self,
        name: str,
        site: Site,
        base: provider.Base,
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
                project=base.network.scope,
                role=role,
                member=pulumi.Output.concat("serviceAccount:", self.account.email),
                opts=child,
            )
            for role in NODE_ROLES
        ]
        self.groups = [
            self._group(name, site, base, cluster, share) for share in provider.every_share(site.environment.pools)
        ]
        self.register_outputs({"account": self.account.email})

    def _group(
        self, name: str, site: Site, base: provider.Base, cluster: provider.Cluster, share: PoolShare
    ) -> container.NodePool:
        assert isinstance(site.spec, GcpSpec)
        zones = site.spec.zones
        return container.NodePool(
            f"{name}-{share.name}",
            cluster=cluster.id,
            name=share.name,
            location=site.spec.region,
            node_locations=list(zones),
            # Plain min_node_count and initial_node_count mean each zone; the environment says all zones.
            autoscaling=container.NodePoolAutoscalingArgs(
                total_min_node_count=share.nodes_min,
                total_max_node_count=share.nodes_max,
                # What a zone may have run out of is taken wherever there is some.
                location_policy="ANY" if share.spot or share.machine.accelerator else "BALANCED",
            ),
            # As many as the minimum asks for: an autoscaler adds nodes for pods, not for a minimum.
            initial_node_count=min(math.ceil(share.nodes_min / len(zones)), share.nodes_max // len(zones)),
            # A cluster in a release channel wants both; the cluster's window and exclusion say when and how far.
            management=container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            version=self._as_the_control_plane(cluster),
            upgrade_settings=container.NodePoolUpgradeSettingsArgs(strategy="SURGE", max_surge=1, max_unavailable=0),
            network_config=container.NodePoolNetworkConfigArgs(enable_private_nodes=True),
            node_config=self._nodes(site, base, share),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self.permissions, *base.keys.grants, cluster.component],
                ignore_changes=list(FIXED_AT_CREATION),
            ),
        )

    @staticmethod
    def _as_the_control_plane(cluster: provider.Cluster) -> pulumi.Output[str] | None:
        """Return the control plane's version: else nodes would stay behind when the environment asks for a new one.

        The cluster's exclusion keeps minor versions from nodes as well, so that nothing but this brings them. Nodes of
        somebody else's cluster follow its own rules.
        """
        made = getattr(cluster.component, "cluster", None)
        return made.master_version if isinstance(made, container.Cluster) else None

    def _nodes(self, site: Site, base: provider.Base, share: PoolShare) -> container.NodePoolNodeConfigArgs:
        machine = share.machine
        machine_type = machine.types[Cloud.GCP][0]
        taints = dict(share.taints)
        if share.pool == naming.SYSTEM_POOL:
            taints |= dict([SYSTEM_TAINT])
        arm = machine.architecture == Architecture.ARM64
        return container.NodePoolNodeConfigArgs(
            machine_type=machine_type,
            image_type="COS_CONTAINERD",
            disk_size_gb=DISK_GB,
            disk_type="hyperdisk-balanced" if machine_type.startswith(HYPERDISK_ONLY) else "pd-balanced",
            boot_disk_kms_key=base.keys.ids.get(Purpose.DISKS),
            spot=share.spot,
            service_account=self.account.email,
            oauth_scopes=list(SCOPES),
            # Pods see GKE's metadata server, never the node's credentials.
            workload_metadata_config=container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
            shielded_instance_config=container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                enable_secure_boot=True, enable_integrity_monitoring=True
            ),
            kubelet_config=container.NodePoolNodeConfigKubeletConfigArgs(
                insecure_kubelet_readonly_port_enabled="FALSE"
            ),
            gvnic=container.NodePoolNodeConfigGvnicArgs(enabled=True),
            guest_accelerators=_accelerators(share),
            metadata={"disable-legacy-endpoints": "true"},
            labels=share.labels,
            taints=[
                container.NodePoolNodeConfigTaintArgs(key=key, value=value, effect="NO_SCHEDULE")
                for key, value in taints.items()
            ]
            or None,
            # GKE would keep everything off Arm nodes that does not ask for them; our images are for both.
            taint_config=container.NodePoolNodeConfigTaintConfigArgs(architecture_taint_behavior="NONE")
            if arm
            else None,
            resource_labels=site.labels,
        )


def _accelerators(share: PoolShare) -> list[container.NodePoolNodeConfigGuestAcceleratorArgs] | None:
    """Return the devices and their driver; GKE brings the device plugin and a taint of its own (capabilities.toml)."""
    if share.machine.accelerator is None:
        return None
    return [
        container.NodePoolNodeConfigGuestAcceleratorArgs(
            type=share.machine.accelerator_types[Cloud.GCP],
            count=share.machine.accelerator.count,
            gpu_driver_installation_config=(
                container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                    gpu_driver_version="DEFAULT"
                )
            ),
        )
    ]


def pools(site: Site, base: provider.Base, cluster: provider.Cluster, opts: pulumi.ResourceOptions) -> provider.Pools:
    """Make the node pools as resources of their own, node counts over all zones."""
    made = Pools("pools", site, base, cluster, opts)
    return provider.Pools(node_identity=made.account.email, component=made)
