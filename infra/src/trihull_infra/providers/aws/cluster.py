"""Cluster on AWS: EKS with access entries only, an own key for secrets, logs kept, and a restricted API server."""

import json

import pulumi
from pulumi_aws import cloudwatch, eks, iam, kms

from trihull_infra import kubeconfig, provider
from trihull_infra.provider import LOG_RETENTION_DAYS, Site

ADMINISTRATOR_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
# What a cluster without nodes can take; add-ons with pods of their own wait for nodes (pools.py).
ADDONS = {
    "vpc-cni": json.dumps({"enableNetworkPolicy": "true"}),
    "kube-proxy": None,
    "eks-pod-identity-agent": None,
}


class Cluster(pulumi.ComponentResource):
    """EKS cluster with its key, log group, role, administrators and add-ons."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        guarded = pulumi.ResourceOptions(parent=self, protect=site.environment.protect)
        self.key = kms.Key(
            f"{name}-key",
            description=f"Kubernetes secrets of {site.name()}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            tags=site.labels,
            opts=guarded,
        )
        self.alias = kms.Alias(
            f"{name}-key-alias", name=f"alias/{site.name('secrets')}", target_key_id=self.key.key_id, opts=child
        )
        # EKS makes this group itself, without retention and outside the stack, when it is not there first.
        self.logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{site.name()}/cluster",
            retention_in_days=LOG_RETENTION_DAYS,
            tags=site.labels,
            opts=child,
        )
        self.role = iam.Role(
            f"{name}-role",
            name=site.name("cluster"),
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "eks.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
            tags=site.labels,
            opts=child,
        )
        self.permissions = iam.RolePolicyAttachment(
            f"{name}-permissions",
            role=self.role.name,
            policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
            opts=child,
        )
        networks = site.authorised_networks
        self.cluster = eks.Cluster(
            f"{name}-cluster",
            name=site.name(),
            version=site.environment.kubernetes_version,
            role_arn=self.role.arn,
            deletion_protection=site.environment.protect,
            bootstrap_self_managed_addons=False,
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=[*network.subnets, *network.public_subnets],
                endpoint_private_access=True,
                endpoint_public_access=bool(networks),
                public_access_cidrs=networks or None,
            ),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(service_ipv4_cidr=site.addresses.services),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=self.key.arn), resources=["secrets"]
            ),
            enabled_cluster_log_types=["api", "audit", "authenticator", "controllerManager", "scheduler"],
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self.logs, self.permissions], protect=site.environment.protect
            ),
        )
        self.administrators = [
            self._administrator(f"{name}-administrator-{index}", site, principal)
            for index, principal in enumerate(site.spec.administrators)
        ]
        self.addons = [
            eks.Addon(
                f"{name}-{addon}",
                cluster_name=self.cluster.name,
                addon_name=addon,
                configuration_values=values,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="PRESERVE",
                tags=site.labels,
                opts=child,
            )
            for addon, values in ADDONS.items()
        ]
        self.register_outputs({"name": self.cluster.name})

    def _administrator(self, name: str, site: Site, principal: str) -> eks.AccessPolicyAssociation:
        entry = eks.AccessEntry(
            name,
            cluster_name=self.cluster.name,
            principal_arn=principal,
            type="STANDARD",
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return eks.AccessPolicyAssociation(
            f"{name}-policy",
            cluster_name=self.cluster.name,
            principal_arn=principal,
            policy_arn=ADMINISTRATOR_POLICY,
            access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
        )


def cluster(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""
    made = Cluster("cluster", site, network, opts)
    authority = made.cluster.certificate_authority.apply(lambda known: known.data or "")
    rendered = pulumi.Output.all(made.cluster.endpoint, authority).apply(
        lambda known: kubeconfig.render(
            site.name(),
            known[0],
            known[1],
            "aws",
            ["eks", "get-token", "--region", site.spec.region, "--cluster-name", site.name(), "--output", "json"],
        )
    )
    # Whoever uses the kubeconfig needs the nodes' add-ons and the administrators' rights to be there.
    return provider.Cluster(
        id=made.cluster.arn,
        name=made.cluster.name,
        kubeconfig=pulumi.Output.secret(rendered),
        token_issuer=made.cluster.name,
        node_identity=None,
        component=made,
    )
