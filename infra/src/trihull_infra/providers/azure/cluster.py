"""Cluster on Azure: AKS with Entra identities only, workload identity, cilium, logs kept, a restricted API server."""

import base64
from typing import Any, Final

import pulumi
import yaml
from pulumi_azure_native import authorization, containerservice, managedidentity

from trihull_infra import kubeconfig, naming, provider
from trihull_infra.cloud import Cloud
from trihull_infra.machines import Architecture, Machine
from trihull_infra.provider import Base, PoolShare, Purpose, Site
from trihull_infra.providers.azure import arm, roles
from trihull_infra.providers.azure.keys import Keys
from trihull_infra.providers.azure.logs import diagnostics
from trihull_infra.providers.azure.network import Network
from trihull_infra.providers.azure.spec import AzureSpec

# AKS's application in every Entra tenant, looked up on 2026-11-23: Azure/kubelogin, docs/book/src/concepts/aks.md
# @d9bf4c9c72da, "Azure Kubernetes Service AAD Server".
ENTRA_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
LOGS = ("kube-apiserver", "kube-audit-admin", "guard", "kube-controller-manager", "kube-scheduler")
# Pods of AKS's own tolerate it, no other do: MicrosoftDocs/azure-aks-docs articles/aks/use-system-pools.md
# @fb060abe6a8f, looked up on 2026-11-24.
SYSTEM_TAINT: Final = "CriticalAddonsOnly=true:NoSchedule"
# What a window is for, and which of the environment's days it opens on (a window of AKS has one day of the week): the
# cluster's own parts and its version on the first, images of nodes on the last. MicrosoftDocs/azure-aks-docs
# articles/aks/planned-maintenance.md @fb060abe6a8f, looked up on 2026-11-24.
WINDOWS: Final = {"default": 0, "aksManagedAutoUpgradeSchedule": 0, "aksManagedNodeOSUpgradeSchedule": -1}
# Arguments that AKS takes when a cluster is made and never again, or (private access of a cluster that is there) only
# with a restart by hand: pages azure-disk-customer-managed-keys.md, enable-host-encryption.md and
# api-server-vnet-integration.md of the same. An environment may change; its cluster stays.
FIXED: Final = (
    "diskEncryptionSetID",
    "agentPoolProfiles[0].enableEncryptionAtHost",
    "apiServerAccessProfile.enableVnetIntegration",
    "apiServerAccessProfile.subnetId",
)


