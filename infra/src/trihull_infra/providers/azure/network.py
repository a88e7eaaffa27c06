"""Network on Azure: a virtual network with one subnet; nodes have no public address and leave by NAT gateway."""

import pulumi
from pulumi_azure_native import network as azure_network
from pulumi_azure_native import resources

from trihull_infra import provider
from trihull_infra.provider import Site


class Network(pulumi.ComponentResource):
    """Resource group, virtual network, subnet and NAT gateway."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        region, labels = site.spec.region, site.labels
        self.group = resources.ResourceGroup(
            f"{name}-group", resource_group_name=site.name(), location=region, tags=labels, opts=child
        )
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
        self.subnet = azure_network.Subnet(
            f"{name}-private",
            resource_group_name=self.group.name,
            virtual_network_name=self.network.name,
            subnet_name="private",
            address_prefix=site.addresses.nodes,
            default_outbound_access=False,
            nat_gateway=azure_network.SubResourceArgs(id=self.nat.id),
            opts=child,
        )
        self.register_outputs({"networkId": self.network.id})


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make a private network over the site's zones with a way out (NAT) and none in."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=made.group.name,
        id=made.network.id,
        subnets=[made.subnet.id],
        public_subnets=[],
        component=made,
    )
