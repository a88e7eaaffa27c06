"""Node pools on AWS: managed node groups from launch templates (IMDSv2, encrypted disks), node counts in total.

A managed node group stays within its bounds and nothing moves it: Cluster Autoscaler does, from inside the cluster. It
finds groups, and what a group that is empty would bring, by tags of the Auto Scaling groups, which do not follow from
the tags of the node groups.
Source: kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md @062f28a624a2, on 2026-11-24.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_aws import autoscaling, ec2, eks, iam

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.machines import Architecture
from trihull_infra.provider import Base, PoolShare, Purpose, Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.spec import AwsSpec
from trihull_infra.providers.aws.upgrades import Upgrades, upgrades

NODE_POLICIES: Final = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")
IMAGES: Final = {Architecture.AMD64: "AL2023_x86_64_STANDARD", Architecture.ARM64: "AL2023_ARM_64_STANDARD"}
# Driver and device plugin are both part of this image, and it starts by UEFI secure boot.
# Source: bottlerocket-os/bottlerocket, variants/aws-k8s-1.34-nvidia/Cargo.toml @4558c5366473, on 2026-11-24.
ACCELERATED_IMAGE: Final = "BOTTLEROCKET_x86_64_NVIDIA"
# How Cluster Autoscaler knows of a node that waits for its devices; the same README, "Special note on GPU instances".
ACCELERATED_LABEL: Final = "k8s.amazonaws.com/accelerator"
SYSTEM_TAINT: Final = "CriticalAddonsOnly"  # tolerated by what AWS runs in a cluster
# They run as pods, so they wait for nodes; and they belong on the system pool. CoreDNS and metrics-server take both
# arguments (aws/containers-roadmap issue 1389; the add-ons' schemas themselves were not looked up).
ADDONS: Final = ("coredns", "metrics-server")
ON_SYSTEM_NODES: Final = json.dumps(
    {
        "nodeSelector": {naming.POOL_LABEL: naming.SYSTEM_POOL},
        "tolerations": [{"key": SYSTEM_TAINT, "operator": "Exists"}],
    }
)
DISCOVERED_BY: Final = "k8s.io/cluster-autoscaler"
DISK_GIB: Final = 50
ACCELERATED_DISK_GIB: Final = 100  # images with what accelerators need are many times larger


class Pools(pulumi.ComponentResource):
    """The nodes' role, launch templates, node groups with the autoscaler's tags, upgrades, add-ons that need nodes."""

    def __init__(
        self,
        name: str,
        site: Site,
        base: Base,
        cluster: provider.Cluster,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:pools:Pools", name, None, opts)
        assert isinstance(site.spec, AwsSpec)
        child = pulumi.ResourceOptions(parent=self)
        self.role = iam.Role(
            f"{name}-role",
            name=site.name("nodes"),
            assume_role_policy=policies.service_trust("ec2.amazonaws.com"),
            tags=site.labels,
            opts=child,
        )
        self.permissions = [
            iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=self.role.name,
                policy_arn=policies.managed(site.spec.region, policy),
                opts=child,
            )
            for policy in NODE_POLICIES
        ]
        shares = provider.every_share(site.environment.pools)
        self.template = self._template(f"{name}-template", site, base, site.name("nodes"), {"/dev/xvda": DISK_GIB})
        self.accelerated_template: ec2.LaunchTemplate | None = None
        if any(share.machine.accelerator for share in shares):
            # Bottlerocket has its system on the first disk, in the size of the image, and images on the second.
            self.accelerated_template = self._template(
                f"{name}-accelerator-template",
                site,
                base,
                site.name("nodes", naming.ACCELERATOR_POOL),
                {"/dev/xvda": None, "/dev/xvdb": ACCELERATED_DISK_GIB},
            )
        self.groups = {share.name: self._group(name, site, base, cluster, share) for share in shares}
        self.tags = [tag for share in shares for tag in self._tags(name, site, share)]
        self.upgrades: Upgrades | None = None
        if site.environment.upgrades.automatic == "patch":
            templates = [one.id for one in (self.template, self.accelerated_template) if one is not None]
            self.upgrades = upgrades(site, base, cluster, self.groups, templates, child)
        self.addons: list[eks.Addon] = []
        if site.spec.existing.cluster is None:  # else they are its owner's
            self._addons(name, site, cluster)
        self.register_outputs({"roleArn": self.role.arn})

    def _addons(self, name: str, site: Site, cluster: provider.Cluster) -> None:
        for addon in ADDONS:
            self.addons.append(
                eks.Addon(
                    f"{name}-{addon}",
                    cluster_name=cluster.name,
                    addon_name=addon,
                    configuration_values=ON_SYSTEM_NODES,
                    resolve_conflicts_on_create="OVERWRITE",
                    resolve_conflicts_on_update="PRESERVE",
                    tags=site.labels,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[self.groups[naming.SYSTEM_POOL]]),
                )
            )

    def _template(
        self, name: str, site: Site, base: Base, called: str, disks: Mapping[str, int | None]
    ) -> ec2.LaunchTemplate:
        """Make a launch template; `disks` are device names and sizes in GiB, None for the image's own."""
        return ec2.LaunchTemplate(
            name,
            name=called,
            update_default_version=True,
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,  # pods never reach the node's credentials
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=device,
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true",
                        kms_key_id=base.keys.ids.get(Purpose.DISKS),
                        volume_type="gp3",
                        volume_size=size,
                        delete_on_termination="true",
                    ),
                )
                for device, size in disks.items()
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=site.labels)
                for kind in ("instance", "volume")
            ],
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(base.keys.grants)),
        )

    def _group(self, name: str, site: Site, base: Base, cluster: provider.Cluster, share: PoolShare) -> eks.NodeGroup:
        types = share.machine.types[Cloud.AWS]
        template = self.template if share.machine.accelerator is None else self.accelerated_template
        assert template is not None
        return eks.NodeGroup(
            f"{name}-{share.name}",
            cluster_name=cluster.name,
            node_group_name=share.name,
            node_role_arn=self.role.arn,
            subnet_ids=list(base.network.subnets),
            version=site.environment.kubernetes_version,
            ami_type=IMAGES[share.machine.architecture] if share.machine.accelerator is None else ACCELERATED_IMAGE,
            capacity_type="SPOT" if share.spot else "ON_DEMAND",
            instance_types=list(types) if share.spot else list(types[:1]),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=share.nodes_min, max_size=share.nodes_max, desired_size=share.nodes_min
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=33),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            launch_template=eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
            labels=labels(share),
            taints=[
                eks.NodeGroupTaintArgs(key=key, value=value, effect="NO_SCHEDULE")
                for key, value in taints(share).items()
            ]
            or None,
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self.permissions, cluster.component],
                ignore_changes=["scalingConfig.desiredSize"],  # an autoscaler's to change
            ),
        )

    def _tags(self, name: str, site: Site, share: PoolShare) -> list[autoscaling.Tag]:
        """Tag a group's Auto Scaling group; what is said of its nodes lets it grow from none."""
        assert isinstance(site.spec, AwsSpec)
        cluster = site.spec.existing.cluster or site.name()
        wanted = {
            "enabled": (f"{DISCOVERED_BY}/enabled", "true"),
            "cluster": (f"{DISCOVERED_BY}/{cluster}", "owned"),
        }
        for key, value in labels(share).items():
            wanted[f"label-{key.replace('/', '-')}"] = (f"{DISCOVERED_BY}/node-template/label/{key}", value)
        for key, value in taints(share).items():
            wanted[f"taint-{key.replace('/', '-')}"] = (
                f"{DISCOVERED_BY}/node-template/taint/{key}",
                f"{value}:NoSchedule",
            )
        scaled = self.groups[share.name].resources.apply(_auto_scaling_group)
        return [
            autoscaling.Tag(
                f"{name}-{share.name}-{what}",
                autoscaling_group_name=scaled,
                tag=autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for what, (key, value) in wanted.items()
        ]


def _auto_scaling_group(resources: Sequence[eks.outputs.NodeGroupResource]) -> str:
    """Return the name of a node group's one Auto Scaling group.

    States that an emulator of version 0.1.0 wrote know none until they are updated, so a preview may go without.
    """
    names = [group.name for one in resources for group in one.autoscaling_groups or () if group.name is not None]
    if not names and pulumi.runtime.is_dry_run():
        return ""
    (name,) = names
    return name


def labels(share: PoolShare) -> dict[str, str]:
    """Return the labels of a share's nodes: ours, and what the autoscaler wants on those with accelerators."""
    accelerator = share.machine.accelerator
    return {**share.labels, **({} if accelerator is None else {ACCELERATED_LABEL: accelerator.class_name})}


def taints(share: PoolShare) -> dict[str, str]:
    """Return the taints of a share's nodes: ours, and what keeps workloads off the system pool."""
    return {**share.taints, **({SYSTEM_TAINT: "true"} if share.pool == naming.SYSTEM_POOL else {})}


def pools(site: Site, base: Base, cluster: provider.Cluster, opts: pulumi.ResourceOptions) -> provider.Pools:
    """Make the node pools as resources of their own, node counts over all zones."""
    made = Pools("pools", site, base, cluster, opts)
    return provider.Pools(node_identity=made.role.arn, component=made)
