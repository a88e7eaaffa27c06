"""Network on AWS: a VPC with a private and a public subnet in each zone; nodes are in private ones and leave by NAT."""

import pulumi
from pulumi_aws import ec2

from trihull_infra import provider
from trihull_infra.provider import Site


class Network(pulumi.ComponentResource):
    """VPC, subnets, NAT and routes."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.vpc = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=site.addresses.network,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={**site.labels, "Name": site.name()},
            opts=child,
        )
        # The default group would let everything in it talk; taken over without rules it lets nothing.
        self.default_security_group = ec2.DefaultSecurityGroup(
            f"{name}-default-security-group", vpc_id=self.vpc.id, tags=site.labels, opts=child
        )
        self.internet_gateway = ec2.InternetGateway(
            f"{name}-internet-gateway", vpc_id=self.vpc.id, tags={**site.labels, "Name": site.name()}, opts=child
        )
        self.public_subnets = self._subnets(name, site, public=True)
        self.subnets = self._subnets(name, site, public=False)
        self.nat_gateways = self._nat(name, site)
        self.routes = self._routes(name, site)
        self.register_outputs({"vpcId": self.vpc.id})

    def _subnets(self, name: str, site: Site, *, public: bool) -> list[ec2.Subnet]:
        blocks = site.addresses.public_by_zone if public else site.addresses.nodes_by_zone
        kind, role = ("public", "elb") if public else ("private", "internal-elb")
        return [
            ec2.Subnet(
                f"{name}-{kind}-{index}",
                vpc_id=self.vpc.id,
                availability_zone=zone,
                cidr_block=block,
                map_public_ip_on_launch=False,
                tags={
                    **site.labels,
                    "Name": site.name(kind, str(index)),
                    f"kubernetes.io/role/{role}": "1",  # where load balancers are put
                },
                opts=pulumi.ResourceOptions(parent=self),
            )
            for index, (zone, block) in enumerate(zip(site.spec.zones, blocks, strict=True))
        ]

    def _nat(self, name: str, site: Site) -> list[ec2.NatGateway]:
        """Make one NAT gateway for each zone in a protected environment, one for all (and cheaper) elsewhere."""
        gateways = []
        for index, subnet in enumerate(self.public_subnets if site.environment.protect else self.public_subnets[:1]):
            tags = {**site.labels, "Name": site.name("nat", str(index))}
            address = ec2.Eip(
                f"{name}-nat-address-{index}", domain="vpc", tags=tags, opts=pulumi.ResourceOptions(parent=self)
            )
            gateways.append(
                ec2.NatGateway(
                    f"{name}-nat-{index}",
                    allocation_id=address.allocation_id,
                    subnet_id=subnet.id,
                    tags=tags,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[self.internet_gateway]),
                )
            )
        return gateways

    def _routes(self, name: str, site: Site) -> list[ec2.Route]:
        routes = [self._table(name, site, "public", self.public_subnets, gateway_id=self.internet_gateway.id)]
        for index, subnet in enumerate(self.subnets):
            nat = self.nat_gateways[min(index, len(self.nat_gateways) - 1)]
            routes.append(self._table(name, site, f"private-{index}", [subnet], nat_gateway_id=nat.id))
        return routes

    def _table(
        self,
        name: str,
        site: Site,
        kind: str,
        subnets: list[ec2.Subnet],
        *,
        gateway_id: pulumi.Output[str] | None = None,
        nat_gateway_id: pulumi.Output[str] | None = None,
    ) -> ec2.Route:
        child = pulumi.ResourceOptions(parent=self)
        tags = {**site.labels, "Name": site.name(kind)}
        table = ec2.RouteTable(f"{name}-{kind}-routes", vpc_id=self.vpc.id, tags=tags, opts=child)
        for subnet in subnets:
            ec2.RouteTableAssociation(
                f"{subnet._name}-routes", route_table_id=table.id, subnet_id=subnet.id, opts=child
            )
        return ec2.Route(
            f"{name}-{kind}-out",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
            opts=child,
        )


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make a private network over the site's zones with a way out (NAT) and none in."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=pulumi.Output.from_input(site.spec.account),
        id=made.vpc.id,
        subnets=[subnet.id for subnet in made.subnets],
        public_subnets=[subnet.id for subnet in made.public_subnets],
        component=made,
    )
