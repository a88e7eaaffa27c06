"""EDS: the sites of a cluster as priorities and weights."""

import math
from collections.abc import Sequence

from trihull_runtime.router.envoy.values import SOCKET_MATCH, SUBSET, Json
from trihull_runtime.router.plan import PlannedSite

LARGEST_MULTIPLE = 10_000  # Envoy sums weights in 32 bits


def render_assignment(cluster: str, sites: Sequence[PlannedSite], *, grpc: bool = False, asked: bool = False) -> Json:
    """Return the load assignment of a cluster; `grpc` takes the sites' gRPC endpoints.

    Where sites are `asked` one by one, each can be selected by its name.

    `overprovisioning_factor` is far above the default of 140: a priority keeps all of its traffic while one of its
    hosts is healthy, instead of leaking to the next priority as soon as some of them are not.
    """
    assert sites, f"cluster {cluster} would be empty, and Envoy would take that as an order"
    multiple = min(math.lcm(*(len(site.addresses) for site in sites)), LARGEST_MULTIPLE)
    return {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster,
        "policy": {"overprovisioning_factor": 100_000},
        "endpoints": [_locality(site, multiple, grpc, asked) for site in sites],
    }


def _locality(site: PlannedSite, multiple: int, grpc: bool, asked: bool) -> Json:
    endpoint = site.site.grpc_endpoint if grpc else site.site.endpoint
    assert endpoint is not None, "a planned site has an endpoint"
    metadata = {SOCKET_MATCH: {"site": site.name}}
    if asked:
        metadata[SUBSET] = {"site": site.name}
    shared: Json = {  # by all of a site's addresses, as one object
        "load_balancing_weight": max(1, site.weight * multiple // len(site.addresses)),  # they share the site's weight
        "metadata": {"filter_metadata": metadata},
    }
    if site.draining:
        shared["health_status"] = "DRAINING"
    checked = {"hostname": endpoint.server_name}
    return {
        "priority": site.priority,
        "locality": {"region": site.site.region, "zone": site.name},
        "lb_endpoints": [
            {
                "endpoint": {
                    "hostname": endpoint.server_name,
                    "address": {"socket_address": {"address": address, "port_value": endpoint.port}},
                    "health_check_config": checked,
                },
                **shared,
            }
            for address in site.addresses
        ],
    }
