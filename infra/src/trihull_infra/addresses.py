"""Address plan of the sites' networks: the sites of an environment never overlap, so they can be joined later."""

import ipaddress
from dataclasses import dataclass

from trihull_infra.cloud import Cloud


@dataclass(frozen=True)
class Addresses:
    """The address ranges of one site, in CIDR notation.

    `network` is the whole; `nodes` is the part for machines where a subnet spans the region, and `nodes_by_zone` cuts
    it up where a subnet belongs to a zone; `public_by_zone` holds what must have public addresses (NAT). `pods` is used
    where pods do not take addresses of the machines' subnets, `services` are the clusters' virtual addresses.
    """

    network: str
    nodes: str
    nodes_by_zone: tuple[str, ...]
    public_by_zone: tuple[str, ...]
    pods: str
    services: str
    dns_service: str


def plan(cloud: Cloud, zones: int) -> Addresses:
    """Return the addresses of a cloud's site: 10.16.0.0/16 for the first cloud, 10.17.0.0/16 for the next."""
    index = list(Cloud).index(cloud)
    network = ipaddress.ip_network(f"10.{16 + index}.0.0/16")
    nodes, *_, public = network.subnets(new_prefix=18)
    pods = ipaddress.ip_network(f"10.{64 + 4 * index}.0.0/14")
    services = ipaddress.ip_network(f"172.{16 + index}.0.0/16")
    return Addresses(
        network=str(network),
        nodes=str(nodes),
        nodes_by_zone=tuple(str(part) for part in list(nodes.subnets(new_prefix=20))[:zones]),
        public_by_zone=tuple(str(part) for part in list(public.subnets(new_prefix=24))[:zones]),
        pods=str(pods),
        services=str(services),
        dns_service=str(services[10]),
    )
