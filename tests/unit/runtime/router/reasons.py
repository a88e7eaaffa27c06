"""Why the router writes each value of Envoy's configuration: by the path's beginning, or by a part of it (`*.part`).

`test_values` holds every value of the golden file against this table, and every row of
this table against the golden file. Measurements behind many of them: docs/router.md.
"""

from collections.abc import Mapping
from typing import Final

EXTENSION: Final = "selects an extension of Envoy; another name is refused at start"
FILE: Final = "read from a file that is watched by its folder: a rename is one event, and survives the control process"

EVERYWHERE: Final[Mapping[str, str]] = {
    "@type": EXTENSION,
    "*.@type": EXTENSION,
    "*.resource_api_version": FILE,
    "*.path_config_source": FILE,
    "name": "by which Envoy and its statistics name the resource",
}

SECRET: Final[Mapping[str, str]] = {
    "tls_certificate.certificate_chain": "what is shown to the other side",
    "tls_certificate.private_key": "its key; never in Envoy's own files",
    "tls_certificate.watched_directory": "a renewed certificate is used at once, without a new listener or cluster",
}

ENDPOINTS: Final[Mapping[str, str]] = {
    "cluster_name": "the cluster that the endpoints are of",
    "policy.overprovisioning_factor": "a priority keeps all of its traffic while one of its hosts is healthy",
    "endpoints[].priority": "the plan's order of sites",
    "endpoints[].locality": "region and site, for people and for Envoy's admin pages",
    "endpoints[].lb_endpoints[].endpoint.hostname": "the Host that a site is asked with",
    "endpoints[].lb_endpoints[].endpoint.address": "where the site is; gRPC has a port of its own",
    "endpoints[].lb_endpoints[].endpoint.health_check_config": "the Host of health checks",
    "endpoints[].lb_endpoints[].load_balancing_weight": "the plan's share, divided among the site's addresses",
    "endpoints[].lb_endpoints[].metadata": "selects the site's TLS settings, and names it in logs and answers",
    "endpoints[].lb_endpoints[].health_status": "a site that drains ends what it has, and gets nothing new",
}

CLUSTER: Final[Mapping[str, str]] = {
    "type": "endpoints come from files (EDS), but for the control process's own socket",
    "eds_cluster_config": "endpoints change without the cluster, which would be warmed anew",
    "connect_timeout": "TCP and TLS to a site, within one try",
    "lb_policy": "weights are the plan's; no other policy keeps them exactly",
    "ignore_health_on_host_removal": "an address that is gone is removed at once, and not kept until its check fails",
    "common_lb_config.healthy_panic_threshold": (
        "traffic: only when every check fails are the checks doubted; questions of our own: always to the site asked"
    ),
    "transport_socket.name": EXTENSION,
    "transport_socket.typed_config": "whoever matches no site gets no connection, and never a plain one",
    "transport_socket_matches[].name": "the site",
    "transport_socket_matches[].match": "the site's endpoints, and no others",
    "transport_socket_matches[].transport_socket.name": "TLS wherever the site's address says https",
    "transport_socket_matches[].transport_socket.typed_config.sni": "RFC 6066, 3: names alone, never an address",
    "*.common_tls_context.tls_params": "nothing below TLS 1.2 is spoken",
    "*.common_tls_context.validation_context.trusted_ca": "each site is believed by its own authority alone",
    "*.common_tls_context.validation_context.match_typed_subject_alt_names": "and for its own name or address alone",
    "*.common_tls_context.tls_certificate_sds_secret_configs": "the certificate by which we are known, renewed by file",
    "protocol.common_http_protocol_options.idle_timeout": "we close an unused connection before the site does",
    "protocol.outlier_detection": "429 counts as a failure: who turns requests away is given a pause",
    "protocol.auto_config": "HTTP/2 where a site offers it by ALPN",
    "protocol.explicit_http_config": "gRPC is HTTP/2 always",
    "*.http2_protocol_options.connection_keepalive": "a dead connection is closed within a try; what waits goes on",
    "*.http2_protocol_options.max_concurrent_streams": "no site is asked for more at once over one connection",
    "health_checks[].timeout": "an answer later than this counts as none",
    "health_checks[].interval": "how soon a dead site is known",
    "health_checks[].no_traffic_interval": "also of a standby that nobody asks",
    "health_checks[].unhealthy_interval": "and how soon one that came back",
    "health_checks[].unhealthy_edge_interval": "the pace while a site's state is changing",
    "health_checks[].interval_jitter_percent": "routers do not ask all at once",
    "health_checks[].unhealthy_threshold": "one lost answer takes no site out",
    "health_checks[].healthy_threshold": "one good answer brings none back",
    "health_checks[].event_logger": "the control process learns what Envoy found",
    "health_checks[].http_health_check.path": "ready, not alive: a server that loads models takes nothing",
    "health_checks[].http_health_check.retriable_statuses": "without it one single 5xx takes a site out",
    "health_checks[].tcp_health_check": "gRPC has no health service that every server speaks",
    "circuit_breakers.thresholds[].max_connections": "never the bound before requests are",
    "circuit_breakers.thresholds[].max_pending_requests": "`max_in_flight`: more is shed with 503",
    "circuit_breakers.thresholds[].max_requests": "`max_in_flight`: more is shed with 503",
    "circuit_breakers.thresholds[].track_remaining": "a gauge of what is left, for the dashboard",
    "circuit_breakers.thresholds[].retry_budget": "at a failover every request in flight becomes a retry",
    "outlier_detection.split_external_local_origin_errors": "failed connections are counted apart from failed answers",
    "outlier_detection.consecutive_5xx": "ejected after three failed answers",
    "outlier_detection.consecutive_gateway_failure": "and after three 502, 503 or 504",
    "outlier_detection.enforcing_consecutive_gateway_failure": "its default of 0 only counts",
    "outlier_detection.consecutive_local_origin_failure": "ejected after two failed connections",
    "outlier_detection.interval": "how often it is looked at",
    "outlier_detection.base_ejection_time": "the first ejection",
    "outlier_detection.max_ejection_time": "the longest",
    "outlier_detection.max_ejection_time_jitter": "addresses of a site do not come back all at once",
    "outlier_detection.max_ejection_percent": "the default of 10 never ejects one of three",
    "outlier_detection.enforcing_success_rate": "off: with three sites there is no distribution",
    "outlier_detection.successful_active_health_check_uneject_host": "a site may answer its check and fail requests",
    "per_connection_buffer_limit_bytes": "bounds memory for each connection; larger bodies are streamed",
    "round_robin_lb_config.slow_start_config": "a new address gets its share little by little",
    "lb_subset_config": "a question goes to the site that it is for, or to none",
    "load_assignment": "the control process's own socket",
}

