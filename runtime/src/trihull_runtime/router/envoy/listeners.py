"""LDS: the ingress that clients talk to, and the socket over which the control process asks single sites."""

import enum
from dataclasses import dataclass
from pathlib import Path

from trihull_runtime.contract import Clients
from trihull_runtime.router.envoy.admission import FORGED, render_filters
from trihull_runtime.router.envoy.clusters import INGRESS_SECRET
from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.refusing import CUSTOM_RESPONSE
from trihull_runtime.router.envoy.routes import HEALTH_CHECK, PROBE_ROUTES, ROUTES
from trihull_runtime.router.envoy.values import SITE_NAME, SITES_CLUSTER, Json, extension, from_file, typed

INGRESS = "ingress"
PROBES = "probes"
ATTEMPTS = "trihull_attempts"  # Envoy's statistics of attempts at sites: `.duration` in ms, `.failed_total`
TIMED_KEY = "trihull.timed_percent"  # of all attempts; the control process lowers it where there are many
BODY_LIMIT_BYTES = 64 << 20  # larger requests are refused with 413
_FILTERS = "envoy.extensions.filters"
_MANAGER = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"


class AccessLog(enum.StrEnum):
    """Which requests are logged: none, those that failed or needed more than one attempt, or all."""

    NONE = "none"
    TROUBLE = "trouble"
    ALL = "all"


@dataclass(frozen=True)
class Ingress:
    """Where clients come in, which of their requests are logged, and who is let in (None: everybody)."""

    host: str
    port: int
    access_log: AccessLog = AccessLog.TROUBLE
    clients: Clients | None = None


def render_ingress(ingress: Ingress, layout: Layout, routes: Json | None = None) -> Json:
    """Return the ingress; `routes` puts a route configuration inline (to be validated) in place of the file."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        _MANAGER,
        stat_prefix=INGRESS,
        server_name="trihull",
        # a client's x-envoy-* would change retries and timeouts: everyone counts as external, loopback too
        use_remote_address=True,
        internal_address_config={"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        early_header_mutation_extensions=[_without_forged()],
        preserve_external_request_id=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        common_http_protocol_options={
            "idle_timeout": "300s",
            "headers_with_underscores_action": "REJECT_REQUEST",  # x_trihull_class must never pass for another name
            "max_headers_count": 100,
        },
        http2_protocol_options={
            "max_concurrent_streams": 1000,
            "initial_stream_window_size": 1 << 20,
            "initial_connection_window_size": 16 << 20,
        },
        stream_idle_timeout="300s",
        request_headers_timeout="10s",
        local_reply_config=_local_replies(),
        access_log=_access_log(ingress.access_log, layout),
        http_filters=[
            _health_filter(),
            extension(CUSTOM_RESPONSE, f"{_FILTERS}.http.custom_response.v3.CustomResponse"),
            *render_filters(ingress.clients),
            extension(
                "envoy.filters.http.body_size_limit",
                f"{_FILTERS}.http.body_size_limit.v3.BodySizeLimit",
                max_request_bytes=BODY_LIMIT_BYTES,
            ),
            _router(layout),
        ],
        **_route_source(ROUTES, layout.routes, routes),
    )
    chain: Json = {"filters": [manager]}
    if layout.ingress_tls is not None:
        chain["transport_socket"] = _server_socket(layout)
    return typed(
        "envoy.config.listener.v3.Listener",
        name=INGRESS,
        address={"socket_address": {"address": ingress.host, "port_value": ingress.port}},
        per_connection_buffer_limit_bytes=1 << 20,
        filter_chains=[chain],
    )


def render_probes(layout: Layout, routes: Json | None = None) -> Json:
    """Return the listener of the control process's own requests: a socket that only we may open."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        _MANAGER,
        stat_prefix=PROBES,
        http_filters=[extension("envoy.filters.http.router", f"{_FILTERS}.http.router.v3.Router")],
        **_route_source(PROBE_ROUTES, layout.probe_routes, routes),
    )
    return typed(
        "envoy.config.listener.v3.Listener",
        name=PROBES,
        address={"pipe": {"path": str(layout.probe_socket), "mode": 0o600}},
        filter_chains=[{"filters": [manager]}],
    )


def _route_source(name: str, path: Path, routes: Json | None) -> Json:
    if routes is not None:
        return {"route_config": {key: value for key, value in routes.items() if key != "@type"}}
    return {"rds": {"route_config_name": name, "config_source": from_file(path)}}


def _without_forged() -> Json:
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"remove": name} for name in FORGED],
    )


def _server_socket(layout: Layout) -> Json:
    secret = {"name": INGRESS_SECRET, "sds_config": from_file(layout.secret(INGRESS_SECRET))}
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [secret],
        },
    )


