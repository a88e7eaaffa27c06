"""Cluster on AWS: EKS with access entries only, an own key for secrets, logs kept, and a restricted API server."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import cloudwatch, eks, iam

from trihull_infra import kubeconfig, provider
from trihull_infra.provider import Base, Purpose, Site
from trihull_infra.providers.aws import policies
from trihull_infra.providers.aws.spec import AwsSpec

ADMINISTRATOR_POLICY: Final = "cluster-access-policy/AmazonEKSClusterAdminPolicy"
# What a cluster without nodes can take; add-ons with pods of their own wait for nodes (pools.py). All three are daemon
# sets that tolerate every taint.
ADDONS: Final = {
    "vpc-cni": json.dumps({"enableNetworkPolicy": "true"}),
    "kube-proxy": None,
    "eks-pod-identity-agent": None,
}
# EKS fixes these when the cluster is made, or takes them in one direction only (a key can be added, never changed or
# removed), so neither an environment nor a new version of trihull may ask for another cluster by them.
FIXED: Final = ["encryptionConfig", "kubernetesNetworkConfig"]


class Cluster(pulumi.ComponentResource):
    """EKS cluster with its log group, role, administrators and add-ons; or one that is there, as it is."""

    def __init__(self, name: str, site: Site, base: Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        assert isinstance(site.spec, AwsSpec)
        if site.spec.existing.cluster is None:
            self._make(name, site, base)
        else:
            self._find(site.spec.existing.cluster)
        self.register_outputs({"name": self.name})

    def _find(self, existing: str) -> None:
        """Use a cluster as it is: its logs, add-ons and administrators are its owner's."""
        found = eks.get_cluster_output(name=existing, opts=pulumi.InvokeOutputOptions(parent=self))
        self.name = pulumi.Output.from_input(existing)
        self.arn, self.endpoint = found.arn, found.endpoint
        self.authority = found.certificate_authorities.apply(lambda known: known[0].data)

    def _make(self, name: str, site: Site, base: Base) -> None:
        assert isinstance(site.spec, AwsSpec)
        child = pulumi.ResourceOptions(parent=self)
        # EKS makes this group itself, without retention and outside the stack, when it is not there first.
        self.logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{site.name()}/cluster",
            retention_in_days=site.environment.retention.logs_days,
            kms_key_id=base.keys.ids.get(Purpose.LOGS),
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(base.keys.grants)),
        )
        self.role = iam.Role(
            f"{name}-role",
            name=site.name("cluster"),
            assume_role_policy=policies.service_trust("eks.amazonaws.com"),
            tags=site.labels,
            opts=child,
        )
        self.permissions = iam.RolePolicyAttachment(
            f"{name}-permissions",
            role=self.role.name,
            policy_arn=policies.managed(site.spec.region, "AmazonEKSClusterPolicy"),
            opts=child,
        )
        networks = site.authorised_networks
        secrets = base.keys.ids.get(Purpose.SECRETS)
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
                subnet_ids=[*base.network.subnets, *base.network.public_subnets],
                endpoint_private_access=True,
                endpoint_public_access=bool(networks),
                public_access_cidrs=networks or None,
            ),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(service_ipv4_cidr=site.addresses.services),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=secrets), resources=["secrets"]
            )
            if secrets is not None
            else None,
            enabled_cluster_log_types=["api", "audit", "authenticator", "controllerManager", "scheduler"],
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type=site.environment.upgrades.support.upper()),
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[self.logs, self.permissions, *base.keys.grants],
                protect=site.environment.protect,
                ignore_changes=FIXED,
            ),
        )
        self.name, self.arn, self.endpoint = self.cluster.name, self.cluster.arn, self.cluster.endpoint
        self.authority = self.cluster.certificate_authority.apply(lambda known: known.data or "")
        administrators = [
            administrator(f"{name}-administrator-{index}", site, self.cluster.name, principal, child)
            for index, principal in enumerate(site.spec.administrators)
        ]
        self.administrators = [one.entry for one in administrators]
        self.administrator_policies = [one.policy for one in administrators]
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


@dataclass(frozen=True)
class Administrator:
    """A role or user that administers inside a cluster, and by what."""

    entry: eks.AccessEntry
    policy: eks.AccessPolicyAssociation


def administrator(
    name: str, site: Site, cluster: pulumi.Input[str], principal: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> Administrator:
    """Let a role or user administer inside a cluster."""
    entry = eks.AccessEntry(
        name, cluster_name=cluster, principal_arn=principal, type="STANDARD", tags=site.labels, opts=opts
    )
    policy = eks.AccessPolicyAssociation(
        f"{name}-policy",
        cluster_name=cluster,
        principal_arn=principal,
        policy_arn=f"arn:{policies.partition(site.spec.region)}:eks::aws:{ADMINISTRATOR_POLICY}",
        access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[entry])),
    )
    return Administrator(entry, policy)


def cluster(site: Site, base: Base, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""
    assert isinstance(site.spec, AwsSpec)
    made = Cluster("cluster", site, base, opts)
    name = site.spec.existing.cluster or site.name()
    rendered = pulumi.Output.all(made.endpoint, made.authority).apply(
        lambda known: kubeconfig.render(
            name,
            known[0],
            known[1],
            "aws",
            ["eks", "get-token", "--region", site.spec.region, "--cluster-name", name, "--output", "json"],
        )
    )
    # Whoever uses the kubeconfig needs the nodes' add-ons and the administrators' rights to be there.
    return provider.Cluster(
        id=made.arn,
        name=made.name,
        kubeconfig=pulumi.Output.secret(rendered),
        token_issuer=made.name,
        node_identity=None,
        component=made,
    )
