"""LDS: the ingress that clients talk to. It changes only when the router's own address or options do."""

import enum

from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.routes import CUSTOM_RESPONSE, ROUTES
from trihull_runtime.router.envoy.values import SITES_CLUSTER, Json, extension, from_file, typed

INGRESS = "ingress"
HEALTH_PATHS = "/routerz|/v2/health/ready"
_FILTERS = "envoy.extensions.filters"
_MANAGER = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"


class AccessLog(enum.StrEnum):
    """Which requests are logged: none, those that failed or needed more than one attempt, or all."""

    NONE = "none"
    TROUBLE = "trouble"
    ALL = "all"


def render_listener(host: str, port: int, access_log: AccessLog, layout: Layout, routes: Json | None = None) -> Json:
    """Return the ingress; `routes` puts a route configuration inline (to be validated) in place of the file."""
    source: Json = {"rds": {"route_config_name": ROUTES, "config_source": from_file(layout.routes)}}
    if routes is not None:
        source = {"route_config": {key: value for key, value in routes.items() if key != "@type"}}
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        _MANAGER,
        stat_prefix=INGRESS,
        server_name="trihull",
        # a client's x-envoy-* would change retries and timeouts: everyone counts as external, loopback too
        use_remote_address=True,
        internal_address_config={"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        preserve_external_request_id=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        common_http_protocol_options={"idle_timeout": "300s"},
        stream_idle_timeout="300s",
        request_headers_timeout="10s",
        local_reply_config=_local_replies(),
        access_log=_access_log(access_log, layout),
        http_filters=[
            _health_filter(),
            extension(CUSTOM_RESPONSE, f"{_FILTERS}.http.custom_response.v3.CustomResponse"),
            extension("envoy.filters.http.router", f"{_FILTERS}.http.router.v3.Router", suppress_envoy_headers=True),
        ],
        **source,
    )
    return typed(
        "envoy.config.listener.v3.Listener",
        name=INGRESS,
        address={"socket_address": {"address": host, "port_value": port}},
        filter_chains=[{"filters": [manager]}],
    )


def _health_filter() -> Json:
    """`/routerz` and `/v2/health/ready`: 200 while at least one site is healthy and this router is not leaving."""
    return extension(
        "envoy.filters.http.health_check",
        f"{_FILTERS}.http.health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"safe_regex": {"regex": HEALTH_PATHS}}}],
        cluster_min_healthy_percentages={SITES_CLUSTER: {"value": 1}},
    )


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
        "site": "%UPSTREAM_METADATA(trihull:site)%",
        "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
        "release": "%RESP(X-TRIHULL-RELEASE)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    log = extension(
        "envoy.access_loggers.file",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        path=str(layout.access_log),
        log_format={"json_format": line},
    )
    if which is AccessLog.TROUBLE:
        repeated = {"name": "x-envoy-attempt-count", "string_match": {"safe_regex": {"regex": "[2-9]|[1-9][0-9]+"}}}
        log["filter"] = {
            "or_filter": {
                "filters": [
                    {"status_code_filter": {"comparison": _status("GE", 500)}},
                    {"response_flag_filter": {}},
                    {"header_filter": {"header": repeated}},
                ]
            }
        }
    return [log]