class Cluster(pulumi.ComponentResource):
    """AKS cluster with its identities, administrators, windows, and the system pool that AKS insists on."""

    def __init__(self, name: str, site: Site, base: Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        network = base.network
        self.identity = self._identity(f"{name}-identity", site, network, "cluster")
        self.node_identity = self._identity(f"{name}-node-identity", site, network, "nodes")
        self.permissions = self._permit(name, site, base)
        upgrades = site.environment.upgrades
        extended = upgrades.support == "extended"
        self.cluster = containerservice.ManagedCluster(
            f"{name}-cluster",
            resource_group_name=network.scope,
            resource_name_=site.name(),
            location=site.spec.region,
            dns_prefix=site.name(),
            node_resource_group=site.name("nodes"),
            kubernetes_version=site.environment.kubernetes_version,
            # Support beyond a version's usual end is part of the tier Premium: long-term-support.md of the same.
            sku=containerservice.ManagedClusterSKUArgs(name="Base", tier="Premium" if extended else "Standard"),
            support_plan="AKSLongTermSupport" if extended else "KubernetesOfficial",
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
                azure_key_vault_kms=containerservice.AzureKeyVaultKmsArgs(
                    enabled=True, key_id=base.keys.ids[Purpose.SECRETS], key_vault_network_access="Public"
                )
                if Purpose.SECRETS in base.keys.ids
                else None,
            ),
            disk_encryption_set_id=base.keys.ids.get(Purpose.DISKS),
            api_server_access_profile=self._api_server(site, network),
            network_profile=containerservice.ContainerServiceNetworkProfileArgs(
                network_plugin="azure",
                network_plugin_mode="overlay",
                network_dataplane="cilium",
                network_policy="cilium",
                load_balancer_sku="standard",
                outbound_type="userAssignedNATGateway",  # also of the subnet of a network that is there already
                pod_cidr=site.addresses.pods,
                service_cidr=site.addresses.services,
                dns_service_ip=site.addresses.dns_service,
            ),
            # Spot first, by a ConfigMap of priorities that the serving stack writes; by chance while there is none.
            auto_scaler_profile=containerservice.ManagedClusterPropertiesAutoScalerProfileArgs(expander="priority"),
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch" if upgrades.automatic == "patch" else "none",
                node_os_upgrade_channel="NodeImage" if upgrades.automatic == "patch" else "None",
            ),
            agent_pool_profiles=[self._system_pool(site, network)],
            tags=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self.permissions, *base.keys.grants],
                protect=site.environment.protect,
                ignore_changes=["agentPoolProfiles[0].count", *FIXED],  # the count is the autoscaler's to change
            ),
        )
        self.windows = [self._window(name, site, network, purpose, index) for purpose, index in WINDOWS.items()]
        self.diagnostics = diagnostics(
            name, site, self, self.cluster.id, base.logs.destination, list(LOGS), "Dedicated"
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
            for index, principal in enumerate(_spec(site).administrators)
        ]
        self.guards = guards(name, site, self, self.cluster.id)
        self.register_outputs({"name": self.cluster.name})

    def _identity(
        self, name: str, site: Site, network: provider.Network, part: str
    ) -> managedidentity.UserAssignedIdentity:
        return managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=network.scope,
            resource_name_=site.name(part),
            location=site.spec.region,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _permit(self, name: str, site: Site, base: Base) -> list[authorization.RoleAssignment]:
        """Give the cluster's identity what it needs beforehand: network, node identity, and the keys it uses."""
        wanted: dict[str, tuple[str, pulumi.Input[str]]] = {
            "joins-network": (roles.NETWORK_CONTRIBUTOR, base.network.id),
            "hands-out-node-identity": (roles.IDENTITY_OPERATOR, self.node_identity.id),
        }
        keys = base.keys.component
        assert isinstance(keys, Keys)
        secrets = keys.scope_of(Purpose.SECRETS)
        if secrets is not None and keys.disks is not None:
            wanted["uses-key"] = (roles.KEY_USER, secrets)
            wanted["reads-disk-encryption"] = (roles.READER, keys.disks.id)
        principal = self.identity.principal_id
        # What the nodes' disks were made with stays, and so does the right to use it.
        kept = {"uses-key", "reads-disk-encryption"} if site.environment.keys.keep else set()
        return [
            roles.assign(f"{name}-{part}", site, self, role=role, scope=scope, principal=principal, kept=part in kept)
            for part, (role, scope) in wanted.items()
        ]

    def _api_server(
        self, site: Site, network: provider.Network
    ) -> containerservice.ManagedClusterAPIServerAccessProfileArgs:
        """Return who reaches the API server; in a network of ours it stands in a subnet, so nodes never leave it.

        In a network that is there already nodes come to a public one like anybody: the address by which they leave must
        be among the authorised. Source: api-server-authorized-ip-ranges.md of azure-aks-docs, as above.
        """
        networks = site.authorised_networks
        subnet = _of(network).api_subnet
        return containerservice.ManagedClusterAPIServerAccessProfileArgs(
            authorized_ip_ranges=networks or None,
            enable_private_cluster=not networks,
            disable_run_command=True,
            enable_vnet_integration=True if subnet is not None else None,
            subnet_id=subnet,
        )

    def _system_pool(
        self, site: Site, network: provider.Network
    ) -> containerservice.ManagedClusterAgentPoolProfileArgs:
        """Return the one inline pool, for the cluster's own pods; a change of any other inline pool would touch all."""
        (share,) = system_shares(site)
        return containerservice.ManagedClusterAgentPoolProfileArgs(
            name=share.name,
            mode="System",
            type="VirtualMachineScaleSets",
            vm_size=share.machine.types[Cloud.AZURE][0],
            os_type="Linux",
            os_disk_size_gb=64,
            enable_auto_scaling=True,
            count=share.nodes_min,
            min_count=share.nodes_min,
            max_count=share.nodes_max,
            availability_zones=list(_spec(site).zones),
            enable_encryption_at_host=True,
            enable_node_public_ip=False,
            security_profile=verified_at_boot(share.machine),
            vnet_subnet_id=network.subnets[0],
            node_labels=share.labels,
            node_taints=[SYSTEM_TAINT],
            upgrade_settings=containerservice.AgentPoolUpgradeSettingsArgs(max_surge="33%"),
            tags=site.labels,
        )

    def _window(
        self, name: str, site: Site, network: provider.Network, purpose: str, index: int
    ) -> containerservice.MaintenanceConfiguration:
        upgrades = site.environment.upgrades
        return containerservice.MaintenanceConfiguration(
            f"{name}-window-{purpose}",
            resource_group_name=network.scope,
            resource_name_=self.cluster.name,
            config_name=purpose,
            maintenance_window=containerservice.MaintenanceWindowArgs(
                duration_hours=upgrades.hours,
                start_time=upgrades.start_utc,
                utc_offset="+00:00",
                schedule=containerservice.ScheduleArgs(
                    weekly=containerservice.WeeklyScheduleArgs(
                        day_of_week=upgrades.days[index].capitalize(), interval_weeks=1
                    )
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _spec(site: Site) -> AzureSpec:
    spec = site.spec
    assert isinstance(spec, AzureSpec)
    return spec


def _of(network: provider.Network) -> Network:
    assert isinstance(network.component, Network)
    return network.component


def system_shares(site: Site) -> tuple[PoolShare, ...]:
    """Return the pool of what the cluster runs for itself; never cut in two, for none of it is spot."""
    return tuple(one for one in provider.every_share(site.environment.pools) if one.pool == naming.SYSTEM_POOL)


def verified_at_boot(machine: Machine) -> containerservice.AgentPoolSecurityProfileArgs | None:
    """Return what nodes of a class are checked for while they boot; nothing on Arm, where AKS offers none of it.

    With accelerators it is only measured (vTPM): the driver that AKS installs on Ubuntu is not signed. Source:
    use-trusted-launch.md of azure-aks-docs @fb060abe6a8f, limitations, looked up on 2026-11-24.
    """
    if machine.architecture is Architecture.ARM64:
        return None
    return containerservice.AgentPoolSecurityProfileArgs(
        enable_vtpm=True, enable_secure_boot=machine.accelerator is None
    )


def guards(
    name: str, site: Site, parent: pulumi.Resource, resource: pulumi.Input[str]
) -> list[authorization.ManagementLockByScope]:
    """Guard a resource against deletion, by whoever it is, where the environment is protected."""
    if not site.environment.protect:
        return []
    return [
        authorization.ManagementLockByScope(
            f"{name}-guard",
            lock_name="trihull",
            scope=resource,
            level="CanNotDelete",
            notes="The environment says `protect: true`.",
            opts=pulumi.ResourceOptions(parent=parent),
        )
    ]


def cluster(site: Site, base: Base, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours.

    One that is there already is looked up. Its settings, administrators and logs are its owner's.
    """
    existing = _spec(site).existing.cluster
    if existing is None:
        made = Cluster("cluster", site, base, opts)
        return provider.Cluster(
            id=made.cluster.id,
            name=made.cluster.name,
            kubeconfig=_kubeconfig(site, made, base.network.scope, made.cluster.name, [made.cluster]),
            token_issuer=made.cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url if profile else ""),
            node_identity=made.node_identity.principal_id,
            component=made,
        )
    component = pulumi.ComponentResource("trihull:cluster:Cluster", "cluster", None, opts)
    group, name = arm.parsed(existing)
    found = containerservice.get_managed_cluster_output(
        resource_group_name=group, resource_name=name, opts=pulumi.InvokeOutputOptions(parent=component)
    )
    return provider.Cluster(
        id=pulumi.Output.from_input(existing),
        name=pulumi.Output.from_input(name),
        kubeconfig=_kubeconfig(site, component, group, name, []),
        token_issuer=found.oidc_issuer_profile.apply(lambda profile: (profile.issuer_url if profile else "") or ""),
        node_identity=found.identity_profile.apply(
            lambda profile: (profile["kubeletidentity"].object_id if profile else "") or ""
        ),
        component=component,
    )


def _kubeconfig(
    site: Site,
    parent: pulumi.Resource,
    group: pulumi.Input[str],
    name: pulumi.Input[str],
    after: list[pulumi.Resource],
) -> pulumi.Output[str]:
    # AKS tells its certificate authority nowhere but in a kubeconfig; ours differs in how a token is got.
    given = containerservice.list_managed_cluster_user_credentials_output(
        resource_group_name=group,
        resource_name=name,
        format="exec",
        opts=pulumi.InvokeOutputOptions(parent=parent, depends_on=after),
    )
    return pulumi.Output.secret(given.kubeconfigs.apply(lambda configs: _rendered(site, configs[0].value)))


def _rendered(site: Site, encoded: str) -> str:
    given: dict[str, Any] = yaml.safe_load(base64.b64decode(encoded))
    api_server = given["clusters"][0]["cluster"]
    arguments = ["get-token", "--login", "azurecli", "--server-id", ENTRA_SERVER]
    return kubeconfig.render(
        site.name(), api_server["server"], api_server["certificate-authority-data"], "kubelogin", arguments
    )
