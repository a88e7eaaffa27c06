"""DNS on AWS: Route 53 health checks, and a chain of failover pairs in the order of the sites' priorities.

A pair has one primary and one secondary, and all records of a name have one type. So each router gets a name of its own
(CNAME or address, whatever it has), and the environment's name becomes a chain of CNAMEs: the first router, else
`choice-2`, which is the second router, else `choice-3` ... (docs/decisions/0011).
"""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_aws import route53

from trihull_infra import provider
from trihull_infra.cloud import Cloud
from trihull_infra.domain import HEALTH_CHECKS, DnsSpec, RouterEndpoint
from trihull_infra.provider import Site

CHECKS: Final = HEALTH_CHECKS[Cloud.AWS]


class Dns(pulumi.ComponentResource):
    """Health checks of the routers, a name for each, and the chain that begins at the environment's name."""

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
        self.checks: dict[Cloud, route53.HealthCheck] = {}
        self.names: dict[Cloud, route53.Record] = {}
        for router in routers:
            self.checks[router.site] = route53.HealthCheck(
                f"{name}-{router.site}-check",
                type=router.scheme.upper(),
                ip_address=router.host if router.is_address else None,
                # Beside an address it is the Host header: what clients will send.
                fqdn=spec.name if router.is_address else router.host,
                port=router.port,
                resource_path=spec.health_path,
                request_interval=CHECKS.interval_s,
                failure_threshold=CHECKS.failures,
                enable_sni=router.scheme == "https",
                tags={**site.labels, "Name": site.name(router.site)},
                opts=child,
            )
            self.names[router.site] = route53.Record(
                f"{name}-{router.site}",
                zone_id=spec.zone,
                name=f"{router.site}.{spec.name}",
                type=router.record_type,
                ttl=spec.ttl_s,
                records=[router.host],
                opts=child,
            )
        self._chain(name, spec, [router.site for router in routers])
        self.register_outputs({"name": spec.name})

    def _chain(self, name: str, spec: DnsSpec, order: Sequence[Cloud]) -> None:
        """Register the pairs, the last one first: a name is there before anything leads to it.

        A pair is called by its place, not by its sites: when a site comes or goes, records change in place. Route 53
        refuses a second primary of one name, so none may have to be made before an old one is gone.
        """
        there: list[pulumi.Resource] = [*self.names.values()]
        for place in reversed(range(max(len(order) - 1, 1))):
            links: list[tuple[str, str, pulumi.Output[str] | None]] = []
            links.append(("PRIMARY", f"{order[place]}.{spec.name}", self.checks[order[place]].id))
            if place + 2 == len(order):
                links.append(("SECONDARY", f"{order[-1]}.{spec.name}", self.checks[order[-1]].id))
            elif place + 2 < len(order):
                # Without a check of its own it is answered whenever the primary is not well: on to the next pair.
                links.append(("SECONDARY", f"choice-{place + 2}.{spec.name}", None))
            there += [
                route53.Record(
                    f"{name}-choice-{place + 1}-{role.lower()}",
                    zone_id=spec.zone,
                    name=f"choice-{place + 1}.{spec.name}" if place else spec.name,
                    type="CNAME",
                    ttl=spec.ttl_s,
                    records=[target],
                    set_identifier=f"choice-{place + 1}-{role.lower()}",
                    failover_routing_policies=[route53.RecordFailoverRoutingPolicyArgs(type=role)],
                    health_check_id=check,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=there),
                )
                for role, target, check in links
            ]


def dns(site: Site, spec: DnsSpec, routers: Sequence[RouterEndpoint], opts: pulumi.ResourceOptions) -> provider.Dns:
    """Point the environment's name at the first router, in their order, that is well."""
    made = Dns("dns", site, spec, routers, opts)
    return provider.Dns(checks={router: check.id for router, check in made.checks.items()}, component=made)
