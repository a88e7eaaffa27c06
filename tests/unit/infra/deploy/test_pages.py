"""Where a deploy says that the live pages are."""

import json
from typing import Any

from trihull_infra import naming, routing
from trihull_infra.deploy import answer, pages
from trihull_infra.deploy.pages import RouterPage
from trihull_infra.deploy.report import Report


def pod(deployment: str, pid: int | None = 7, **ports: int) -> dict[str, Any]:
    return {"name": f"{deployment}-1", "deployment": deployment, "pid": pid, "ports": ports}


def test_an_emulated_router_s_page_is_at_its_pod_s_admin_port() -> None:
    sites = {
        "aws": {"pods": [pod("trihull-serving", infer=1), pod("trihull-router", ingress=2, admin=15003)]},
        "gcp": {"pods": [pod("trihull-router", None, admin=15004), pod("trihull-router", 8, admin=15005)]},
        "azure": {"pods": [pod("trihull-router", None, admin=15006)]},
        "edge": {"pods": [pod("trihull-router", admin=15007)]},
    }
    assert pages.emulated(sites, ("gcp", "azure", "aws", "nowhere")) == {
        "aws": RouterPage("http://127.0.0.1:15003/"),
        "gcp": RouterPage("http://127.0.0.1:15005/"),
    }


def test_a_real_router_s_page_is_behind_a_port_forward_to_the_same_port() -> None:
    found = pages.forwarded(["gcp", "aws"])
    command = "kubectl -n trihull port-forward deployment/trihull-router 8083"
    assert found == {site: RouterPage("http://127.0.0.1:8083/", command) for site in ("aws", "gcp")}
    assert naming.ROUTER_ADMIN_PORT not in (routing.PORT, routing.METRICS_PORT)


def test_the_answer_says_where_the_pages_are() -> None:
    report = Report("local", "up")
    report.routers = {"aws": "http://127.0.0.1:1"}
    report.pages = {"aws": RouterPage("http://127.0.0.1:15003/")}
    assert answer.as_text(report).splitlines() == [
        "",
        "router on aws    http://127.0.0.1:1",
        "live page of aws    http://127.0.0.1:15003/",
    ]
    assert json.loads(answer.as_json(report))["pages"] == {"aws": {"url": "http://127.0.0.1:15003/", "command": ""}}


def test_the_answer_says_what_to_run_for_a_real_page_and_that_it_takes_no_token() -> None:
    report = Report("prod", "up")
    report.pages = pages.forwarded(["aws", "gcp"])
    *first, last = answer.as_text(report).splitlines()
    assert first == [
        f"live page of {site}    kubectl -n trihull port-forward deployment/trihull-router 8083"
        for site in ("aws", "gcp")
    ]
    assert "kubeconfig of that site (prod-SITE)" in last
    assert "http://127.0.0.1:8083/" in last
    assert "no token" in last
