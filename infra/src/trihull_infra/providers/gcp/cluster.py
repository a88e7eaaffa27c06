"""Cluster on Google Cloud: a regional GKE cluster with private nodes, workload identity and Dataplane V2.

Patches come inside a window; a minor version comes when the environment says so, and not before the one at hand loses
its support. The window has a minimum: 48 hours in any 32 days, in pieces of at least four. Source, 2026-11-24: Google
Cloud, "Configure maintenance windows and exclusions".
"""

import datetime
import math
from typing import Final

import pulumi
from pulumi_gcp import container, projects

from trihull_infra import kubeconfig, provider
from trihull_infra.provider import Purpose, Site
from trihull_infra.providers.gcp.network import ranges
from trihull_infra.providers.gcp.spec import GcpSpec

ADMINISTRATOR_ROLE: Final = "roles/container.admin"
WEEK_HOURS: Final = 12  # in every week, so that four of them, all that 32 days surely have, make 48
# Days as iCalendar's RRULE names them. What comes round begins on a Monday, so that the date says nothing else.
DAYS: Final = {
    "monday": "MO",
    "tuesday": "TU",
    "wednesday": "WE",
    "thursday": "TH",
    "friday": "FR",
    "saturday": "SA",
    "sunday": "SU",
}
FIRST_DAY: Final = datetime.date(2026, 1, 5)


class Cluster(pulumi.ComponentResource):
    """GKE cluster and its administrators; its default node pool is removed, ours are resources of their own."""

    def __init__(self, name: str, site: Site, base: provider.Base, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:cluster:Cluster", name, None, opts)
        assert isinstance(site.spec, GcpSpec)
        self.cluster: container.Cluster | None = None
        self.administrators: list[projects.IAMMember] = []
        if site.spec.existing.cluster is not None:
            # How it is logged, upgraded and entered is its owner's.
            found = container.get_cluster_output(
                name=site.spec.existing.cluster,
                location=site.spec.region,
                project=site.spec.project,
                opts=pulumi.InvokeOutputOptions(parent=self),
            )
            place = f"projects/{site.spec.project}/locations/{site.spec.region}"
            self.cluster_id = pulumi.Output.from_input(f"{place}/clusters/{site.spec.existing.cluster}")
            self.cluster_name, self.endpoint = pulumi.Output.from_input(site.spec.existing.cluster), found.endpoint
            self.authority = found.master_auths.apply(lambda known: known[0].cluster_ca_certificate)
        else:
            made = self._made(name, site, site.spec, base)
            self.cluster = made
            self.cluster_id, self.cluster_name = made.id, made.name
            self.endpoint, self.authority = _reached(made, by_name=site.spec.dns_endpoint)
            self.administrators = [
                projects.IAMMember(
                    f"{name}-administrator-{index}",
                    project=base.network.scope,
                    role=ADMINISTRATOR_ROLE,
                    member=principal,
                    opts=pulumi.ResourceOptions(parent=self),
                )
                for index, principal in enumerate(site.spec.administrators)
            ]
        self.register_outputs({"name": self.cluster_name})

    def _made(self, name: str, site: Site, spec: GcpSpec, base: provider.Base) -> container.Cluster:
        networks, guarded = site.authorised_networks, site.environment.protect
        pods, services = ranges(site)
        key = base.keys.ids.get(Purpose.SECRETS)
        extended = site.environment.upgrades.support == "extended"
        return container.Cluster(
            f"{name}-cluster",
            name=site.name(),
            location=spec.region,  # regional: the control plane survives a zone, at the price of a zonal one
            node_locations=list(spec.zones),
            min_master_version=site.environment.kubernetes_version,
            release_channel=container.ClusterReleaseChannelArgs(channel="EXTENDED" if extended else "REGULAR"),
            maintenance_policy=maintenance(site),
            deletion_protection=guarded,
            remove_default_node_pool=True,
            initial_node_count=1,
            network=base.network.id,
            subnetwork=base.network.subnets[0],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=pods, services_secondary_range_name=services
            ),
            datapath_provider="ADVANCED_DATAPATH",
            private_cluster_config=container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True, enable_private_endpoint=not networks
            ),
            # A name of Google's, open to whoever IAM lets in: how CI reaches a cluster without an address outside.
            control_plane_endpoints_config=container.ClusterControlPlaneEndpointsConfigArgs(
                dns_endpoint_config=container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
                    allow_external_traffic=spec.dns_endpoint
                )
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
            # Whoever shows no identity reads whether the server is well, and can be given nothing else.
            anonymous_authentication_config=container.ClusterAnonymousAuthenticationConfigArgs(mode="LIMITED"),
            rbac_binding_config=container.ClusterRbacBindingConfigArgs(
                enable_insecure_binding_system_authenticated=False,
                enable_insecure_binding_system_unauthenticated=False,
            ),
            # Said either way: the provider leaves as it is what is not said, and the key may be gone by then.
            database_encryption=container.ClusterDatabaseEncryptionArgs(state="ENCRYPTED", key_name=key)
            if key is not None
            else container.ClusterDatabaseEncryptionArgs(state="DECRYPTED"),
            enable_shielded_nodes=True,
            enable_intranode_visibility=True,
            workload_identity_config=container.ClusterWorkloadIdentityConfigArgs(workload_pool=_pool(site)),
            security_posture_config=container.ClusterSecurityPostureConfigArgs(
                mode="BASIC", vulnerability_mode="VULNERABILITY_DISABLED"
            ),
            cost_management_config=container.ClusterCostManagementConfigArgs(enabled=True),
            logging_config=container.ClusterLoggingConfigArgs(
                enable_components=[
                    "SYSTEM_COMPONENTS",
                    "WORKLOADS",
                    "APISERVER",
                    "CONTROLLER_MANAGER",
                    "SCHEDULER",
                ]
            ),
            monitoring_config=container.ClusterMonitoringConfigArgs(
                enable_components=["SYSTEM_COMPONENTS"],
                managed_prometheus=container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
            ),
            resource_labels=site.labels,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[base.network.component, base.logs.component, *base.keys.grants],
                protect=guarded,
            ),
        )


