"""The router's own metrics in Prometheus' text format; Envoy's follow them on the same page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trihull_runtime.router.health import WELL, SiteHealth
from trihull_runtime.router.plan import TrafficPlan

PREFIX = "trihull_router_"
_HEALTH = ("healthy", "unhealthy", "ejected", "draining", "refused", "unknown")
_Samples = list[tuple[dict[str, str], float]]


@dataclass(frozen=True)
class Facts:
    """What the page is made of.

    `models` as `status.model_status` returns it; `failovers` counts (model, class, from, to); `findings` counts
    (model, site, verdict); `shadows` counts (model, site, result); `truncated` counts by site; `certificates` are Unix
    times in seconds.
    """

    plan: TrafficPlan
    models: Mapping[str, list[dict[str, Any]]]
    health: Mapping[str, SiteHealth]
    config_version: int
    refused_total: int
    refused_now: bool
    restarts: int
    envoy_up: bool
    failovers: Mapping[tuple[str, str, str, str], int]
    findings: Mapping[tuple[str, str, str], int]
    latency_s: Mapping[str, float]
    shadows: Mapping[tuple[str, str, str], int]
    truncated: Mapping[str, int]
    certificates: Mapping[str, float]


def render_metrics(facts: Facts) -> str:
    """Return the page. Source of the format: Prometheus' exposition formats, text version 0.0.4."""
    page = _Page()
    page.one("envoy_up", "gauge", "1 while Envoy answers.", int(facts.envoy_up))
    page.one("envoy_restarts_total", "counter", "Envoys started again after one ended.", facts.restarts)
    page.one("config_version", "gauge", "The configuration in force.", facts.config_version)
    page.one("config_refused_total", "counter", "Fleets that were not taken.", facts.refused_total)
    page.one("config_refused", "gauge", "1 while the latest fleet is refused.", int(facts.refused_now))
    _sites(page, facts)
    _models(page, facts)
    page.family(
        "failovers_total",
        "counter",
        "How often the site with the largest share of a model became another.",
        [
            ({"model": model, "class": each, "from": origin, "to": target}, count)
            for (model, each, origin, target), count in sorted(facts.failovers.items())
        ],
    )
    page.family(
        "probe_results_total",
        "counter",
        "Questions with known answers, by what came of them.",
        [
            ({"model": model, "site": site, "verdict": verdict}, count)
            for (model, site, verdict), count in sorted(facts.findings.items())
        ],
    )
    page.family(
        "probes_doubted",
        "gauge",
        "1 while no site gives the known answer, so that the answer itself is doubted.",
        [
            ({"model": model}, int(model in facts.plan.doubted))
            for model in sorted({m.model for m in facts.plan.models})
        ],
    )
    page.family(
        "shadow_total",
        "counter",
        "Copied requests, by how the shadow's answer compared.",
        [
            ({"model": model, "site": site, "result": result}, count)
            for (model, site, result), count in sorted(facts.shadows.items())
        ],
    )
    page.family(
        "certificate_expiry_seconds",
        "gauge",
        "When a certificate ends, as Unix time.",
        [({"which": which}, at) for which, at in sorted(facts.certificates.items())],
    )
    return page.text()


def _sites(page: "_Page", facts: Facts) -> None:
    known = {site.name: facts.health.get(site.name, WELL) for site in facts.plan.sites}
    for name, text, values in (
        ("site_up", "1 while the site answers its checks and its requests.", {s: int(h.up) for s, h in known.items()}),
        (
            "site_limit_percent",
            "The most that the site may get: less than 100 while it comes back.",
            {site: health.limit_percent for site, health in known.items()},
        ),
        (
            "site_suppressed",
            "1 while the site is asked after all others because it flaps.",
            {site: int(health.suppressed) for site, health in known.items()},
        ),
    ):
        page.family(name, "gauge", text, [({"site": site}, value) for site, value in values.items()])
    latencies: _Samples = [({"site": site}, value) for site, value in sorted(facts.latency_s.items())]
    page.family("probe_latency_seconds", "gauge", "What a small request needs at the site.", latencies)
    cut: _Samples = [({"site": site}, facts.truncated.get(site, 0)) for site in known]
    page.family("truncated_total", "counter", "Answers of the site that ended before their end.", cut)


def _models(page: "_Page", facts: Facts) -> None:
    rows = [
        ({"model": plan.model, "class": plan.residency_class or "", "site": row["name"]}, row)
        for plan in facts.plan.models
        for row in facts.models[plan.key]
    ]
    states: _Samples = [({**labels, "state": s}, int(row["health"] == s)) for labels, row in rows for s in _HEALTH]
    page.family("site_state", "gauge", "1 for the state that a site is in.", states)
    for name, kind, text in (
        ("share_percent", "gauge", "The site's share of the model's requests."),
        ("priority", "gauge", "The site's place: 0 is asked first."),
        ("weight", "gauge", "The site's weight inside its priority."),
        ("requests", "counter", "Attempts sent to the site."),
        ("errors", "counter", "Attempts that the site failed."),
        ("active", "gauge", "Attempts that wait for the site's answer."),
    ):
        suffix = "_total" if kind == "counter" else ""
        page.family(f"site_{name}{suffix}", kind, text, [(labels, row[name]) for labels, row in rows])


class _Page:
    def __init__(self) -> None:
        self._lines: list[str] = []

    def one(self, name: str, kind: str, text: str, value: float) -> None:
        self.family(name, kind, text, [({}, value)])

    def family(self, name: str, kind: str, text: str, samples: _Samples) -> None:
        self._lines.append(f"# HELP {PREFIX}{name} {text}")
        self._lines.append(f"# TYPE {PREFIX}{name} {kind}")
        for labels, value in samples:
            inside = ",".join(f'{key}="{_escaped(each)}"' for key, each in labels.items())
            self._lines.append(f"{PREFIX}{name}{f'{{{inside}}}' if inside else ''} {value:.15g}")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
