"""RDS: paths to clusters, what may be repeated elsewhere, and which answers are refused."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from trihull_runtime.contract import Clients
from trihull_runtime.router.envoy.actions import (
    SAFE,
    action,
    elsewhere,
    retries,
    to_model,
    to_model_once,
    to_model_streaming,
)
from trihull_runtime.router.envoy.admission import CLASS_HEADER, host_options, open_to_all
from trihull_runtime.router.envoy.refusing import CUSTOM_RESPONSE, refuse_stale
from trihull_runtime.router.envoy.values import (
    SHADOW_CLUSTER,
    SITE_NAME,
    SITES_CLUSTER,
    SUBSET,
    Json,
    canary_cluster_name,
    cluster_name,
    grpc_cluster_name,
    header,
    percent,
    seconds,
    typed,
)
from trihull_runtime.router.plan import ANY_MODEL, ModelPlan, PlannedSite, TrafficPlan
from trihull_runtime.router.timings import Timings

ROUTES = "ingress"  # names of the RDS resources
PROBE_ROUTES = "probes"
REPEATED_BODY_BYTES = 32 << 20  # bodies above it are forwarded, but cannot be sent a second time
IDEMPOTENT_HEADER = "x-trihull-idempotent"  # a client says "false" for a request that must not be repeated
HEALTH_CHECK = "envoy.filters.http.health_check"  # the filter that answers them
HEALTH_PATHS = ("/routerz", "/v2/health/ready")
PROBED_SITE_HEADER = "x-trihull-site"  # of a question of our own: the site it is for
PROBED_MODEL_HEADER = "x-trihull-as"  # likewise: the model plan whose sites are to answer
_GRPC = "connect-failure,refused-stream,reset-before-request,reset,unavailable,resource-exhausted"
_POST = {"name": ":method", "string_match": {"exact": "POST"}}
_READ = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}


def render_routes(plan: TrafficPlan, timings: Timings, clients: Clients | None = None) -> Json:
    """Return the whole route configuration of the ingress.

    A residency class has the hosts that are its own; everywhere else the class comes from the client's key or token.
    """
    classes = plan.routing.classes
    hosts = [
        _host(f"class-{name}", list(each.hosts), _of_one_class(plan, name, timings, clients), clients)
        for name, each in sorted(classes.items())
        if each.hosts
    ]
    hosts.append(_host("models", ["*"], _of_every_class(plan, timings, clients), clients))
    return typed("envoy.config.route.v3.RouteConfiguration", name=ROUTES, virtual_hosts=hosts, validate_clusters=False)


def render_probe_routes(plan: TrafficPlan, timings: Timings) -> Json:
    """Return the routes of our own questions: to one site, or as a client's request to a model without being copied."""
    routes: list[Json] = [
        {
            "match": {"prefix": "/", "headers": [_exactly(PROBED_SITE_HEADER, site.name)]},
            "route": {
                "cluster": SITES_CLUSTER,
                "timeout": seconds(timings.per_try_s),
                "auto_host_rewrite": True,
                "metadata_match": {"filter_metadata": {SUBSET: {"site": site.name}}},
            },
        }
        for site in plan.sites
    ]
    routes += [
        {
            "match": {"prefix": "/", "headers": [_exactly(PROBED_MODEL_HEADER, model.key)]},
            "route": to_model(cluster_name(model), model, plan, timings),
        }
        for model in plan.models
        if model.sites
    ]
    host = {"name": "probes", "domains": ["*"], "routes": routes}
    return typed(
        "envoy.config.route.v3.RouteConfiguration", name=PROBE_ROUTES, virtual_hosts=[host], validate_clusters=False
    )


