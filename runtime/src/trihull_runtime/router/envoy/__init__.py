"""Envoy's configuration as a pure function of the traffic plan. JSON throughout, which tools and people can read too;
`wire` puts endpoints, of which there may be thousands, into the form that Envoy reads fastest.

One file per kind of resource: `bootstrap`, `listeners` (LDS), `routes` (RDS), `clusters` (CDS), `endpoints` (EDS);
`admission` is the part of listeners and routes that says who is let in.
"""

import functools
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trihull_runtime.router.envoy.bootstrap import RUNTIME, render_bootstrap
from trihull_runtime.router.envoy.clusters import (
    ClusterOptions,
    Kind,
    render_cluster,
    render_secrets,
    render_shadow_cluster,
)
from trihull_runtime.router.envoy.endpoints import render_assignment
from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.listeners import AccessLog, Ingress, render_ingress, render_probes
from trihull_runtime.router.envoy.routes import grpc_sites, render_probe_routes, render_routes
from trihull_runtime.router.envoy.values import (
    SITES_CLUSTER,
    Json,
    canary_cluster_name,
    cluster_name,
    grpc_cluster_name,
    resources,
)
from trihull_runtime.router.plan import PlannedSite, TrafficPlan
from trihull_runtime.router.timings import Timings

__all__ = ["AccessLog", "Configuration", "Ingress", "Json", "Layout", "render"]


@dataclass(frozen=True)
class Configuration:
    """Everything Envoy is told: `files` are its discovery files, `static` is the same in one, for `--mode validate`."""

    bootstrap: Json
    files: Mapping[Path, Json]
    make_static: Callable[[], Json] = field(compare=False, repr=False)

    @functools.cached_property
    def static(self) -> Json:
        """Made when it is asked for, which changed endpoints do not do."""
        return self.make_static()


def render(plan: TrafficPlan, layout: Layout, ingress: Ingress, timings: Timings) -> Configuration:
    """Return Envoy's configuration for a plan. The same plan gives the same configuration.

    The files come in the order in which they are to be written: what is referred to before what refers to it.
    """
    authorities = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    options = ClusterOptions(layout, timings, plan.routing.max_in_flight, authorities, plan.sites)
    members = _members(plan)
    clusters = {name: render_cluster(name, options, kind) for name, (kind, _) in members.items()}
    assignments = {
        name: render_assignment(name, sites, grpc=kind is Kind.GRPC, asked=kind is Kind.PROBES)
        for name, (kind, sites) in members.items()
    }
    secrets = render_secrets(layout)
    routes, probe_routes = render_routes(plan, timings, ingress.clients), render_probe_routes(plan, timings)
    listeners = [render_ingress(ingress, layout), render_probes(layout)]
    fixed = [render_shadow_cluster(layout)] if any(model.shadow for model in plan.models) else []

    files: dict[Path, Json] = {layout.secret(name): _resources([secret]) for name, secret in secrets.items()}
    # endpoints first where a cluster is new (it waits for them), harmless where it is not
    files |= {layout.endpoints(name): _resources([assignment]) for name, assignment in assignments.items()}
    files[layout.clusters] = _resources([*clusters.values(), *fixed])
    files[layout.routes] = _resources([routes])
    files[layout.probe_routes] = _resources([probe_routes])
    files[layout.listeners] = _resources(listeners)

    def static() -> Json:
        static_listeners = [render_ingress(ingress, layout, routes), render_probes(layout, probe_routes)]
        return {
            "layered_runtime": RUNTIME,
            "static_resources": {
                "listeners": [_static_secret(_untyped(listener)) for listener in static_listeners],
                "clusters": [
                    *(_static(clusters[name], assignments[name]) for name in members),
                    *(_untyped(cluster) for cluster in fixed),
                ],
                "secrets": [_untyped(_without(secret, "watched_directory")) for secret in secrets.values()],
            },
        }

    return Configuration(render_bootstrap(layout), files, static)


def _members(plan: TrafficPlan) -> dict[str, tuple[Kind, tuple[PlannedSite, ...]]]:
    """Every cluster with its sites; none is empty."""
    # A drained site is asked on as before: what is asked is not traffic, and the cluster of questions never changes.
    asked = tuple(replace(site, draining=False) for site in plan.sites)
    members: dict[str, tuple[Kind, tuple[PlannedSite, ...]]] = {SITES_CLUSTER: (Kind.PROBES, asked)}
    for model in plan.models:
        if model.sites:
            members[cluster_name(model)] = (Kind.MODEL, model.sites)
        if model.canary is not None:
            members[canary_cluster_name(model)] = (Kind.MODEL, model.canary.sites)
    for name in sorted({model.residency_class for model in plan.models}, key=lambda name: name or ""):
        if sites := grpc_sites(plan, name):
            members[grpc_cluster_name(name)] = (Kind.GRPC, tuple(sites))
    return members


def _resources(items: list[Json]) -> Json:
    return resources("", items)


def _untyped(value: Json) -> Json:
    return {key: item for key, item in value.items() if key != "@type"}


def _static(cluster: Json, assignment: Json) -> Json:
    """A cluster with its endpoints inside."""
    fixed = _static_secret(_without(_untyped(cluster), "eds_cluster_config"))
    return {**fixed, "type": "STATIC", "load_assignment": _untyped(assignment)}


def _static_secret(value: Json) -> Json:
    """The same with certificates named, not fetched: they stand beside it."""
    found = _without(value, "sds_config")
    assert isinstance(found, dict)
    return found


def _without(value: Any, *names: str) -> Any:
    """The same value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, *names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(item, *names) for item in value]
    return value
