"""Network on Google Cloud: a VPC with one regional subnet; nodes have no public address and leave by Cloud NAT."""

import pulumi
from pulumi_gcp import compute, projects

from trihull_infra import provider
from trihull_infra.provider import Site

APIS = ("artifactregistry", "compute", "container", "iam", "storage")
PODS, SERVICES = "pods", "services"  # names of the subnet's secondary ranges


class Network(pulumi.ComponentResource):
    """The project's APIs, VPC, subnet, router and NAT."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.apis = [
            projects.Service(
                f"{name}-api-{api}",
                service=f"{api}.googleapis.com",
                disable_on_destroy=False,  # the project may use it for other things
                opts=child,
            )
            for api in APIS
        ]
        self.network = compute.Network(
            f"{name}-network",
            name=site.name(),
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=pulumi.ResourceOptions(parent=self, depends_on=self.apis),
        )
        self.subnet = compute.Subnetwork(
            f"{name}-private",
            name=site.name("private"),
            network=self.network.id,
            region=site.spec.region,
            ip_cidr_range=site.addresses.nodes,
            private_ip_google_access=True,
            secondary_ip_ranges=[
                compute.SubnetworkSecondaryIpRangeArgs(range_name=PODS, ip_cidr_range=site.addresses.pods),
                compute.SubnetworkSecondaryIpRangeArgs(range_name=SERVICES, ip_cidr_range=site.addresses.services),
            ],
            opts=child,
        )
        self.router = compute.Router(
            f"{name}-router", name=site.name("router"), network=self.network.id, region=site.spec.region, opts=child
        )
        self.nat = compute.RouterNat(
            f"{name}-nat",
            name=site.name("nat"),
            router=self.router.name,
            region=site.spec.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            log_config=compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
            opts=child,
        )
        self.register_outputs({"networkId": self.network.id})


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make a private network over the site's zones with a way out (NAT) and none in."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=pulumi.Output.from_input(site.spec.account),
        id=made.network.id,
        subnets=[made.subnet.id],
        public_subnets=[],
        component=made,
    )