ROUTES: Final[Mapping[str, str]] = {
    "virtual_hosts[].name": "by which Envoy names the host",
    "virtual_hosts[].domains": "a class's own hosts; everything else",
    "virtual_hosts[].include_request_attempt_count": "a site can tell a repeated request",
    "virtual_hosts[].include_attempt_count_in_response": "and a client how often it was tried",
    "virtual_hosts[].request_body_buffer_limit": "larger bodies are forwarded and never repeated",
    "virtual_hosts[].response_headers_to_add": "x-trihull-site: which site answered",
    "virtual_hosts[].typed_per_filter_config.envoy.filters.http.lua": "keys change without a new listener",
    "virtual_hosts[].typed_per_filter_config.envoy.filters.http.local_ratelimit": "limits of clients, each by its name",
    "virtual_hosts[].routes[].match": "what a request is, from the most special to the rest",
    "virtual_hosts[].routes[].direct_response": "what the router answers by itself",
    "virtual_hosts[].routes[].response_headers_to_add": "x-trihull-refused: why a request was turned away",
    "virtual_hosts[].routes[].typed_per_filter_config.envoy.filters.http.health_check": "answered by its filter alone",
    "virtual_hosts[].routes[].typed_per_filter_config.envoy.filters.http.lua": "what the router says needs no key",
    "virtual_hosts[].routes[].typed_per_filter_config.envoy.filters.http.custom_response": (
        "an answer by no accepted release never reaches a client"
    ),
    "virtual_hosts[].routes[].route.cluster": "where to",
    "virtual_hosts[].routes[].route.weighted_clusters": "the canary's share",
    "virtual_hosts[].routes[].route.metadata_match": "a question goes to the site that it names",
    "virtual_hosts[].routes[].route.timeout": "within which time, all tries together; 0: a stream has no end",
    "virtual_hosts[].routes[].route.auto_host_rewrite": "a site is asked by its own name",
    "virtual_hosts[].routes[].route.max_stream_duration": "of gRPC the client's own deadline counts",
    "virtual_hosts[].routes[].route.hedge_policy": "a second site is asked when the first is slow",
    "virtual_hosts[].routes[].route.request_mirror_policies": "the shadow's share of copies",
    "virtual_hosts[].routes[].route.retry_policy.num_retries": "one try for each site",
    "virtual_hosts[].routes[].route.retry_policy.retry_host_predicate": "never at a host that was tried",
    "virtual_hosts[].routes[].route.retry_policy.host_selection_retry_max_attempts": "how long such a host is sought",
    "virtual_hosts[].routes[].route.retry_policy.retry_priority": "hosts alone can not leave a priority",
    "virtual_hosts[].routes[].route.retry_policy.retry_on": "all failures, or those before a site can have begun",
    "virtual_hosts[].routes[].route.retry_policy.retriable_status_codes": "answers that another site may do better",
    "virtual_hosts[].routes[].route.retry_policy.retriable_headers": "a release that is not accepted is no answer",
    "virtual_hosts[].routes[].route.retry_policy.per_try_timeout": "leaves time for the other sites",
    "virtual_hosts[].routes[].route.retry_policy.per_try_idle_timeout": "silence ends a stream",
    "virtual_hosts[].routes[].route.retry_policy.retry_back_off": "another site need not be waited for",
    "validate_clusters": "a route may name a cluster that is still on its way",
}

