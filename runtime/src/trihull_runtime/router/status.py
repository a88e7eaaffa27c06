"""What Envoy knows about the sites, in our words: from its admin pages to one row per model and site. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trihull_runtime.router.envoy.values import canary_cluster_name, cluster_name
from trihull_runtime.router.health import WELL, SiteHealth
from trihull_runtime.router.history import Counters, Key
from trihull_runtime.router.plan import ModelPlan, TrafficPlan


@dataclass(frozen=True)
class SiteStatus:
    """One site of one model. `health` is healthy, unhealthy, ejected, draining or refused; counts are of attempts.

    `limit_percent` and `suppressed` as in SiteHealth; `reason` says why the site is not as it should be, empty when it
    is; `latency_ms` is what a small request needs there, None while that is not known.
    """

    name: str
    priority: int
    weight: int
    share_percent: int
    health: str
    addresses: tuple[str, ...]
    requests: int
    errors: int
    active: int
    connect_failures: int
    limit_percent: int
    suppressed: bool
    reason: str
    latency_ms: float | None


def model_status(
    plan: TrafficPlan,
    clusters: dict[str, Any] | None,
    health: Mapping[str, SiteHealth],
    latency_s: Mapping[str, float],
) -> dict[str, list[dict[str, Any]]]:
    """Return the sites of every model and class, those too that may not answer for it now.

    Args:
        plan: what is in force.
        clusters: Envoy's `/clusters?format=json`; None when Envoy does not answer: health is then `unknown`.
        health: what is known of the sites beyond that.
        latency_s: seconds that each site needs for a small request.
    """
    found = {entry["name"]: entry for entry in (clusters or {}).get("cluster_statuses", [])}
    return {model.key: _sites(plan, model, found, health, latency_s) for model in plan.models}


def counters(plan: TrafficPlan, clusters: dict[str, Any]) -> dict[Key, Counters]:
    """Return what was counted of every model and site, from Envoy's `/clusters?format=json`."""
    rows = model_status(plan, clusters, {}, {})
    return {
        (model, row["name"]): Counters(row["requests"], row["errors"]) for model, each in rows.items() for row in each
    }


def _sites(
    plan: TrafficPlan,
    model: ModelPlan,
    clusters: Mapping[str, Any],
    health: Mapping[str, SiteHealth],
    latency_s: Mapping[str, float],
) -> list[dict[str, Any]]:
    planned = {site.name: site for site in model.sites}
    names = [cluster_name(model), *([canary_cluster_name(model)] if model.canary is not None else [])]
    rows = []
    for site in (*model.sites, *(each for each in plan.sites if (model.model, each.name) in plan.refused)):
        refused = plan.refused.get((model.model, site.name), "")
        hosts = _hosts([clusters[name] for name in names if name in clusters], site.name)
        totals = _totals(hosts)
        known = health.get(site.name, WELL).of(model.model)
        latency = latency_s.get(site.name)
        row = SiteStatus(
            name=site.name,
            priority=site.priority,
            weight=site.weight,
            share_percent=model.shares.get(site.name, 0) if site.name in planned else 0,
            health="draining" if site.draining else "refused" if refused else _health(hosts),
            addresses=site.addresses,
            requests=totals.get("rq_total", 0),
            errors=totals.get("rq_error", 0),
            active=totals.get("rq_active", 0),
            connect_failures=totals.get("cx_connect_fail", 0),
            limit_percent=known.limit_percent,
            suppressed=known.suppressed,
            reason=refused or known.reason,
            latency_ms=None if latency is None else round(1000 * latency, 3),
        )
        rows.append(asdict(row))
    return rows


def _hosts(clusters: list[dict[str, Any]], site: str) -> list[dict[str, Any]]:
    return [
        host
        for cluster in clusters
        for host in cluster.get("host_statuses", [])
        if host["locality"].get("zone") == site
    ]


def _totals(hosts: list[dict[str, Any]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for host in hosts:
        for stat in host.get("stats", []):
            totals[stat["name"]] = totals.get(stat["name"], 0) + int(stat.get("value", 0))
    return totals


def _health(hosts: list[dict[str, Any]]) -> str:
    """A site with several addresses is as healthy as its best one."""
    states = [_host_health(host["health_status"]) for host in hosts]
    for state in ("healthy", "ejected", "unhealthy"):
        if state in states:
            return state
    return "unknown"


def _host_health(status: dict[str, Any]) -> str:
    if status.get("failed_active_health_check"):
        return "unhealthy"
    return "ejected" if status.get("failed_outlier_check") else "healthy"
