"""Cluster on Google Cloud: a regional GKE cluster with private nodes, workload identity and Dataplane V2."""

import pulumi
from pulumi_gcp import container, projects

from trihull_infra import kubeconfig, provider
from trihull_infra.provider import Site
from trihull_infra.providers.gcp.network import PODS, SERVICES

ADMINISTRATOR_ROLE = "roles/container.admin"


class Cluster(pulumi.ComponentResource):
    """GKE cluster and its administrators; its default node pool is removed, ours are resources of their own."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        networks = site.authorised_networks
        self.cluster = container.Cluster(
            f"{name}-cluster",
            name=site.name(),
            location=site.spec.region,  # regional: the control plane survives a zone, at the price of a zonal one
            node_locations=list(site.spec.zones),
            min_master_version=site.environment.kubernetes_version,
            release_channel=container.ClusterReleaseChannelArgs(channel="REGULAR"),
            deletion_protection=site.environment.protect,
            remove_default_node_pool=True,
            initial_node_count=1,
            network=network.id,
            subnetwork=network.subnets[0],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=PODS, services_secondary_range_name=SERVICES
            ),
            datapath_provider="ADVANCED_DATAPATH",
            private_cluster_config=container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True, enable_private_endpoint=not networks
            ),
            master_authorized_networks_config=container.ClusterMasterAuthorizedNetworksConfigArgs(
                cidr_blocks=[
                    container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=one) for one in networks
                ],
                gcp_public_cidrs_access_enabled=False,
            ),
            master_auth=container.ClusterMasterAuthArgs(
                client_certificate_config=container.ClusterMasterAuthClientCertificateConfigArgs(
                    issue_client_certificate=False
                )
            ),
            enable_legacy_abac=False,
            enable_shielded_nodes=True,
            enable_intranode_visibility=True,
            workload_identity_config=container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=f"{site.spec.account}.svc.id.goog"
            ),
            logging_config=container.ClusterLoggingConfigArgs(
                enable_components=[
                    "SYSTEM_COMPONENTS",
                    "WORKLOADS",
                    "APISERVER",
                    "CONTROLLER_MANAGER",
                    "SCHEDULER",
                ]
            ),
            monitoring_config=container.ClusterMonitoringConfigArgs(enable_components=["SYSTEM_COMPONENTS"]),
            resource_labels=site.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[network.component], protect=site.environment.protect),
        )
        self.administrators = [
            projects.IAMMember(
                f"{name}-administrator-{index}",
                project=network.scope,
                role=ADMINISTRATOR_ROLE,
                member=principal,
                opts=child,
            )
            for index, principal in enumerate(site.spec.administrators)
        ]
        self.register_outputs({"name": self.cluster.name})


def cluster(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""
    made = Cluster("cluster", site, network, opts)
    authority = made.cluster.master_auth.apply(lambda known: known.cluster_ca_certificate or "")
    rendered = pulumi.Output.all(made.cluster.endpoint, authority).apply(
        lambda known: kubeconfig.render(
            site.name(),
            known[0] if known[0].startswith("https://") else f"https://{known[0]}",
            known[1],
            "gke-gcloud-auth-plugin",
            [],
        )
    )
    return provider.Cluster(
        id=made.cluster.id,
        name=made.cluster.name,
        kubeconfig=pulumi.Output.secret(rendered),
        token_issuer=pulumi.Output.from_input(f"{site.spec.account}.svc.id.goog"),
        node_identity=None,
        component=made,
    )