def _host(name: str, domains: list[str], routes: list[Json], clients: Clients | None) -> Json:
    site = {"header": {"key": "x-trihull-site", "value": SITE_NAME}}
    return {
        "name": name,
        "domains": domains,
        "include_request_attempt_count": True,
        "include_attempt_count_in_response": True,
        "request_body_buffer_limit": REPEATED_BODY_BYTES,
        "response_headers_to_add": [{**site, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "typed_per_filter_config": host_options(clients),
        "routes": routes,
    }


def _own(clients: Clients | None) -> list[Json]:
    """What the router says of itself."""
    ready = {HEALTH_CHECK: typed("envoy.config.route.v3.FilterConfig", config={})}
    health = [
        {**_refusal({"path": path}, 503, "this router's health is not known"), "typed_per_filter_config": ready}
        for path in HEALTH_PATHS
    ]
    routes = [
        _direct({"path": "/v2"}, 200, {"name": "trihull-router", "version": "2", "extensions": []}),
        _direct({"path": "/v2/health/live"}, 200, {"live": True}),
    ]
    return [*health, *({**route, "typed_per_filter_config": open_to_all(clients)} for route in routes)]


def _of_one_class(plan: TrafficPlan, name: str, timings: Timings, clients: Clients | None) -> list[Json]:
    """The host of a class: a client of another class is turned away, one without a class is of this one."""
    text = f"this host is for requests of residency class {name}, and the client is of another"
    other = {"prefix": "/", "headers": [{**_exactly(CLASS_HEADER, name), "invert_match": True}]}
    routes = [*_own(clients), _refusal(other, 403, text)]
    return [*routes, *_classified(plan, name, timings, []), *_unknown(plan)]


def _of_every_class(plan: TrafficPlan, timings: Timings, clients: Clients | None) -> list[Json]:
    routing, routes = plan.routing, _own(clients)
    if not routing.classes:
        return [*routes, *_classified(plan, None, timings, []), *_unknown(plan)]
    for name in sorted(routing.classes):
        routes += _classified(plan, name, timings, [_exactly(CLASS_HEADER, name)])
    anything = {"name": CLASS_HEADER, "present_match": True}
    known = _model_paths(plan)
    text = "the client's residency class is not one of this fleet"
    routes += [_refusal({**match, "headers": [anything]}, 403, text) for match in known]
    if routing.default_class is not None:
        routes += _classified(plan, routing.default_class, timings, [])
    else:
        text = "the request has no residency class: it comes with the client's key, its token, or the host it is for"
        routes += [_refusal(match, 403, text) for match in known]
    return [*routes, *_unknown(plan)]


def _model_paths(plan: TrafficPlan) -> list[Json]:
    models = {model.model for model in plan.models}
    grpc = {"prefix": "/inference.GRPCInferenceService/"}
    return [*(_whole(model) for model in sorted(models)), grpc]


def _classified(plan: TrafficPlan, name: str | None, timings: Timings, headers: list[Json]) -> list[Json]:
    """The routes of one class (None: there are none); `headers` must match too."""
    routes: list[Json] = []
    for model in plan.models:
        if model.residency_class == name:
            routes += _model_routes(model, plan, timings, headers)
    return [*routes, *_grpc_routes(plan, name, timings, headers)]


def _unknown(plan: TrafficPlan) -> list[Json]:
    known = ", ".join(sorted({model.model for model in plan.models}))
    return [
        _refusal({"prefix": "/v2/models/"}, 404, f"this router knows no such model; known: {known}"),
        _refusal({"prefix": "/"}, 404, "there is nothing at this path; models are at /v2/models/<model>/infer"),
    ]


def _whole(model: str) -> Json:
    if model == ANY_MODEL:
        return {"safe_regex": {"regex": "/v2/models/[^/]+(/.*)?"}}
    return {"path_separated_prefix": f"/v2/models/{model}"}


def _below(model: str, ends: str) -> Json:
    name = "[^/]+" if model == ANY_MODEL else re.escape(model).replace("\\-", "-")
    return {"safe_regex": {"regex": f"/v2/models/{name}(/versions/[^/]+)?({ends})"}}


def _model_routes(model: ModelPlan, plan: TrafficPlan, timings: Timings, headers: list[Json]) -> list[Json]:
    """From the most special to the rest: streams, marked unsafe, infer, reads, everything else (feedback and such)."""
    if not model.sites:
        # A direct answer, and not an empty cluster: nothing that could ever be filled by mistake.
        refusal = _refusal({**_whole(model.model), "headers": headers}, 503, model.refusal)
        return [{**refusal, "response_headers_to_add": [header("x-trihull-refused", "residency")]}]
    whole, stream = _whole(model.model), _below(model.model, "/(generate|infer)_stream")
    events = {"name": "accept", "string_match": {"contains": "text/event-stream"}}
    marked = {"name": IDEMPOTENT_HEADER, "string_match": {"exact": "false", "ignore_case": True}}
    main = cluster_name(model)
    unsafe = to_model_once(main, model, timings)
    repeatable = to_model(main, model, plan, timings)
    refuse = {CUSTOM_RESPONSE: refuse_stale(model.accepted)} if model.accepted else {}
    streaming = to_model_streaming(main, model, timings)

    def infer(path: Json) -> list[Json]:
        one: list[Json] = [{"match": {**path, "headers": [*headers, _POST, events]}, "route": streaming}]
        one += [
            {"match": {**path, "headers": [*headers, _POST, marked, *more]}, "route": _aimed(unsafe, to)}
            for more, to in _targets(model)
        ]
        one += [
            {
                "match": {**path, "headers": [*headers, _POST, *more]},
                "route": {**_aimed(repeatable, to), **_mirrored(model)},
            }
            for more, to in _targets(model)
        ]
        return one

    # The usual path comes first and by itself: regular expressions are most of what routing costs.
    routes = infer({"path": f"/v2/models/{model.model}/infer"}) if model.model != ANY_MODEL else []
    routes.append({"match": {**stream, "headers": [*headers, _POST]}, "route": streaming})
    routes += infer(_below(model.model, "/infer"))
    for route in routes:
        route["typed_per_filter_config"] = refuse
    if plan.routing.repeatable:
        told = _below(model.model, "|".join(plan.routing.repeatable))
        routes.append({"match": {**told, "headers": [*headers, _POST]}, "route": repeatable})
    return [
        *routes,
        {"match": {**whole, "headers": [*headers, _READ]}, "route": repeatable},
        {"match": {**whole, "headers": headers}, "route": unsafe},
    ]


def _targets(model: ModelPlan) -> list[tuple[list[Json], Json]]:
    """What a request must say, and where it goes then; without a canary there is one cluster."""
    main = cluster_name(model)
    if model.canary is None:
        return [([], {"cluster": main})]
    canary, share = canary_cluster_name(model), model.canary.percent
    split = {"clusters": [{"name": canary, "weight": share}, {"name": main, "weight": 100 - share}]}
    return [
        ([_exactly(model.canary.header, "always")], {"cluster": canary}),
        ([_exactly(model.canary.header, "never")], {"cluster": main}),
        ([], {"weighted_clusters": split}),
    ]


def _aimed(action: Json, target: Json) -> Json:
    """The same action at another target."""
    return {**{key: value for key, value in action.items() if key != "cluster"}, **target}


def _mirrored(model: ModelPlan) -> Json:
    if model.shadow is None or not model.shadow_percent:
        return {}
    return {"request_mirror_policies": [{"cluster": SHADOW_CLUSTER, "runtime_fraction": percent(model.shadow_percent)}]}


def _grpc_routes(plan: TrafficPlan, name: str | None, timings: Timings, headers: list[Json]) -> list[Json]:
    sites = grpc_sites(plan, name)
    service = "/inference.GRPCInferenceService/"
    if not sites:
        return []
    cluster = grpc_cluster_name(name)
    policy = {**elsewhere(sites), "retry_on": _GRPC, "per_try_timeout": seconds(timings.per_try_s)}
    tries = 1 + retries(sites)
    whole = action(cluster, max(timings.request_s, timings.per_try_s * tries + 1), policy)
    whole["max_stream_duration"] = {"grpc_timeout_header_max": "0s"}  # the client's own deadline counts
    idle = {**elsewhere(sites), "retry_on": SAFE, "per_try_idle_timeout": seconds(timings.stream_idle_s)}
    return [
        {"match": {"path": f"{service}ModelStreamInfer", "headers": headers}, "route": action(cluster, 0.0, idle)},
        {"match": {"prefix": service, "headers": headers}, "route": whole},
    ]


def grpc_sites(plan: TrafficPlan, name: str | None) -> list[PlannedSite]:
    """Return the sites of a class that take gRPC: the model's name is in the message, so a site must serve all models.

    Priorities are without gaps.
    """
    plans = [model for model in plan.models if model.residency_class == name]
    if not plans or not all(model.sites for model in plans):
        return []
    names = set.intersection(*({site.name for site in model.sites} for model in plans))
    sites = [site for site in plans[0].sites if site.name in names and site.site.grpc_endpoint is not None]
    if all(site.draining for site in sites):
        return []
    dense = {value: index for index, value in enumerate(sorted({site.priority for site in sites}))}
    return [replace(site, priority=dense[site.priority]) for site in sites]


def _exactly(name: str, value: str) -> Json:
    return {"name": name, "string_match": {"exact": value}}


def _direct(match: Json, status: int, body: Mapping[str, object]) -> Json:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": json.dumps(body)}}}


def _refusal(match: Json, status: int, text: str) -> Json:
    """A plain text: the listener's local reply turns it into `{"error": text}`."""
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": text}}}
