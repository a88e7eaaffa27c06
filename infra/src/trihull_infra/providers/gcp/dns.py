"""DNS on Google Cloud: one Cloud DNS record with a failover policy, and the health check that its addresses share.

Cloud DNS checks addresses only, from three regions, at most every 30 s, all by one scheme and port. Its policy knows
the first and the others: while the first is not well it answers with every other that is (docs/decisions/0011).
"""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_gcp import compute
from pulumi_gcp import dns as cloud_dns

from trihull_infra import provider
from trihull_infra.cloud import Cloud
from trihull_infra.domain import HEALTH_CHECKS, DnsSpec, RouterEndpoint, addresses_alike, probed_alike
from trihull_infra.provider import Site

SERVICE: Final = "Cloud DNS"
CHECKS: Final = HEALTH_CHECKS[Cloud.GCP]
SOURCE_REGIONS: Final = ("us-east1", "europe-west1", "asia-southeast1")  # exactly three; where checks come from


class Dns(pulumi.ComponentResource):
    """The record of the environment's name, and the health check of the addresses in it."""

    def __init__(
        self,
        name: str,
        site: Site,
        spec: DnsSpec,
        routers: Sequence[RouterEndpoint],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("trihull:dns:Dns", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        record_type = addresses_alike(routers, SERVICE)
        probed = probed_alike(routers, SERVICE)
        http = compute.HealthCheckHttpHealthCheckArgs(host=spec.name, port=probed.port, request_path=spec.health_path)
        https = compute.HealthCheckHttpsHealthCheckArgs(host=spec.name, port=probed.port, request_path=spec.health_path)
        self.check = compute.HealthCheck(
            f"{name}-check",
            name=site.name("routers"),
            description=f"Routers behind {spec.name}",
            check_interval_sec=CHECKS.interval_s,
            unhealthy_threshold=CHECKS.failures,
            source_regions=list(SOURCE_REGIONS),
            http_health_check=http if probed.scheme == "http" else None,
            https_health_check=https if probed.scheme == "https" else None,
            opts=child,
        )
        first, *others = (router.host for router in routers)
        backups = cloud_dns.RecordSetRoutingPolicyPrimaryBackupBackupGeoHealthCheckedTargetsArgs(
            external_endpoints=others
        )
        policy = cloud_dns.RecordSetRoutingPolicyArgs(
            health_check=self.check.id,
            primary_backup=cloud_dns.RecordSetRoutingPolicyPrimaryBackupArgs(
                primary=cloud_dns.RecordSetRoutingPolicyPrimaryBackupPrimaryArgs(external_endpoints=[first]),
                # Backups are told apart by where a client is. One place holds them all: no client prefers any.
                backup_geos=[
                    cloud_dns.RecordSetRoutingPolicyPrimaryBackupBackupGeoArgs(
                        location=site.spec.region, health_checked_targets=backups
                    )
                ],
            ),
        )
        self.record = cloud_dns.RecordSet(
            f"{name}-record",
            managed_zone=spec.zone,
            name=f"{spec.name}.",
            type=record_type,
            ttl=spec.ttl_s,
            rrdatas=None if others else [first],
            routing_policy=policy if others else None,
            # A policy's health check cannot be added or changed in place. A record is known by name and type alone:
            # were the new one made first, deleting the old one would delete it.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.register_outputs({"name": spec.name})


def dns(site: Site, spec: DnsSpec, routers: Sequence[RouterEndpoint], opts: pulumi.ResourceOptions) -> provider.Dns:
    """Point the environment's name at the first router, in their order, that is well."""
    made = Dns("dns", site, spec, routers, opts)
    return provider.Dns(checks={router.site: made.check.id for router in routers}, component=made)
