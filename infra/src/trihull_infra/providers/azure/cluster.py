"""Cluster on Azure: AKS with Entra identities only, workload identity, cilium, logs kept, a restricted API server."""

import base64
from typing import Any

import pulumi
import yaml
from pulumi_azure_native import authorization, containerservice, managedidentity, monitor, operationalinsights

from trihull_infra import kubeconfig, provider
from trihull_infra.cloud import Cloud
from trihull_infra.machines import MACHINES
from trihull_infra.provider import LOG_RETENTION_DAYS, Site
from trihull_infra.providers.azure import roles

# AKS's application in every Entra tenant, looked up on 2026-11-23: Azure/kubelogin, docs/book/src/concepts/aks.md
# @d9bf4c9c72da, "Azure Kubernetes Service AAD Server".
ENTRA_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
LOGS = ("kube-apiserver", "kube-audit-admin", "guard", "kube-controller-manager", "kube-scheduler")


class Cluster(pulumi.ComponentResource):
    """AKS cluster with its identities, log workspace, administrators, and the system pool that AKS insists on."""

    def __init__(
        self, name: str, site: Site, network: provider.Network, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        region, labels = site.spec.region, site.labels
        self.logs = operationalinsights.Workspace(
            f"{name}-logs",
            resource_group_name=network.scope,
            workspace_name=site.name(),
            location=region,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=LOG_RETENTION_DAYS,
            tags=labels,
            opts=child,
        )
        self.identity = managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=network.scope,
            resource_name_=site.name("cluster"),
            location=region,
            tags=labels,
            opts=child,
        )
        self.node_identity = managedidentity.UserAssignedIdentity(
            f"{name}-node-identity",
            resource_group_name=network.scope,
            resource_name_=site.name("nodes"),
            location=region,
            tags=labels,
            opts=child,
        )
        self.permissions = [
            roles.assign(
                f"{name}-joins-network",
                site,
                self,
                role=roles.NETWORK_CONTRIBUTOR,
                scope=network.id,
                principal=self.identity.principal_id,
            ),
            roles.assign(
                f"{name}-hands-out-node-identity",
                site,
                self,
                role=roles.IDENTITY_OPERATOR,
                scope=self.node_identity.id,
                principal=self.identity.principal_id,
            ),
        ]
        networks = site.authorised_networks
        self.cluster = containerservice.ManagedCluster(
            f"{name}-cluster",
            resource_group_name=network.scope,
            resource_name_=site.name(),
            location=region,
            dns_prefix=site.name(),
            node_resource_group=site.name("nodes"),
            kubernetes_version=site.environment.kubernetes_version,
            sku=containerservice.ManagedClusterSKUArgs(name="Base", tier="Standard"),
            identity=containerservice.ManagedClusterIdentityArgs(
                type=containerservice.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[self.identity.id]
            ),
            identity_profile={
                "kubeletidentity": containerservice.UserAssignedIdentityArgs(
                    resource_id=self.node_identity.id,
                    client_id=self.node_identity.client_id,
                    object_id=self.node_identity.principal_id,
                )
            },
            enable_rbac=True,
            disable_local_accounts=True,
            aad_profile=containerservice.ManagedClusterAADProfileArgs(managed=True, enable_azure_rbac=True),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=containerservice.ManagedClusterSecurityProfileArgs(
                workload_identity=containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
                image_cleaner=containerservice.ManagedClusterSecurityProfileImageCleanerArgs(
                    enabled=True, interval_hours=168
                ),
            ),
            api_server_access_profile=containerservice.ManagedClusterAPIServerAccessProfileArgs(
                authorized_ip_ranges=networks or None,
                enable_private_cluster=not networks,
                disable_run_command=True,
            ),
            network_profile=containerservice.ContainerServiceNetworkProfileArgs(
                network_plugin="azure",
                network_plugin_mode="overlay",
                network_dataplane="cilium",
                network_policy="cilium",
                load_balancer_sku="standard",
                outbound_type="userAssignedNATGateway",
                pod_cidr=site.addresses.pods,
                service_cidr=site.addresses.services,
                dns_service_ip=site.addresses.dns_service,
            ),
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            agent_pool_profiles=[self._system_pool(site, network)],
            tags=labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=self.permissions,
                protect=site.environment.protect,
                ignore_changes=["agentPoolProfiles[0].count"],  # the autoscaler's to change
            ),
        )
        self.diagnostics = monitor.DiagnosticSetting(
            f"{name}-diagnostics",
            name=site.name(),
            resource_uri=self.cluster.id,
            workspace_id=self.logs.id,
            log_analytics_destination_type="Dedicated",
            logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in LOGS],
            opts=child,
        )
        self.administrators = [
            roles.assign(
                f"{name}-administrator-{index}",
                site,
                self,
                role=roles.CLUSTER_ADMINISTRATOR,
                scope=self.cluster.id,
                principal=principal,
                principal_type=None,
            )
            for index, principal in enumerate(site.spec.administrators)
        ]
        self.guards = (
            [
                authorization.ManagementLockByScope(
                    f"{name}-guard",
                    lock_name="trihull",
                    scope=self.cluster.id,
                    level="CanNotDelete",
                    notes="The environment says `protect: true`.",
                    opts=child,
                )
            ]
            if site.environment.protect
            else []
        )
        self.register_outputs({"name": self.cluster.name})

    def _system_pool(
        self, site: Site, network: provider.Network
    ) -> containerservice.ManagedClusterAgentPoolProfileArgs:
        """Return the one inline pool, for the cluster's own pods; a change of any other inline pool would touch all."""
        return containerservice.ManagedClusterAgentPoolProfileArgs(
            name="system",
            mode="System",
            type="VirtualMachineScaleSets",
            vm_size=MACHINES["small"].types[Cloud.AZURE][0],
            os_type="Linux",
            os_disk_size_gb=64,
            enable_auto_scaling=True,
            count=1,
            min_count=1,
            max_count=3,
            availability_zones=list(site.spec.zones),
            enable_node_public_ip=False,
            vnet_subnet_id=network.subnets[0],
            node_taints=["CriticalAddonsOnly=true:NoSchedule"],
            upgrade_settings=containerservice.AgentPoolUpgradeSettingsArgs(max_surge="33%"),
            tags=site.labels,
        )


def cluster(site: Site, network: provider.Network, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""
    made = Cluster("cluster", site, network, opts)
    # AKS tells its certificate authority nowhere but in a kubeconfig; ours differs in how a token is got.
    given = containerservice.list_managed_cluster_user_credentials_output(
        resource_group_name=network.scope,
        resource_name=made.cluster.name,
        format="exec",
        opts=pulumi.InvokeOutputOptions(parent=made, depends_on=[made.cluster]),
    )
    rendered = given.kubeconfigs.apply(lambda configs: _rendered(site, configs[0].value))
    return provider.Cluster(
        id=made.cluster.id,
        name=made.cluster.name,
        kubeconfig=pulumi.Output.secret(rendered),
        token_issuer=made.cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url if profile else ""),
        node_identity=made.node_identity.principal_id,
        component=made,
    )


def _rendered(site: Site, encoded: str) -> str:
    given: dict[str, Any] = yaml.safe_load(base64.b64decode(encoded))
    api_server = given["clusters"][0]["cluster"]
    arguments = ["get-token", "--login", "azurecli", "--server-id", ENTRA_SERVER]
    return kubeconfig.render(
        site.name(), api_server["server"], api_server["certificate-authority-data"], "kubelogin", arguments
    )
