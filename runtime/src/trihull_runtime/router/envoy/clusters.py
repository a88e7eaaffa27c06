"""CDS: how sites are connected to, checked and ejected. The values and their reasons: docs/router.md."""

import enum
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.values import SHADOW_CLUSTER, Json, extension, from_file, seconds, typed
from trihull_runtime.router.plan import PlannedSite
from trihull_runtime.router.timings import Timings

CLIENT_SECRET = "client"  # names of the SDS resources, no secrets themselves  # noqa: S105
INGRESS_SECRET = "ingress"  # noqa: S105
SYSTEM_AUTHORITIES = "system"  # in a fleet, in place of a certificate: whom the router's own system trusts
_TLS = "envoy.extensions.transport_sockets.tls.v3"


class Kind(enum.Enum):
    """What a cluster carries: requests of a model, gRPC requests, or the control process's own questions to sites."""

    MODEL = enum.auto()
    GRPC = enum.auto()
    PROBES = enum.auto()


@dataclass(frozen=True)
class ClusterOptions:
    """What all clusters share: `max_in_flight` requests at once, the file of the system's authorities, and all sites.

    Each cluster knows how to reach every site, in one order: so what happens to sites changes endpoints, and endpoints
    alone. A changed cluster would be warmed anew, and judged before that.
    """

    layout: Layout
    timings: Timings
    max_in_flight: int
    authorities: Path
    sites: Sequence[PlannedSite]


def render_cluster(name: str, options: ClusterOptions, kind: Kind) -> Json:
    """Return one EDS cluster: round robin inside a priority, active checks, ejection, each site's own TLS."""
    timings = options.timings
    sites = [site for site in options.sites if kind is not Kind.GRPC or site.site.grpc_endpoint is not None]
    cluster = typed(
        "envoy.config.cluster.v3.Cluster",
        name=name,
        type="EDS",
        eds_cluster_config={"eds_config": from_file(options.layout.endpoints(name))},
        connect_timeout=seconds(timings.connect_s),
        lb_policy="ROUND_ROBIN",
        ignore_health_on_host_removal=True,
        # 1 and not 0: when every check says no, the checks are more likely wrong than all sites dead
        common_lb_config={"healthy_panic_threshold": {"value": 1}},
        transport_socket=_closed(),
        transport_socket_matches=[_socket_match(site, options, kind) for site in sites],
        typed_extension_protocol_options=_protocol(sites, timings, kind),
        health_checks=[_health_check(options.layout, timings, kind)],
        circuit_breakers={"thresholds": [_circuit_breaker(sites, options)]},
    )
    if kind is Kind.PROBES:
        # a question goes to the site that it is for, however ill that is
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 100}}
        cluster["lb_subset_config"] = {"fallback_policy": "NO_FALLBACK", "subset_selectors": [{"keys": ["site"]}]}
    else:
        cluster["outlier_detection"] = _outlier_detection(timings)
        cluster["per_connection_buffer_limit_bytes"] = 1 << 20
        cluster["round_robin_lb_config"] = {"slow_start_config": _slow_start(timings)}
    return cluster


def render_shadow_cluster(layout: Layout) -> Json:
    """Return the cluster of the control process's own socket, to which copies of requests go."""
    address = {"endpoint": {"address": {"pipe": {"path": str(layout.shadow_socket)}}}}
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=SHADOW_CLUSTER,
        type="STATIC",
        connect_timeout="0.250s",
        load_assignment={"cluster_name": SHADOW_CLUSTER, "endpoints": [{"lb_endpoints": [address]}]},
        circuit_breakers={"thresholds": [{"max_connections": 64, "max_pending_requests": 64, "max_requests": 64}]},
    )


def render_secrets(layout: Layout) -> dict[str, Json]:
    """Return certificates by name, as SDS resources: Envoy itself reloads one when its folder's files change."""
    folders = {CLIENT_SECRET: layout.tls, INGRESS_SECRET: layout.ingress_tls}
    return {
        name: typed(
            f"{_TLS}.Secret",
            name=name,
            tls_certificate={
                "certificate_chain": {"filename": str(folder / "tls.crt")},
                "private_key": {"filename": str(folder / "tls.key")},
                "watched_directory": {"path": str(folder)},
            },
        )
        for name, folder in folders.items()
        if folder is not None
    }


def _closed() -> Json:
    """A socket that no server can satisfy: a site without its own settings gets no connection, never a plain one."""
    context = {"validation_context": {"verify_certificate_hash": ["00" * 32]}}
    return extension(
        "envoy.transport_sockets.tls", f"{_TLS}.UpstreamTlsContext", sni="closed.invalid", common_tls_context=context
    )


def _socket_match(site: PlannedSite, options: ClusterOptions, kind: Kind) -> Json:
    endpoint = site.site.grpc_endpoint if kind is Kind.GRPC else site.site.endpoint
    assert endpoint is not None, "a planned site has an endpoint"
    if endpoint.tls:
        socket = _tls_socket(endpoint.server_name, site.site.ca_certificate or "", options)
    else:
        socket = extension(
            "envoy.transport_sockets.raw_buffer", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
        )
    return {"name": site.name, "match": {"site": site.name}, "transport_socket": socket}


