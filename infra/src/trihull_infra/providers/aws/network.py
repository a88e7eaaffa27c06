"""Network on AWS: a VPC with a private and a public subnet in each zone; nodes are in private ones and leave by NAT.

What nodes need of AWS they reach inside the VPC: S3 by a gateway, which costs nothing, the rest by interface endpoints,
each of which costs by the hour in every zone that it stands in (docs/providers.md).
"""

from typing import Final

import pulumi
from pulumi_aws import ec2

from trihull_infra import provider
from trihull_infra.errors import SpecError
from trihull_infra.provider import Site
from trihull_infra.providers.aws.spec import AwsSpec, ExistingNetwork

# What nodes and their agents call: images, tokens of pods, the CNI's addresses, logs, the autoscaler's groups.
# Source: AWS, EKS user guide, "Deploy private clusters with limited internet access" (general knowledge of it; the page
# itself was not looked up).
ENDPOINTS: Final = ("autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "logs", "sts")


class Network(pulumi.ComponentResource):
    """VPC, subnets, NAT, routes and endpoints; or a VPC that is there, of which nothing is changed."""

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("trihull:network:Network", name, None, opts)
        assert isinstance(site.spec, AwsSpec)
        self.route_tables: list[ec2.RouteTable] = []
        self.route_table_associations: list[ec2.RouteTableAssociation] = []
        self.private_route_tables: list[ec2.RouteTable] = []
        self.endpoints: list[ec2.VpcEndpoint] = []
        existing = site.spec.existing.network
        if existing is None:
            self._make(name, site)
        else:
            self._find(existing)
        self.register_outputs({"vpcId": self.id})

    def _find(self, existing: ExistingNetwork) -> None:
        """Use a network as it is: its routes, endpoints and flow logs are its owner's."""
        self.id = pulumi.Output.from_input(existing.id)
        self.subnet_ids = [self._private(existing.id, subnet) for subnet in existing.private_subnets]
        self.public_subnet_ids = [pulumi.Output.from_input(subnet) for subnet in existing.public_subnets]

    def _private(self, network: str, subnet: str) -> pulumi.Output[str]:
        """Return a subnet's id; the program ends with an error when it is in another network, or public."""
        opts = pulumi.InvokeOutputOptions(parent=self)
        found = ec2.get_subnet_output(id=subnet, vpc_id=network, opts=opts)
        return found.map_public_ip_on_launch.apply(lambda public: private(subnet, public=public))

    def _make(self, name: str, site: Site) -> None:
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
        self.nat_addresses: list[ec2.Eip] = []
        self.nat_gateways = self._nat(name, site)
        self.routes = self._routes(name, site)
        if site.environment.network.private_endpoints:
            self._endpoints(name, site)
        self.id = self.vpc.id
        self.subnet_ids = [subnet.id for subnet in self.subnets]
        self.public_subnet_ids = [subnet.id for subnet in self.public_subnets]

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
            for index, (zone, block) in enumerate(zip(site.spec.zone_names, blocks, strict=True))
        ]

    def _nat(self, name: str, site: Site) -> list[ec2.NatGateway]:
        """Make one NAT gateway for each zone in a protected environment, one for all (and cheaper) elsewhere."""
        gateways = []
        for index, subnet in enumerate(self.public_subnets if site.environment.protect else self.public_subnets[:1]):
            tags = {**site.labels, "Name": site.name("nat", str(index))}
            address = ec2.Eip(
                f"{name}-nat-address-{index}", domain="vpc", tags=tags, opts=pulumi.ResourceOptions(parent=self)
            )
            self.nat_addresses.append(address)
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
        self.private_route_tables = self.route_tables[1:]
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
        self.route_tables.append(table)
        self.route_table_associations += [
            ec2.RouteTableAssociation(
                f"{subnet._name}-routes", route_table_id=table.id, subnet_id=subnet.id, opts=child
            )
            for subnet in subnets
        ]
        return ec2.Route(
            f"{name}-{kind}-out",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
            opts=child,
        )

    def _endpoints(self, name: str, site: Site) -> None:
        """Make the gateway of S3 and an interface for each other service, in one zone where NAT is in one as well."""
        tags = {**site.labels, "Name": site.name("endpoints")}
        self.endpoints_security_group = ec2.SecurityGroup(
            f"{name}-endpoints-security-group",
            name=site.name("endpoints"),
            description="HTTPS from inside the network to endpoints of AWS",
            vpc_id=self.vpc.id,
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp", from_port=443, to_port=443, cidr_blocks=[site.addresses.network]
                )
            ],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.endpoints.append(
            ec2.VpcEndpoint(
                f"{name}-endpoint-s3",
                vpc_id=self.vpc.id,
                service_name=f"com.amazonaws.{site.spec.region}.s3",
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in self.private_route_tables],
                tags={**site.labels, "Name": site.name("s3")},
                opts=pulumi.ResourceOptions(parent=self),
            )
        )
        for service in ENDPOINTS:
            self.endpoints.append(
                ec2.VpcEndpoint(
                    f"{name}-endpoint-{service}",
                    vpc_id=self.vpc.id,
                    service_name=f"com.amazonaws.{site.spec.region}.{service}",
                    vpc_endpoint_type="Interface",
                    private_dns_enabled=True,
                    subnet_ids=[
                        subnet.id for subnet in (self.subnets if site.environment.protect else self.subnets[:1])
                    ],
                    security_group_ids=[self.endpoints_security_group.id],
                    tags={**site.labels, "Name": site.name(service)},
                    opts=pulumi.ResourceOptions(parent=self),
                )
            )


def private(subnet: str, *, public: bool) -> str:
    """Return a subnet that is there; raises SpecError when machines get public addresses in it: EKS would let them."""
    if public:
        raise SpecError(
            f"existing.network.private_subnets: {subnet} gives machines public addresses; name a subnet that does not "
            "(its MapPublicIpOnLaunch is false)"
        )
    return subnet


def network(site: Site, opts: pulumi.ResourceOptions) -> provider.Network:
    """Make a private network over the site's zones with a way out (NAT) and none in."""
    made = Network("network", site, opts)
    return provider.Network(
        scope=pulumi.Output.from_input(site.spec.account),
        id=made.id,
        subnets=made.subnet_ids,
        public_subnets=made.public_subnet_ids,
        component=made,
    )
