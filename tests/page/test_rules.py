"""What Prometheus itself says of the alert rules and of the dashboard's queries, and when the alerts fire."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
RULES = OPERATIONS / "alerts-router.yaml"


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing; `sh .ci/browser-tools` as root installs it"
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", RULES)


def test_every_query_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    board = json.loads((OPERATIONS / "grafana-router.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    queries += [note["expr"] for note in board["annotations"]["list"]]
    queries = [re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "1m")) for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)


def state(site: str, name: str, values: str) -> tuple[str, str]:
    return f'trihull_router_site_state{{instance="r",model="digits",site="{site}",state="{name}"}}', values


RESTARTS = "trihull_router_envoy_restarts_total"
FAILOVERS = 'trihull_router_failovers_total{instance="r",model="digits",from="aws",to="gcp"}'
TRUNCATED = 'trihull_router_truncated_total{site="aws"}'
UP = 'up{job="trihull-router"}'
REQUESTS = 'envoy_http_downstream_rq_xx{envoy_response_code_class="%s",envoy_http_conn_manager_prefix="ingress"}'
AGAIN = 'envoy_cluster_upstream_rq_retry{instance="r",envoy_cluster_name="model-digits"}'
CLIENTS = (
    'envoy_http_downstream_rq_xx{instance="r",envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress"}'
)
PROBES = 'trihull_router_probe_results_total{instance="r",model="digits",site="aws",verdict="%s"}'
SHADOW = 'trihull_router_shadow_total{instance="r",model="digits",site="gcp",result="%s"}'
CERTIFICATE = 'trihull_router_certificate_expiry_seconds{instance="r",which="client"}'


# Series as promtool writes them (start+step x count), one sample a minute; the alert is looked at after 20 minutes.
@pytest.mark.parametrize(
    ("alert", "series", "quiet"),
    [
        ("SiteUnhealthy", [state("aws", "unhealthy", "1x30")], [state("aws", "unhealthy", "0x30")]),
        (
            "SiteEjected",
            [state("aws", "ejected", "1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1")],
            [state("aws", "ejected", "0x30")],
        ),
        (
            "NoHealthySite",
            [
                state(site, name, value)
                for site in ("aws", "gcp")
                for name, value in (("healthy", "0x30"), ("unhealthy", "1x30"))
            ],
            [state("aws", "healthy", "1x30"), state("gcp", "healthy", "0x30"), state("gcp", "unhealthy", "1x30")],
        ),
        (
            "LastHealthySite",
            [state("aws", "healthy", "1x30"), state("gcp", "healthy", "0x30")],
            [state("aws", "healthy", "1x30")],  # there was only ever one
        ),
        ("SiteSuppressed", [('trihull_router_site_suppressed{site="aws"}', "1x30")], []),
        (
            "FailoversOften",
            [(FAILOVERS, "0+1x30")],
            [(FAILOVERS, "0x10 1x20")],
        ),
        ("FleetRefused", [("trihull_router_config_refused", "1x30")], [("trihull_router_config_refused", "0x30")]),
        ("EnvoyDown", [("trihull_router_envoy_up", "0x30")], [("trihull_router_envoy_up", "1x30")]),
        ("EnvoyRestarts", [(RESTARTS, "0+1x30")], [(RESTARTS, "0x12 1x20")]),
        ("ControlDown", [(UP, "0x30")], [(UP, "1x30")]),
        ("ControlDown", [], [(UP, "1x30")]),
        (
            "ErrorBudgetBurnsFast",
            [(REQUESTS % 5, "0+20x30"), (REQUESTS % 2, "0+980x30")],
            [(REQUESTS % 5, "0+1x30"), (REQUESTS % 2, "0+9999x30")],
        ),
        (
            "RetryStorm",
            [(AGAIN, "0+400x30"), (CLIENTS, "0+1000x30")],
            [(AGAIN, "0+100x30"), (CLIENTS, "0+1000x30")],
        ),
        ("WrongAnswers", [(PROBES % "wrong", "0x15 1x20")], [(PROBES % "right", "0+1x30")]),
        ("WrongAnswers", [(PROBES % "wrong", "_x15 1x20")], []),  # the first one begins a series
        ("StaleRelease", [(PROBES % "stale", "0+1x30")], [(PROBES % "stale", "0x30")]),
        ("ProbesDoubted", [('trihull_router_probes_doubted{model="digits"}', "1x30")], []),
        (
            "ShadowDiffers",
            [(SHADOW % "different", "0+5x30"), (SHADOW % "equal", "0+95x30")],
            [(SHADOW % "different", "0x30"), (SHADOW % "equal", "0+95x30")],
        ),
        ("TruncatedAnswers", [(TRUNCATED, "0+1x30")], [(TRUNCATED, "0x30")]),
        ("CertificateExpiresNow", [(CERTIFICATE, "86400x30")], [(CERTIFICATE, "864000x30")]),
    ],
)
def test_an_alert_fires_when_it_should_and_only_then(
    alert: str, series: list[tuple[str, str]], quiet: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.read_text())
    tests = [_fires(alert, series, tmp_path, True)]
    if quiet:
        tests.append(_fires(alert, quiet, tmp_path, False))
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", path)


def _fires(alert: str, series: list[tuple[str, str]], folder: Path, expected: bool) -> Mapping[str, object]:
    """One test of promtool: how many series of ALERTS fire after 20 minutes."""
    query = f'count(ALERTS{{alertname="Trihull{alert}",alertstate="firing"}}) > bool 0 or vector(0)'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [
            {"expr": query, "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": int(expected)}]}
        ],
    }
