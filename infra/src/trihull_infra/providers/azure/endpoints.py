"""Private access on Azure: names that resolve inside a site's network, endpoints for them, and who else is let in.

Sources, looked up on 2026-11-24. Zone names and sub-resources: "Azure Private Endpoint private DNS zone values",
MicrosoftDocs/azure-docs articles/private-link/private-endpoint-dns.md (page of 2026-07-16). What a firewall takes (IPv4
that is public, no /31 or /32) and that its rules mean nothing to clients in the same region: articles/storage/common/
storage-network-security-limitations.md @03e5750af10b; a registry's is held to the same, its own page was not looked up.
"""

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import network as azure_network
from pulumi_azure_native import privatedns

from trihull_infra.provider import Site
from trihull_infra.spec.base import everybody


class Service(enum.StrEnum):
    """What is reached privately, by Azure's name of the sub-resource."""

    BLOBS = "blob"
    IMAGES = "registry"


ZONES: Final[Mapping[Service, str]] = {
    Service.BLOBS: "privatelink.blob.core.windows.net",
    Service.IMAGES: "privatelink.azurecr.io",
}


@dataclass(frozen=True)
class PrivateAccess:
    """Where endpoints stand and the zones in which their names are kept."""

    subnet: pulumi.Output[str]
    zones: Mapping[Service, privatedns.PrivateZone]


@dataclass(frozen=True)
class Endpoint:
    """A private endpoint of a resource, and the entry of its name in the zone."""

    endpoint: azure_network.PrivateEndpoint
    entry: azure_network.PrivateDnsZoneGroup


def endpoint(
    name: str,
    site: Site,
    parent: pulumi.Resource,
    access: PrivateAccess,
    group: pulumi.Input[str],
    service: Service,
    resource: pulumi.Input[str],
) -> Endpoint:
    """Make the endpoint through which a site's network reaches a resource."""
    zone = access.zones[service]
    made = azure_network.PrivateEndpoint(
        f"{name}-endpoint",
        resource_group_name=group,
        private_endpoint_name=site.name(service),
        location=site.spec.region,
        custom_network_interface_name=site.name(service),
        subnet=azure_network.SubnetArgs(id=access.subnet),
        private_link_service_connections=[
            azure_network.PrivateLinkServiceConnectionArgs(
                name=site.name(service), private_link_service_id=resource, group_ids=[service]
            )
        ],
        tags=site.labels,
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
    entry = azure_network.PrivateDnsZoneGroup(
        f"{name}-endpoint-name",
        resource_group_name=group,
        private_endpoint_name=made.name,
        private_dns_zone_group_name="default",
        private_dns_zone_configs=[
            azure_network.PrivateDnsZoneConfigArgs(name=service, private_dns_zone_id=zone.id),
        ],
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return Endpoint(made, entry)


@dataclass(frozen=True)
class Firewall:
    """Who reaches a service over the internet: Azure's words for it."""

    public_access: str
    default_action: str
    addresses: tuple[str, ...]


def firewall(site: Site) -> Firewall:
    """Return who reaches registry and bucket over the internet: everybody with a role, the authorised, or nobody.

    Networks that Azure's firewalls take no rule for (IPv6, not public) are left out: from there nothing comes in by the
    internet anyway.
    """
    networks = site.authorised_networks
    if not site.environment.network.private_endpoints or everybody(networks) is not None:
        return Firewall("Enabled", "Allow", ())
    parts = [ipaddress.ip_network(network, strict=False) for network in networks]
    public = [part for part in parts if part.version == 4 and not _internal(part)]
    return Firewall("Enabled", "Deny", tuple(map(_rule, public))) if public else Firewall("Disabled", "Deny", ())


def _internal(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    internal = map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
    return any(network.overlaps(one) for one in internal)


def _rule(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == 32 else str(network)
