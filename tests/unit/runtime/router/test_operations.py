"""docs/operations: dashboard, alerts, runbook and metrics say the same; the image carries what is served."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from trihull_packaging.steps.layers import runtime_files
from trihull_runtime.router.pages import load_pages

OPERATIONS = Path(__file__).parents[4] / "docs" / "operations"
METRIC = re.compile(r"\b(?:up(?=\{)|(?:trihull|envoy)_[a-z0-9_]+|trihull:[a-z0-9_:]+)")


def documented() -> dict[str, set[str]]:
    """Labels of every metric in the tables of metrics.md."""
    rows = re.findall(
        r"^\| `([a-z0-9_:]+)` \|([^|]*)\| (?:gauge|counter|histogram) \|",
        (OPERATIONS / "metrics.md").read_text(),
        re.M,
    )
    return {name: set(re.findall(r"`([a-z_]+)`", labels)) for name, labels in rows}


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((OPERATIONS / "alerts-router.yaml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((OPERATIONS / "grafana-router.json").read_text())
    return loaded


def queries() -> Iterator[str]:
    """Every PromQL expression of the dashboard and the rules."""
    board = dashboard()
    yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", []))
    yield from (note["expr"] for note in board["annotations"]["list"])
    yield from (variable["definition"] for variable in board["templating"]["list"] if "definition" in variable)
    yield from (rule["expr"] for rule in rules())


def names(query: str) -> set[str]:
    """The metrics of an expression, without the labels that it selects or groups by."""
    return set(METRIC.findall(re.sub(r"\{[^}]*\}|\bby \([^)]*\)", "{", query)))


def test_every_metric_that_is_used_is_documented() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert len(documented()) > 20
    used = {name for query in queries() for name in names(query)}
    assert used - recorded - set(documented()) == set()
    assert set(documented()) - used <= {
        "trihull_router_site_priority",
        "trihull_router_site_weight",
        "trihull_router_site_up",
    }


def test_every_label_that_is_selected_is_documented() -> None:
    every = {"instance", "job"}  # Prometheus adds them
    for query in queries():
        for name, selector in re.findall(r"([a-z_]+)\{([^}]*)\}", query):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert labels <= documented()[name] | every, query


def test_alerts_have_a_severity_words_and_a_section_in_the_runbook_and_no_section_is_left_over() -> None:
    headings = re.findall(r"^### (\w+)$", (OPERATIONS / "runbook.md").read_text(), re.M)
    assert [alert["alert"] for alert in alerts()] == headings
    for alert in alerts():
        assert set(alert["annotations"]) == {"summary", "description", "runbook"}, alert
        assert all(alert["annotations"].values())
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"]["runbook"] == f"runbook.md#{alert['alert'].lower()}"


@pytest.mark.parametrize("part", ["Look at:", "Do:"])
def test_every_section_of_the_runbook_says_what_to_look_at_and_what_to_do(part: str) -> None:
    sections = (OPERATIONS / "runbook.md").read_text().split("\n### ")[1:]
    severities = {alert["alert"]: alert["labels"]["severity"] for alert in alerts()}
    for section in sections:
        assert f"\n{part}\n- " in section
        name, severity = section.split("\n")[:2]
        assert severity == f"*{severities[name]}*"


def test_the_page_of_metrics_links_only_to_sections_that_exist() -> None:
    anchors = {alert["alert"].lower() for alert in alerts()}
    for page in OPERATIONS.glob("*.md"):
        assert set(re.findall(r"runbook\.md#(\w+)", page.read_text())) <= anchors, page


def test_the_dashboard_fits_any_grafana() -> None:
    board = dashboard()
    assert board["id"] is None
    assert board["uid"] is None
    assert board["schemaVersion"] >= 39  # Grafana 11
    variables = [variable["name"] for variable in board["templating"]["list"]]
    assert variables[0] == "datasource"
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))
    text = (OPERATIONS / "grafana-router.json").read_text()
    assert set(re.findall(r'"uid": (?:"([^"]*)"|null)', text)) == {"${datasource}", ""}
    macros = {"__rate_interval", "__all"}
    assert set(re.findall(r"\$\{?(\w+)", text)) - macros <= set(variables)
    for panel in board["panels"]:
        assert panel["type"] == "row" or panel["description"], panel["title"]


def test_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


def test_the_router_s_image_carries_what_the_admin_api_serves() -> None:
    with resources.as_file(resources.files("trihull_runtime")) as package:
        packed = runtime_files(package)
    for name in load_pages():
        file = "openapi.json" if name == "openapi.json" else f"page/{name or 'index.html'}"
        assert f"trihull_runtime/router/{file}" in packed


def test_the_page_names_no_other_origin_and_puts_nothing_in_as_markup() -> None:
    for name, page in load_pages().items():
        text = page.body.decode()
        if name != "openapi.json":
            assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|style=|\son\w+=", text
        ), name
