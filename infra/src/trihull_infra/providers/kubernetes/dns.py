"""DNS beside a cluster that is there already: a cluster hosts no zone."""

from collections.abc import Sequence

import pulumi

from trihull_infra import provider
from trihull_infra.domain import DnsSpec, RouterEndpoint
from trihull_infra.errors import SpecError
from trihull_infra.provider import Site


def dns(site: Site, spec: DnsSpec, routers: Sequence[RouterEndpoint], opts: pulumi.ResourceOptions) -> provider.Dns:
    """Refuse, as reading the environment did already: `dns.cloud` must host the zone (docs/dns.md).

    Raises:
        SpecError: always.
    """
    raise SpecError(f"{site.environment.name}.yaml: dns.cloud: {site.cloud} hosts no zone of {spec.name}")