def _health_filter() -> Json:
    """200 while at least one site is healthy and this router is not leaving, on the routes that turn it on."""
    found = extension(
        HEALTH_CHECK,
        f"{_FILTERS}.http.health_check.v3.HealthCheck",
        pass_through_mode=False,
        cluster_min_healthy_percentages={SITES_CLUSTER: {"value": 1}},
    )
    return {**found, "disabled": True}


def _router(layout: Layout) -> Json:
    """The end of the chain: it times attempts by site, and counts and writes down those that went wrong.

    Tags are texts that are made anew for each attempt, which is why what went well has the site's name alone, and why
    of very many attempts only a share is timed.
    """
    site = {"name": "site", "value_format": SITE_NAME}
    outcome = [
        {"name": "code", "value_format": "%RESPONSE_CODE%"},
        {"name": "flags", "value_format": "%RESPONSE_FLAGS%"},
    ]
    attempts = extension(
        "attempts",
        _STATS,
        stat_prefix=ATTEMPTS,
        histograms=[
            {
                "stat": {"name": "duration", "tags": [site]},
                "unit": "Milliseconds",
                "value_format": "%DURATION%",
            }
        ],
    )
    timed = {
        "runtime_key": TIMED_KEY,
        "percent_sampled": {"numerator": 100, "denominator": "HUNDRED"},
        "use_independent_randomness": True,  # else by the request's id, which repeats itself in an attempt elsewhere
    }
    failed = extension(
        "failed",
        _STATS,
        stat_prefix=ATTEMPTS,
        counters=[{"stat": {"name": "failed_total", "tags": [site, *outcome]}, "value_fixed": 1}],
    )
    written = extension(
        "written",
        _FILE,
        path=str(layout.attempts_log),
        log_format={
            "json_format": {
                "time": "%START_TIME(%s.%3f)%",
                "site": SITE_NAME,
                "cluster": "%UPSTREAM_CLUSTER%",
                "status": "%RESPONSE_CODE%",
                "flags": "%RESPONSE_FLAGS%",
                "retry_after": "%RESP(RETRY-AFTER)%",
                "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
            }
        },
    )
    wrong = _any_of(
        {"status_code_filter": {"comparison": _status("GE", 500)}},
        {"status_code_filter": {"comparison": _status("EQ", 429)}},
        {"response_flag_filter": {}},
    )
    return extension(
        "envoy.filters.http.router",
        f"{_FILTERS}.http.router.v3.Router",
        suppress_envoy_headers=True,
        dynamic_stats=False,  # answers by cluster and code: what is above tells them by site
        upstream_log=[
            {**attempts, "filter": {"runtime_filter": timed}},
            {**failed, "filter": wrong},
            {**written, "filter": wrong},
        ],
    )


_STATS = "envoy.extensions.access_loggers.stats.v3.Config"
_FILE = "envoy.extensions.access_loggers.file.v3.FileAccessLog"


def _local_replies() -> Json:
    """Everything that Envoy itself answers is `{"error": text}`; with 503 and 504 comes the cause and Retry-After."""
    problem = {
        "error": "%LOCAL_REPLY_BODY%",
        "cause": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
    }
    retry = {"header": {"key": "retry-after", "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    mappers = [
        {
            "filter": {"status_code_filter": {"comparison": _status("GE", 500)}},
            "headers_to_add": [retry],
            "body_format_override": {"json_format": problem},
        },
        {
            "filter": {"status_code_filter": {"comparison": _status("EQ", 429)}},
            "headers_to_add": [retry],
            "body_format_override": {"json_format": problem},
        },
        {
            "filter": {"status_code_filter": {"comparison": _status("LE", 299)}},
            "body_format_override": {
                "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
                "content_type": "application/json",
            },
        },
    ]
    return {"mappers": mappers, "body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}}}


def _status(operator: str, value: int) -> Json:
    return {"op": operator, "value": {"default_value": value, "runtime_key": f"trihull.status_{value}"}}


def _any_of(*filters: Json) -> Json:
    return {"or_filter": {"filters": list(filters)}}


def _access_log(which: AccessLog, layout: Layout) -> list[Json]:
    if which is AccessLog.NONE:
        return []
    line = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "site": SITE_NAME,
        "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
        "release": "%RESP(X-TRIHULL-RELEASE)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "traceparent": "%REQ(TRACEPARENT)%",
        "client": "%REQ(X-TRIHULL-CLIENT)%",
        "residency_class": "%REQ(X-TRIHULL-CLASS)%",
        "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    log = extension("envoy.access_loggers.file", _FILE, path=str(layout.access_log), log_format={"json_format": line})
    if which is AccessLog.TROUBLE:
        repeated = {"name": "x-envoy-attempt-count", "string_match": {"safe_regex": {"regex": "[2-9]|[1-9][0-9]+"}}}
        log["filter"] = _any_of(
            {"status_code_filter": {"comparison": _status("GE", 500)}},
            {"response_flag_filter": {}},
            {"header_filter": {"header": repeated}},
        )
    return [log]
