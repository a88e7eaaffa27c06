"""CDS: how sites are connected to, checked and ejected. The values and their reasons: docs/router.md."""

import ipaddress
import math

from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.values import Json, extension, from_file, seconds, typed
from trihull_runtime.router.plan import PlannedSite
from trihull_runtime.router.timings import Timings

CLIENT_SECRET = "client"  # name of the SDS resource, no secret itself  # noqa: S105
_TLS = "envoy.extensions.transport_sockets.tls.v3"


def render_cluster(name: str, sites: tuple[PlannedSite, ...], layout: Layout, timings: Timings) -> Json:
    """Return one EDS cluster: round robin inside a priority, active checks, ejection, each site's own TLS."""
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=name,
        type="EDS",
        eds_cluster_config={"eds_config": from_file(layout.endpoints(name))},
        connect_timeout=seconds(timings.connect_s),
        lb_policy="ROUND_ROBIN",
        ignore_health_on_host_removal=True,
        # 1 and not 0: when every check says no, the checks are more likely wrong than all sites dead
        common_lb_config={"healthy_panic_threshold": {"value": 1}},
        transport_socket=_closed(),
        transport_socket_matches=[_socket_match(site, layout) for site in sites],
        typed_extension_protocol_options=_protocol(timings),
        health_checks=[_health_check(layout, timings)],
        outlier_detection=_outlier_detection(timings),
        circuit_breakers={"thresholds": [_circuit_breaker(sites, timings)]},
    )


def render_secrets(layout: Layout) -> list[Json]:
    """Return the client certificate as an SDS resource: Envoy itself reloads it when the folder's files change."""
    if layout.tls is None:
        return []
    certificate = {**_client_certificate(layout), "watched_directory": {"path": str(layout.tls)}}
    return [typed(f"{_TLS}.Secret", name=CLIENT_SECRET, tls_certificate=certificate)]


def _client_certificate(layout: Layout) -> Json:
    assert layout.tls is not None, "only asked for with a client certificate"
    return {
        "certificate_chain": {"filename": str(layout.tls / "tls.crt")},
        "private_key": {"filename": str(layout.tls / "tls.key")},
    }


def _closed() -> Json:
    """A socket that no server can satisfy: a site without its own settings gets no connection, never a plain one."""
    context = {"validation_context": {"verify_certificate_hash": ["00" * 32]}}
    return extension(
        "envoy.transport_sockets.tls", f"{_TLS}.UpstreamTlsContext", sni="closed.invalid", common_tls_context=context
    )


def _socket_match(site: PlannedSite, layout: Layout) -> Json:
    endpoint = site.site.endpoint
    assert endpoint is not None, "a planned site has an endpoint"
    if endpoint.tls:
        socket = _tls_socket(endpoint.server_name, site.site.ca_certificate or "", layout)
    else:
        socket = extension(
            "envoy.transport_sockets.raw_buffer", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
        )
    return {"name": site.name, "match": {"site": site.name}, "transport_socket": socket}


def _tls_socket(server_name: str, ca_certificate: str, layout: Layout) -> Json:
    is_address = _is_address(server_name)
    validation = {
        "trusted_ca": {"inline_string": ca_certificate},
        "match_typed_subject_alt_names": [
            {"san_type": "IP_ADDRESS" if is_address else "DNS", "matcher": {"exact": server_name}}
        ],
    }
    context: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": validation,
    }
    if layout.tls is not None:
        source = from_file(layout.secrets)
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


def _protocol(timings: Timings) -> Json:
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = typed(
        kind,
        common_http_protocol_options={"idle_timeout": seconds(timings.upstream_idle_s)},
        explicit_http_config={"http_protocol_options": {}},
    )
    return {kind: options}


def _health_check(layout: Layout, timings: Timings) -> Json:
    sink = extension(
        "envoy.health_check.event_sinks.file",
        "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink",
        event_log_path=str(layout.health_log),
    )
    return {
        "timeout": seconds(timings.health_timeout_s),
        "interval": seconds(timings.health_interval_s),
        "no_traffic_interval": seconds(timings.health_interval_s),
        "unhealthy_interval": seconds(timings.health_interval_s),
        "unhealthy_edge_interval": seconds(timings.health_edge_s),
        "interval_jitter_percent": 15,
        "unhealthy_threshold": 2,
        "healthy_threshold": 3,
        "http_health_check": {
            "path": "/v2/health/ready",
            # without it one single answer that is not 200 takes a site out
            "retriable_statuses": [{"start": 500, "end": 600}],
        },
        "event_logger": [sink],
    }


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


def _circuit_breaker(sites: tuple[PlannedSite, ...], timings: Timings) -> Json:
    """Wide on purpose: at the instant of a failover every request in flight becomes a retry.

    At least requests per second x `per_try_s` x (sites - 1); the rate is taken as 500/s and the floor is 256. What
    bounds a storm of retries is their number per request and fast ejection, not this.
    """
    concurrency = max(256, math.ceil(500 * timings.per_try_s * max(1, len(sites) - 1)))
    return {
        "max_connections": 4096,
        "max_pending_requests": 4096,
        "max_requests": 4096,
        "track_remaining": True,
        "retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": concurrency},
    }
