"""RDS: paths to clusters, what may be repeated elsewhere, and which answers are refused."""

import json
from collections.abc import Mapping

from trihull_runtime.router.envoy.values import METADATA, Json, cluster_name, extension, seconds, typed
from trihull_runtime.router.plan import ModelPlan, TrafficPlan
from trihull_runtime.router.timings import Timings

ROUTES = "ingress"  # name of the RDS resource
BODY_LIMIT_BYTES = 32 << 20  # bodies above it are forwarded, but cannot be sent a second time
RETRIABLE_STATUS = [429, 500, 502, 503, 504]
RELEASE_HEADER = "x-trihull-release"
IDEMPOTENT_HEADER = "x-trihull-idempotent"  # a client says "false" for a request that must not be repeated
CUSTOM_RESPONSE = "envoy.filters.http.custom_response"
_SAFE = "connect-failure,refused-stream,reset-before-request"  # the site cannot have begun to work on it
_IDEMPOTENT = "connect-failure,refused-stream,reset-before-request,reset,gateway-error,retriable-status-codes"


def render_routes(plan: TrafficPlan, timings: Timings) -> Json:
    """Return the whole route configuration of the ingress."""
    routes = [
        _direct({"path": "/v2"}, 200, {"name": "trihull-router", "version": "2", "extensions": []}),
        _direct({"path": "/v2/health/live"}, 200, {"live": True}),
    ]
    for model in plan.models:
        routes += _model_routes(model, timings)
    known = ", ".join(model.model for model in plan.models)
    routes += [
        _refusal({"prefix": "/v2/models/"}, f"this router knows no such model; known: {known}"),
        _refusal({"prefix": "/"}, "there is nothing at this path; models are at /v2/models/<model>/infer"),
    ]
    site = {"header": {"key": "x-trihull-site", "value": f"%UPSTREAM_METADATA({METADATA}:site)%"}}
    host = {
        "name": "models",
        "domains": ["*"],
        "include_request_attempt_count": True,
        "include_attempt_count_in_response": True,
        "request_body_buffer_limit": BODY_LIMIT_BYTES,
        "response_headers_to_add": [{**site, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "routes": routes,
    }
    return typed("envoy.config.route.v3.RouteConfiguration", name=ROUTES, virtual_hosts=[host], validate_clusters=False)


def _model_routes(model: ModelPlan, timings: Timings) -> list[Json]:
    """From the most special to the rest: marked unsafe, infer, reads, everything else (feedback and the like)."""
    infer = {"safe_regex": {"regex": f"/v2/models/{model.model}(/versions/[^/]+)?/infer"}}
    whole = {"path_separated_prefix": f"/v2/models/{model.model}"}
    marked = {"name": IDEMPOTENT_HEADER, "string_match": {"exact": "false", "ignore_case": True}}
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    read = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    refuse = {CUSTOM_RESPONSE: _refuse_stale(model.accepted)}
    unsafe, repeatable = _unsafe(model, timings), _repeatable(model, timings)
    return [
        {"match": {**infer, "headers": [post, marked]}, "route": unsafe, "typed_per_filter_config": refuse},
        {"match": {**infer, "headers": [post]}, "route": repeatable, "typed_per_filter_config": refuse},
        {"match": {**whole, "headers": [read]}, "route": repeatable},
        {"match": whole, "route": unsafe},
    ]


def _repeatable(model: ModelPlan, timings: Timings) -> Json:
    tries = 1 + _retries(model)
    policy = {
        **_elsewhere(model),
        "retry_on": f"{_IDEMPOTENT},retriable-headers",
        "retriable_status_codes": RETRIABLE_STATUS,
        "retriable_headers": [stale_release(model.accepted)],
        "per_try_timeout": seconds(timings.per_try_s),
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.100s"},
    }
    timeout_s = max(timings.request_s, timings.per_try_s * tries + 1)  # else the last try is cut short
    return _to_model(model, timeout_s, policy)


def _unsafe(model: ModelPlan, timings: Timings) -> Json:
    return _to_model(model, timings.unsafe_s, {**_elsewhere(model), "retry_on": _SAFE})


def _to_model(model: ModelPlan, timeout_s: float, policy: Mapping[str, object]) -> Json:
    return {
        "cluster": cluster_name(model.model),
        "timeout": seconds(timeout_s),
        "auto_host_rewrite": True,
        "retry_policy": dict(policy),
    }


def _retries(model: ModelPlan) -> int:
    """One try per site; a lone site gets a second one, for a connection that broke."""
    return max(1, len(model.taking) - 1)


def _elsewhere(model: ModelPlan) -> Json:
    """A retry goes to a host and a priority that were not tried; `previous_hosts` alone cannot leave a priority."""
    host = extension(
        "envoy.retry_host_predicates.previous_hosts",
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    )
    priority = extension(
        "envoy.retry_priorities.previous_priorities",
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        update_frequency=1,
    )
    return {
        "num_retries": _retries(model),
        "retry_host_predicate": [host],
        "host_selection_retry_max_attempts": 5,
        "retry_priority": priority,
    }


def stale_release(accepted: tuple[str, ...]) -> Json:
    """Return the header matcher of an answer by a release that is not accepted (one that names none is not matched)."""
    return {
        "name": RELEASE_HEADER,
        "string_match": {"safe_regex": {"regex": "|".join(accepted)}},
        "invert_match": True,
    }


def _refuse_stale(accepted: tuple[str, ...]) -> Json:
    """When every site was tried, a good answer by no accepted release must still not reach the client.

    Only answers of class 2xx are replaced: an error carries its own meaning, whoever gave it.
    """
    status = extension("status", "envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput")
    header = extension("release", "envoy.type.matcher.v3.HttpResponseHeaderMatchInput", header_name=RELEASE_HEADER)
    good = {"single_predicate": {"input": status, "value_match": {"exact": "2xx"}}}
    expression = {"google_re2": {}, "regex": "|".join(accepted)}
    known = {"single_predicate": {"input": header, "value_match": {"safe_regex": expression}}}
    text = "no site answered with an accepted release of this model; try again later"
    policy = extension(
        "stale",
        "envoy.extensions.http.custom_response.local_response_policy.v3.LocalResponsePolicy",
        status_code=503,
        body={"inline_string": text},
        response_headers_to_add=[_header("x-trihull-refused", "release")],
    )
    matcher = {
        "predicate": {"and_matcher": {"predicate": [good, {"not_matcher": known}]}},
        "on_match": {"action": policy},
    }
    return typed(
        "envoy.extensions.filters.http.custom_response.v3.CustomResponse",
        custom_response_matcher={"matcher_list": {"matchers": [matcher]}},
    )


def _header(key: str, value: str) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _direct(match: Json, status: int, body: Mapping[str, object]) -> Json:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": json.dumps(body)}}}


def _refusal(match: Json, text: str) -> Json:
    """A plain text: the listener's local reply turns it into `{"error": text}`."""
    return {"match": match, "direct_response": {"status": 404, "body": {"inline_string": text}}}
