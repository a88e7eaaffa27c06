"""The router's own metrics in Prometheus' text format; Envoy's follow them on the same page."""

from typing import Any

_HEALTH = ("healthy", "unhealthy", "ejected", "draining", "unknown")


def render_metrics(
    models: dict[str, list[dict[str, Any]]],
    *,
    config_version: int,
    refused_total: int,
    refused_now: bool,
    restarts: int,
    envoy_up: bool,
) -> str:
    """Return the page. Source of the format: Prometheus' exposition formats, text version 0.0.4."""
    lines: list[str] = []

    def family(name: str, kind: str, text: str, samples: list[tuple[str, int]]) -> None:
        lines.append(f"# HELP trihull_router_{name} {text}")
        lines.append(f"# TYPE trihull_router_{name} {kind}")
        lines.extend(f"trihull_router_{name}{labels} {value}" for labels, value in samples)

    family("envoy_up", "gauge", "1 while Envoy answers.", [("", int(envoy_up))])
    family("envoy_restarts_total", "counter", "Envoys started again after one ended.", [("", restarts)])
    family("config_version", "gauge", "The configuration in force.", [("", config_version)])
    family("config_refused_total", "counter", "Fleets that were not taken.", [("", refused_total)])
    family("config_refused", "gauge", "1 while the latest fleet is refused.", [("", int(refused_now))])
    rows = [(f'model="{model}",site="{site["name"]}"', site) for model, sites in models.items() for site in sites]
    states = [(f'{{{labels},state="{s}"}}', int(site["health"] == s)) for labels, site in rows for s in _HEALTH]
    family("site_state", "gauge", "1 for the state that a site is in.", states)
    for name, kind, text in (
        ("priority", "gauge", "The site's place: 0 is asked first."),
        ("weight", "gauge", "The site's weight inside its priority."),
        ("requests", "counter", "Attempts sent to the site."),
        ("errors", "counter", "Attempts that the site failed."),
        ("active", "gauge", "Attempts that wait for the site's answer."),
    ):
        suffix = "_total" if kind == "counter" else ""
        family(f"site_{name}{suffix}", kind, text, [(f"{{{labels}}}", site[name]) for labels, site in rows])
    return "\n".join(lines) + "\n"
