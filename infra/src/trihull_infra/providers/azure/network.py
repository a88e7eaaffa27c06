"""Network on Azure: a virtual network whose nodes have no public address and leave by NAT gateway."""

import pulumi
from pulumi_azure_native import network as azure_network
from pulumi_azure_native import privatedns, resources

from trihull_infra import provider
from trihull_infra.provider import Site
from trihull_infra.providers.azure.endpoints import ZONES, PrivateAccess, Service
from trihull_infra.providers.azure.spec import AzureSpec, ExistingNetwork

# What the API server's own subnet is delegated to: Azure documentation, "Use API Server VNet Integration in AKS",
# MicrosoftDocs/azure-aks-docs articles/aks/api-server-vnet-integration.md @fb060abe6a8f, looked up on 2026-11-24.
API_SERVER = "Microsoft.ContainerService/managedClusters"


class Network(pulumi.ComponentResource):
    """Resource group, virtual network, subnets and NAT gateway; the zones of names that are reached privately.

    Of a network that is there already only the group is made, and what belongs to private endpoints: these lie in our
    group, and change nothing of the network's own (routes, flow logs and the way out are its owner's).
    """

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        spec = site.spec
        assert isinstance(spec, AzureSpec)
        self.group = resources.ResourceGroup(
            f"{name}-group",
            resource_group_name=site.name(),
            location=spec.region,
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.network: azure_network.VirtualNetwork | None = None
        self.nat_address: azure_network.PublicIPAddress | None = None
        self.nat: azure_network.NatGateway | None = None
        self.subnets: list[azure_network.Subnet] = []
        self.api_subnet: pulumi.Output[str] | None = None
        self.zones: dict[Service, privatedns.PrivateZone] = {}
        self.links: list[privatedns.VirtualNetworkLink] = []
        given = spec.existing.network
        self.id, self.nodes, endpoints = self._make(name, site) if given is None else self._take(given)
        self.access = self._private(name, site, endpoints) if site.environment.network.private_endpoints else None
        self.register_outputs({"networkId": self.id})

    def _make(self, name: str, site: Site) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str] | None]:
        child = pulumi.ResourceOptions(parent=self)
        region, labels = site.spec.region, site.labels
        self.network = azure_network.VirtualNetwork(
            f"{name}-network",
            resource_group_name=self.group.name,
            virtual_network_name=site.name(),
            location=region,
            address_space=azure_network.AddressSpaceArgs(address_prefixes=[site.addresses.network]),
            tags=labels,
            # Subnets are resources of their own; an inline list would delete them at the next update.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnets"]),
        )
        self.nat_address = azure_network.PublicIPAddress(
            f"{name}-nat-address",
            resource_group_name=self.group.name,
            public_ip_address_name=site.name("nat"),
            location=region,
            public_ip_allocation_method="Static",
            sku=azure_network.PublicIPAddressSkuArgs(name="Standard"),
            tags=labels,
            opts=child,
        )
        self.nat = azure_network.NatGateway(
            f"{name}-nat",
            resource_group_name=self.group.name,
            nat_gateway_name=site.name("nat"),
            location=region,
            sku=azure_network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[azure_network.SubResourceArgs(id=self.nat_address.id)],
            tags=labels,
            opts=child,
        )
        nodes = azure_network.Subnet(
            f"{name}-private",
            resource_group_name=self.group.name,
            virtual_network_name=self.network.name,
            subnet_name="private",
            address_prefix=site.addresses.nodes,
            default_outbound_access=False,
            nat_gateway=azure_network.SubResourceArgs(id=self.nat.id),
            opts=child,
        )
        self.subnets.append(nodes)
        # The ranges that other clouds need for public addresses are free here. The API server's subnet is always there:
        # a cluster that stands in it can not leave it again.
        reached, api_server = site.addresses.public_by_zone[:2]
        self.api_subnet = self._subnet(name, "api-server", api_server, API_SERVER).id
        if not site.environment.network.private_endpoints:
            return self.network.id, nodes.id, None
        return self.network.id, nodes.id, self._subnet(name, "endpoints", reached, None).id

    def _subnet(self, name: str, part: str, addresses: str, delegate: str | None) -> azure_network.Subnet:
        assert self.network is not None
        made = azure_network.Subnet(
            f"{name}-{part}",
            resource_group_name=self.group.name,
            virtual_network_name=self.network.name,
            subnet_name=part,
            address_prefix=addresses,
            default_outbound_access=False,
            delegations=[azure_network.DelegationArgs(name="aks", service_name=delegate)] if delegate else None,
            # A virtual network takes one change at a time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.subnets[-1]]),
        )
        self.subnets.append(made)
        return made

    def _take(self, given: ExistingNetwork) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str]]:
        subnets = f"{given.id}/subnets"
        endpoints = given.endpoints_subnet or given.subnet
        network, nodes, reached = given.id, f"{subnets}/{given.subnet}", f"{subnets}/{endpoints}"
        return pulumi.Output.from_input(network), pulumi.Output.from_input(nodes), pulumi.Output.from_input(reached)

    def _private(self, name: str, site: Site, endpoints: pulumi.Output[str] | None) -> PrivateAccess:
        assert endpoints is not None
        for service, zone_name in ZONES.items():
            zone = privatedns.PrivateZone(
                f"{name}-{service}-zone",
                resource_group_name=self.group.name,
                private_zone_name=zone_name,
                location="Global",
                tags=site.labels,
                opts=pulumi.ResourceOptions(parent=self),
            )
            link = privatedns.VirtualNetworkLink(
                f"{name}-{service}-zone-link",
                resource_group_name=self.group.name,
                private_zone_name=zone.name,
                virtual_network_link_name=site.name(),
                location="Global",
                registration_enabled=False,
                virtual_network=privatedns.SubResourceArgs(id=self.id),
                tags=site.labels,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.zones[service] = zone
            self.links.append(link)
        return PrivateAccess(endpoints, self.zones)


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make a private network over the site's zones with a way out (NAT) and none in."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=made.group.name,
        id=made.id,
        subnets=[made.nodes],
        public_subnets=[],
        component=made,
    )
