"""What Envoy knows about the sites, in our words: from its admin pages to one row per model and site. Pure."""

from dataclasses import asdict, dataclass
from typing import Any

from trihull_runtime.router.envoy.values import cluster_name
from trihull_runtime.router.plan import ModelPlan, TrafficPlan


@dataclass(frozen=True)
class SiteStatus:
    """One site of one model. `health` is healthy, unhealthy, ejected or draining; counts are of attempts."""

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


def model_status(plan: TrafficPlan, clusters: dict[str, Any] | None) -> dict[str, list[dict[str, Any]]]:
    """Return the sites of every model.

    Args:
        plan: what is in force.
        clusters: Envoy's `/clusters?format=json`; None when Envoy does not answer: health is then `unknown`.
    """
    found = {entry["name"]: entry for entry in (clusters or {}).get("cluster_statuses", [])}
    return {model.model: _sites(model, found.get(cluster_name(model.model))) for model in plan.models}


def _sites(model: ModelPlan, cluster: dict[str, Any] | None) -> list[dict[str, Any]]:
    rows = []
    for site in model.sites:
        hosts = [host for host in (cluster or {}).get("host_statuses", []) if host["locality"].get("zone") == site.name]
        totals = _totals(hosts)
        row = SiteStatus(
            name=site.name,
            priority=site.priority,
            weight=site.weight,
            share_percent=site.share_percent,
            health="draining" if site.draining else _health(hosts),
            addresses=site.addresses,
            requests=totals.get("rq_total", 0),
            errors=totals.get("rq_error", 0),
            active=totals.get("rq_active", 0),
            connect_failures=totals.get("cx_connect_fail", 0),
        )
        rows.append(asdict(row))
    return rows


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