LISTENER: Final[Mapping[str, str]] = {
    "address": "where clients come in; the probes' socket is for its owner alone",
    "per_connection_buffer_limit_bytes": "bounds memory for each connection",
    "filter_chains[].filters[].name": EXTENSION,
    "filter_chains[].transport_socket.name": EXTENSION,
    "filter_chains[].transport_socket.typed_config.common_tls_context.tls_params": "nothing below TLS 1.2 is spoken",
    "filter_chains[].transport_socket.typed_config.common_tls_context.alpn_protocols": "HTTP/2 is offered first",
    "filter_chains[].transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs": (
        "what clients are shown, renewed without a new listener"
    ),
    "http.stat_prefix": "of Envoy's statistics, which the control process reads",
    "http.server_name": "what `server` says",
    "http.use_remote_address": "a client's x-envoy-* headers would change retries and timeouts",
    "http.internal_address_config": "nobody counts as internal, loopback neither",
    "http.early_header_mutation_extensions": "a client can not say that it is another, or of another class",
    "http.preserve_external_request_id": "a client finds its own request in the log",
    "http.normalize_path": "one spelling of a path: /v2/../x is /x before it is routed",
    "http.merge_slashes": "one spelling of a path",
    "http.path_with_escaped_slashes_action": "and none that sites may read in another way",
    "http.common_http_protocol_options.idle_timeout": "an unused connection of a client",
    "http.common_http_protocol_options.headers_with_underscores_action": "x_trihull_class must pass for no other name",
    "http.common_http_protocol_options.max_headers_count": "bounds what a request may cost before it is known",
    "http.http2_protocol_options": "bounds streams and windows of a client's connection",
    "http.stream_idle_timeout": "a request that stands still",
    "http.request_headers_timeout": "headers that come byte by byte",
    "http.local_reply_config": "what Envoy itself answers is JSON, with Retry-After where it is worth it",
    "http.access_log": "requests that failed or were tried again, one JSON object a line",
    "http.http_filters[].name": "the order of the filters: health, release, tokens, keys, who is known, limits, size",
    "http.http_filters[].disabled": "health is answered on its own routes alone",
    "http.http_filters[].typed_config.pass_through_mode": "answered here, never by a site",
    "http.http_filters[].typed_config.cluster_min_healthy_percentages": "200 while at least one site is healthy",
    "http.http_filters[].typed_config.providers.issuer-0.issuer": "a token of this issuer",
    "http.http_filters[].typed_config.providers.issuer-1.issuer": "a token of this issuer",
    "http.http_filters[].typed_config.providers.issuer-0.audiences": "that was made for us",
    "http.http_filters[].typed_config.providers.issuer-1.audiences": "that was made for us",
    "http.http_filters[].typed_config.providers.issuer-0.local_jwks": "signed by the issuer's keys",
    "http.http_filters[].typed_config.providers.issuer-1.local_jwks": "signed by the issuer's keys",
    "http.http_filters[].typed_config.providers.issuer-0.require_expiration": "without an end it is a key for ever",
    "http.http_filters[].typed_config.providers.issuer-1.require_expiration": "without an end it is a key for ever",
    "http.http_filters[].typed_config.providers.issuer-0.claim_to_headers": "client and class come from the token",
    "http.http_filters[].typed_config.providers.issuer-1.claim_to_headers": "client and class come from the token",
    "http.http_filters[].typed_config.providers.issuer-0.clear_route_cache": "the class decides the route",
    "http.http_filters[].typed_config.providers.issuer-1.clear_route_cache": "the class decides the route",
    "http.http_filters[].typed_config.rules": "which requests need a token; the last word: no name, no answer",
    "http.http_filters[].typed_config.stat_prefix": "of the limits' statistics",
    "http.http_filters[].typed_config.max_request_bytes": "larger bodies are refused with 413",
    "http.http_filters[].typed_config.suppress_envoy_headers": "no x-envoy-* of ours reaches a site or a client",
    "http.http_filters[].typed_config.dynamic_stats": "answers are told by site, not by cluster and code",
    "http.http_filters[].typed_config.upstream_log": "times attempts by site, counts and writes those that failed",
    "http.rds": "routes change without touching a listener: no client's connection is closed",
}

BOOTSTRAP: Final[Mapping[str, str]] = {
    "node": "who this Envoy is; the digest recognises one that runs already",
    "admin": "a socket that only its owner opens",
    "dynamic_resources": "listeners and clusters come from files",
    "cluster_manager.outlier_detection": "the control process learns what was ejected",
    "overload_manager": "requests are refused before memory ends; connections are bounded",
    "layered_runtime.layers[].name": "by which Envoy names the layer",
    "layered_runtime.layers[].static_layer": "two release digests are above the default size of a regular expression",
    "layered_runtime.layers[].admin_layer": "the control process's own orders, such as the share of timed attempts",
}

REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "secret": SECRET,
    "endpoints": ENDPOINTS,
    "cluster": CLUSTER,
    "routes": ROUTES,
    "listener": LISTENER,
    "bootstrap": BOOTSTRAP,
}
