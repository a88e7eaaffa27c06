"""Envoy's configuration as a pure function of the traffic plan. JSON throughout: Envoy reads it, and so do we.

One file per kind of resource: `bootstrap`, `listeners` (LDS), `routes` (RDS), `clusters` (CDS), `endpoints` (EDS).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihull_runtime.router.envoy.bootstrap import RUNTIME, render_bootstrap
from trihull_runtime.router.envoy.clusters import render_cluster, render_secrets
from trihull_runtime.router.envoy.endpoints import render_assignment
from trihull_runtime.router.envoy.layout import Layout
from trihull_runtime.router.envoy.listeners import AccessLog, render_listener
from trihull_runtime.router.envoy.routes import render_routes
from trihull_runtime.router.envoy.values import SITES_CLUSTER, Json, cluster_name, resources
from trihull_runtime.router.plan import PlannedSite, TrafficPlan
from trihull_runtime.router.timings import Timings

__all__ = ["AccessLog", "Configuration", "Ingress", "Json", "Layout", "render"]


@dataclass(frozen=True)
class Ingress:
    """Where clients come in, and which of their requests are logged."""

    host: str
    port: int
    access_log: AccessLog = AccessLog.TROUBLE


@dataclass(frozen=True)
class Configuration:
    """Everything Envoy is told: `files` are its discovery files, `static` is the same in one, for `--mode validate`."""

    bootstrap: Json
    files: Mapping[Path, Json]
    static: Json


def render(plan: TrafficPlan, layout: Layout, ingress: Ingress, timings: Timings) -> Configuration:
    """Return Envoy's configuration for a plan. The same plan gives the same configuration.

    The files come in the order in which they are to be written: what is referred to before what refers to it.
    """
    members: dict[str, tuple[PlannedSite, ...]] = {SITES_CLUSTER: plan.sites}
    members |= {cluster_name(model.model): model.sites for model in plan.models}
    clusters = {name: render_cluster(name, sites, layout, timings) for name, sites in members.items()}
    assignments = {name: render_assignment(name, sites) for name, sites in members.items()}
    secrets = render_secrets(layout)
    routes = render_routes(plan, timings)
    listener = render_listener(ingress.host, ingress.port, ingress.access_log, layout)

    files: dict[Path, Json] = {}
    if secrets:
        files[layout.secrets] = _resources(secrets)
    # endpoints first where a cluster is new (it waits for them), harmless where it is not
    files |= {layout.endpoints(name): _resources([assignment]) for name, assignment in assignments.items()}
    files[layout.clusters] = _resources(list(clusters.values()))
    files[layout.routes] = _resources([routes])
    files[layout.listeners] = _resources([listener])

    static_listener = render_listener(ingress.host, ingress.port, ingress.access_log, layout, routes)
    static = {
        "layered_runtime": RUNTIME,
        "static_resources": {
            "listeners": [_untyped(static_listener)],
            "clusters": [_static(clusters[name], assignments[name]) for name in members],
            "secrets": [_untyped(_without(secret, "watched_directory")) for secret in secrets],
        },
    }
    bootstrap = render_bootstrap(layout)
    return Configuration(bootstrap, files, static)


def _resources(items: list[Json]) -> Json:
    return resources("", items)


def _untyped(value: Json) -> Json:
    return {key: item for key, item in value.items() if key != "@type"}


def _static(cluster: Json, assignment: Json) -> Json:
    """A cluster with its endpoints inside."""
    fixed = _without(_untyped(cluster), "eds_cluster_config", "sds_config")
    return {**fixed, "type": "STATIC", "load_assignment": _untyped(assignment)}


def _without(value: Any, *names: str) -> Any:
    """The same value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, *names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(item, *names) for item in value]
    return value
