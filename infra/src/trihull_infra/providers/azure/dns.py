"""DNS on Azure: a Traffic Manager profile that answers by priority, and the environment's name as a CNAME to it.

Traffic Manager asks all endpoints by one scheme, port and path, and takes names and addresses alike.
"""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_azure_native import dns as azure_dns
from pulumi_azure_native import trafficmanager

from trihull_infra import provider
from trihull_infra.cloud import Cloud
from trihull_infra.domain import HEALTH_CHECKS, DnsSpec, RouterEndpoint, probed_alike
from trihull_infra.provider import Site

EXTERNAL: Final = "Microsoft.Network/trafficManagerProfiles/externalEndpoints"
DOMAIN: Final = "trafficmanager.net"  # of the public cloud, the only one that this provider serves
CHECKS: Final = HEALTH_CHECKS[Cloud.AZURE]


class Dns(pulumi.ComponentResource):
    """The profile with every router as an external endpoint, and the record that leads to it."""

    def __init__(
        self,
        name: str,
        site: Site,
        spec: DnsSpec,
        routers: Sequence[RouterEndpoint],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:dns:Dns", name, None, opts)
        probed = probed_alike(routers, "Traffic Manager")
        group = spec.resource_group or ""  # the environment's file was refused without one
        self.profile = trafficmanager.Profile(
            f"{name}-profile",
            resource_group_name=group,
            profile_name=site.name("dns"),
            location="global",
            traffic_routing_method="Priority",
            dns_config=trafficmanager.DnsConfigArgs(relative_name=site.global_name, ttl=spec.ttl_s),
            monitor_config=trafficmanager.MonitorConfigArgs(
                protocol=probed.scheme.upper(),
                port=probed.port,
                path=spec.health_path,
                interval_in_seconds=CHECKS.interval_s,
                timeout_in_seconds=CHECKS.timeout_s,
                tolerated_number_of_failures=CHECKS.failures - 1,  # the next one is one too many
            ),
            endpoints=[
                trafficmanager.EndpointArgs(
                    name=str(router.site),
                    type=EXTERNAL,
                    target=router.host,
                    priority=priority,
                    endpoint_status="Enabled",
                )
                for priority, router in enumerate(routers, start=1)
            ],
            tags=site.labels,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.record = azure_dns.RecordSet(
            f"{name}-record",
            resource_group_name=group,
            zone_name=spec.zone,
            relative_record_set_name=spec.name.removesuffix(f".{spec.zone}"),
            record_type="CNAME",
            ttl=spec.ttl_s,
            cname_record=azure_dns.CnameRecordArgs(cname=f"{site.global_name}.{DOMAIN}"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.profile]),
        )
        self.register_outputs({"name": spec.name})


def dns(site: Site, spec: DnsSpec, routers: Sequence[RouterEndpoint], opts: pulumi.ResourceOptions) -> provider.Dns:
    """Point the environment's name at the first router, in their order, that is well."""
    made = Dns("dns", site, spec, routers, opts)
    endpoints = {
        router.site: pulumi.Output.concat(made.profile.id, f"/externalEndpoints/{router.site}") for router in routers
    }
    return provider.Dns(checks=endpoints, component=made)
