"""Node pools on AWS: managed node groups from a launch template (IMDSv2, encrypted disks), node counts in total."""

import json

import pulumi
from pulumi_aws import ec2, eks, iam

from trihull_infra import naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.provider import PoolShare, Site

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")
ADDONS = ("coredns", "metrics-server")  # they run as pods, so they wait for nodes


class Pools(pulumi.ComponentResource):
    """The nodes' role, launch template, node groups, and the add-ons that need nodes."""

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
        self.role = iam.Role(
            f"{name}-role",
            name=site.name("nodes"),
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "ec2.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
            tags=site.labels,
            opts=child,
        )
        self.permissions = [
            iam.RolePolicyAttachment(
                f"{name}-{policy}", role=self.role.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=child
            )
            for policy in NODE_POLICIES
        ]
        self.template = ec2.LaunchTemplate(
            f"{name}-template",
            name=site.name("nodes"),
            update_default_version=True,
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,  # pods never reach the node's credentials
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true", volume_type="gp3", volume_size=50, delete_on_termination="true"
                    ),
                )
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=site.labels)
                for kind in ("instance", "volume")
            ],
            tags=site.labels,
            opts=child,
        )
        self.groups = [
            self._group(name, site, network, cluster, share)
            for share in provider.shares(site.environment.pools.serving)
        ]
        self.addons = [
            eks.Addon(
                f"{name}-{addon}",
                cluster_name=cluster.name,
                addon_name=addon,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="PRESERVE",
                tags=site.labels,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.groups[0]]),
            )
            for addon in ADDONS
        ]
        self.register_outputs({"roleArn": self.role.arn})

    def _group(
        self, name: str, site: Site, network: provider.Network, cluster: provider.Cluster, share: PoolShare
    ) -> eks.NodeGroup:
        types = site.environment.pools.serving.resolved.types[Cloud.AWS]
        return eks.NodeGroup(
            f"{name}-{share.name}",
            cluster_name=cluster.name,
            node_group_name=share.name,
            node_role_arn=self.role.arn,
            subnet_ids=list(network.subnets),
            version=site.environment.kubernetes_version,
            ami_type="AL2023_x86_64_STANDARD",
            capacity_type="SPOT" if share.spot else "ON_DEMAND",
            instance_types=list(types) if share.spot else list(types[:1]),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=share.nodes_min, max_size=share.nodes_max, desired_size=max(share.nodes_min, 1)
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=33),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=self.template.id, version=self.template.latest_version.apply(str)
            ),
            labels={naming.POOL_LABEL: naming.POOL, **({naming.SPOT_LABEL: "true"} if share.spot else {})},
            taints=[eks.NodeGroupTaintArgs(key=naming.SPOT_LABEL, value="true", effect="NO_SCHEDULE")]
            if share.spot
            else None,
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self.permissions, cluster.component],
                ignore_changes=["scalingConfig.desiredSize"],  # an autoscaler's to change
            ),
        )


def pools(
    site: Site, network: provider.Network, cluster: provider.Cluster, opts: pulumi.ResourceOptions
) -> provider.Pools:
    """Make the node pools as resources of their own, node counts over all zones."""
    made = Pools("pools", site, network, cluster, opts)
    return provider.Pools(node_identity=made.role.arn, component=made)
