"""Network on Google Cloud: a VPC with one regional subnet; nodes have no public address and leave by Cloud NAT.

A subnet spans its region, so one holds the nodes of every zone. Google's own services (registry, bucket, Kubernetes'
API) are reached from it without the internet: Private Google Access, and names that lead to the addresses meant for it.
Names and addresses are those of Private Google Access as generally known; Google's page on it was not looked up.
"""

from typing import Final

import pulumi
from pulumi_gcp import compute, dns, projects

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.gcp.spec import GcpSpec

APIS: Final = (
    "artifactregistry",
    "cloudkms",
    "cloudresourcemanager",
    "compute",
    "container",
    "containerscanning",  # without it a repository's scanning, inherited from the project, is none
    "dns",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "storage",
    "sts",
)
PODS, SERVICES = "pods", "services"  # names of the subnet's secondary ranges
PRIVATE_ADDRESSES: Final = ("199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11")
# Domains of Google's services -> the name in them that has the addresses; every other name in them follows it.
PRIVATE_DOMAINS: Final = {"googleapis.com": "private.googleapis.com", "pkg.dev": "pkg.dev"}
NAME_TTL_S: Final = 300


class Network(pulumi.ComponentResource):
    """The project's APIs, and what no existing network has in its stead: VPC, subnet, router, NAT, private names."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        assert isinstance(site.spec, GcpSpec)
        self.apis = [
            projects.Service(
                f"{name}-api-{api}",
                service=f"{api}.googleapis.com",
                disable_on_destroy=False,  # the project may use it for other things
                opts=child,
            )
            for api in APIS
        ]
        self.network: compute.Network | None = None
        self.subnet: compute.Subnetwork | None = None
        self.zones: list[dns.ManagedZone] = []
        self.names: list[dns.RecordSet] = []
        given = site.spec.existing.network
        if given is not None:
            # Its routes, ways out and logs are its owner's. The ids follow from the names, so nothing is asked.
            host = given.project or site.spec.project
            self.network_id = pulumi.Output.from_input(f"projects/{host}/global/networks/{given.name}")
            self.subnet_id = pulumi.Output.from_input(
                f"projects/{host}/regions/{site.spec.region}/subnetworks/{given.subnet}"
            )
        else:
            self.network, self.subnet = self._made(name, site)
            self.network_id, self.subnet_id = self.network.id, self.subnet.id
            if site.environment.network.private_endpoints:
                self._private_names(name, site, self.network)
        self.register_outputs({"networkId": self.network_id})

    def _made(self, name: str, site: Site) -> tuple[compute.Network, compute.Subnetwork]:
        child = pulumi.ResourceOptions(parent=self)
        logged = site.environment.network.flow_logs
        network = compute.Network(
            f"{name}-network",
            name=site.name(),
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=pulumi.ResourceOptions(parent=self, depends_on=self.apis),
        )
        subnet = compute.Subnetwork(
            f"{name}-private",
            name=site.name("private"),
            network=network.id,
            region=site.spec.region,
            ip_cidr_range=site.addresses.nodes,
            private_ip_google_access=True,
            secondary_ip_ranges=[
                compute.SubnetworkSecondaryIpRangeArgs(range_name=PODS, ip_cidr_range=site.addresses.pods),
                compute.SubnetworkSecondaryIpRangeArgs(range_name=SERVICES, ip_cidr_range=site.addresses.services),
            ],
            # Every other connection, put together over ten minutes: enough to say who spoke with whom.
            log_config=compute.SubnetworkLogConfigArgs(
                aggregation_interval="INTERVAL_10_MIN", flow_sampling=0.5, metadata="INCLUDE_ALL_METADATA"
            )
            if logged
            else None,
            opts=child,
        )
        self.router = compute.Router(
            f"{name}-router", name=site.name("router"), network=network.id, region=site.spec.region, opts=child
        )
        self.nat = compute.RouterNat(
            f"{name}-nat",
            name=site.name("nat"),
            router=self.router.name,
            region=site.spec.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            log_config=compute.RouterNatLogConfigArgs(enable=True, filter="ALL" if logged else "ERRORS_ONLY"),
            opts=child,
        )
        return network, subnet

    def _private_names(self, name: str, site: Site, network: compute.Network) -> None:
        """Let the names of Google's services lead to addresses that only a private network reaches."""
        for domain, target in PRIVATE_DOMAINS.items():
            short = domain.partition(".")[0]
            zone = dns.ManagedZone(
                f"{name}-{short}",
                name=site.name(short),
                dns_name=f"{domain}.",
                description=f"Google's services, reached privately from {site.name()}",
                visibility="private",
                private_visibility_config=dns.ManagedZonePrivateVisibilityConfigArgs(
                    networks=[dns.ManagedZonePrivateVisibilityConfigNetworkArgs(network_url=network.id)]
                ),
                labels=site.labels,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.zones.append(zone)
            records = {f"{target}.": ("A", list(PRIVATE_ADDRESSES)), f"*.{domain}.": ("CNAME", [f"{target}."])}
            for index, (record, (kind, values)) in enumerate(records.items()):
                self.names.append(
                    dns.RecordSet(
                        f"{name}-{short}-{'all' if index else 'addresses'}",
                        managed_zone=zone.name,
                        name=record,
                        type=kind,
                        ttl=NAME_TTL_S,
                        rrdatas=values,
                        opts=pulumi.ResourceOptions(parent=self),
                    )
                )


def ranges(site: Site) -> tuple[str, str]:
    """Return the names of the subnet's secondary ranges, for pods and for services."""
    assert isinstance(site.spec, GcpSpec)
    given = site.spec.existing.network
    return (PODS, SERVICES) if given is None else (given.pods_range, given.services_range)


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make a private network over the site's zones with a way out (NAT) and none in."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=pulumi.Output.from_input(site.spec.account),
        id=made.network_id,
        subnets=[made.subnet_id],
        public_subnets=[],
        component=made,
    )