def maintenance(site: Site) -> container.ClusterMaintenancePolicyArgs:
    """Return when GKE may patch: in the environment's window, made longer where it is less than GKE takes."""
    upgrades = site.environment.upgrades
    hour, minute = (int(part) for part in upgrades.start_utc.split(":"))
    start = datetime.datetime.combine(FIRST_DAY, datetime.time(hour, minute))
    hours = max(upgrades.hours, math.ceil(WEEK_HOURS / len(upgrades.days)))
    days = ",".join(short for day, short in DAYS.items() if day in upgrades.days)
    # With `automatic: none` nodes keep their patch too. The control plane's own patches cannot be refused for long.
    scope = "NO_MINOR_UPGRADES" if upgrades.automatic == "patch" else "NO_MINOR_OR_NODE_UPGRADES"
    return container.ClusterMaintenancePolicyArgs(
        recurring_window=container.ClusterMaintenancePolicyRecurringWindowArgs(
            start_time=f"{start.isoformat()}Z",
            end_time=f"{(start + datetime.timedelta(hours=hours)).isoformat()}Z",
            recurrence=f"FREQ=WEEKLY;BYDAY={days}",
        ),
        maintenance_exclusions=[
            container.ClusterMaintenancePolicyMaintenanceExclusionArgs(
                exclusion_name="minor-versions-by-hand",
                start_time=f"{FIRST_DAY.isoformat()}T00:00:00Z",
                exclusion_options=container.ClusterMaintenancePolicyMaintenanceExclusionExclusionOptionsArgs(
                    scope=scope, end_time_behavior="UNTIL_END_OF_SUPPORT"
                ),
            )
        ],
    )


def _pool(site: Site) -> str:
    """Return the workload pool: every cluster of a project has the same."""
    return f"{site.spec.account}.svc.id.goog"


def _reached(made: container.Cluster, *, by_name: bool) -> tuple[pulumi.Output[str], pulumi.Output[str | None]]:
    """Return where the API server answers, and its authority; GKE's DNS name has a certificate that all trust."""
    if not by_name:
        return made.endpoint, made.master_auth.apply(lambda known: known.cluster_ca_certificate or "")
    name = made.control_plane_endpoints_config.apply(
        lambda known: (known.dns_endpoint_config.endpoint or "") if known.dns_endpoint_config else ""
    )
    return name, pulumi.Output.from_input(None)


def cluster(site: Site, base: provider.Base, opts: pulumi.ResourceOptions) -> provider.Cluster:
    """Make the cluster: logged, its API server restricted, its administrators named, without nodes of ours."""
    made = Cluster("cluster", site, base, opts)
    rendered = pulumi.Output.all(made.cluster_name, made.endpoint, made.authority).apply(
        lambda known: kubeconfig.render(
            known[0],
            known[1] if known[1].startswith("https://") else f"https://{known[1]}",
            known[2],
            "gke-gcloud-auth-plugin",
            [],
        )
    )
    return provider.Cluster(
        id=made.cluster_id,
        name=made.cluster_name,
        kubeconfig=pulumi.Output.secret(rendered),
        token_issuer=pulumi.Output.from_input(_pool(site)),
        node_identity=None,
        component=made,
    )