def _tls_socket(server_name: str, ca_certificate: str, options: ClusterOptions) -> Json:
    is_address = _is_address(server_name)
    of_system = ca_certificate == SYSTEM_AUTHORITIES
    validation = {
        "trusted_ca": {"filename": str(options.authorities)} if of_system else {"inline_string": ca_certificate},
        "match_typed_subject_alt_names": [
            {"san_type": "IP_ADDRESS" if is_address else "DNS", "matcher": {"exact": server_name}}
        ],
    }
    context: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": validation,
    }
    if options.layout.tls is not None:
        source = from_file(options.layout.secret(CLIENT_SECRET))
        context["tls_certificate_sds_secret_configs"] = [{"name": CLIENT_SECRET, "sds_config": source}]
    fields: Json = {"common_tls_context": context}
    if not is_address:  # RFC 6066, 3: literal addresses are not permitted in SNI
        fields["sni"] = server_name
    return extension("envoy.transport_sockets.tls", f"{_TLS}.UpstreamTlsContext", **fields)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _protocol(sites: Sequence[PlannedSite], timings: Timings, kind: Kind) -> Json:
    """HTTP/2 where a site offers it (ALPN), else HTTP/1.1; gRPC is HTTP/2 always.

    ALPN needs TLS, and Envoy wants that of the whole cluster: one site without TLS, and all speak HTTP/1.1.

    A connection that does not answer a ping within a try is closed: what waits on it is tried elsewhere. 429 counts as
    a failure: a site that turns requests away is given a pause.
    """
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    keepalive = {"interval": seconds(max(1.0, timings.per_try_s)), "timeout": seconds(timings.per_try_s)}
    http2 = {"max_concurrent_streams": 1000, "connection_keepalive": keepalive}
    failures: list[Json] = [{"range_match": {"start": 500, "end": 600}}, {"string_match": {"exact": "429"}}]
    rules = [{"http_response_headers_match": {"headers": [{"name": ":status", **failure}]}} for failure in failures]
    options = typed(
        name,
        common_http_protocol_options={"idle_timeout": seconds(timings.upstream_idle_s)},
        outlier_detection={"error_matcher": {"or_match": {"rules": rules}}},
    )
    if kind is Kind.GRPC:
        options["explicit_http_config"] = {"http2_protocol_options": http2}
    elif any(site.site.endpoint is None or not site.site.endpoint.tls for site in sites):
        options["explicit_http_config"] = {"http_protocol_options": {}}
    else:
        options["auto_config"] = {"http_protocol_options": {}, "http2_protocol_options": http2}
    return {name: options}


def _health_check(layout: Layout, timings: Timings, kind: Kind) -> Json:
    sink = extension(
        "envoy.health_check.event_sinks.file",
        "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink",
        event_log_path=str(layout.health_log),
    )
    check: Json = {
        "timeout": seconds(timings.health_timeout_s),
        "interval": seconds(timings.health_interval_s),
        "no_traffic_interval": seconds(timings.health_interval_s),
        "unhealthy_interval": seconds(timings.health_interval_s),
        "unhealthy_edge_interval": seconds(timings.health_edge_s),
        "interval_jitter_percent": 15,
        "unhealthy_threshold": 2,
        "healthy_threshold": 3,
        "event_logger": [sink],
    }
    if kind is Kind.GRPC:
        return {**check, "tcp_health_check": {}}  # the protocol has no health service that every server speaks
    http_check = {
        "path": "/v2/health/ready",
        # without it one single answer that is not 200 takes a site out
        "retriable_statuses": [{"start": 500, "end": 600}],
    }
    return {**check, "http_health_check": http_check}


def _slow_start(timings: Timings) -> Json:
    """An address that is new in a priority gets its share little by little."""
    return {"slow_start_window": seconds(3 * timings.ramp_step_s), "min_weight_percent": {"value": 10}}


def _outlier_detection(timings: Timings) -> Json:
    return {
        "split_external_local_origin_errors": True,
        "consecutive_5xx": 3,
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
        "consecutive_local_origin_failure": 2,
        "interval": seconds(timings.ejection_interval_s),
        "base_ejection_time": seconds(timings.ejection_base_s),
        "max_ejection_time": seconds(timings.ejection_max_s),
        "max_ejection_time_jitter": "1.000s",
        "max_ejection_percent": 100,  # the default of 10 never ejects one of three
        "enforcing_success_rate": 0,
        "successful_active_health_check_uneject_host": False,  # a site may answer its check and fail its requests
    }


def _circuit_breaker(sites: Sequence[PlannedSite], options: ClusterOptions) -> Json:
    """Requests are shed above `max_in_flight`; retries have a wide budget on purpose.

    At the instant of a failover every request in flight becomes a retry: at least requests per second x `per_try_s` x
    (sites - 1); the rate is taken as 500/s and the floor is 256. What bounds a storm of retries is their number per
    request and fast ejection, not this.
    """
    concurrency = max(256, math.ceil(500 * options.timings.per_try_s * max(1, len(sites) - 1)))
    return {
        "max_connections": max(4096, options.max_in_flight),
        "max_pending_requests": options.max_in_flight,
        "max_requests": options.max_in_flight,
        "track_remaining": True,
        "retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": concurrency},
    }
