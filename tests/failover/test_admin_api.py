"""The admin API does what its OpenAPI description says: every path, and whatever the description allows to be sent."""

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.failover.rig import Router, ask, fleet_of
from tests.failover.standin import StandIn
from trihull_runtime.router.pages import HEADERS

DESCRIPTION: dict[str, Any] = json.loads(resources.files("trihull_runtime.router").joinpath("openapi.json").read_text())
OPERATIONS = [
    (method, path)
    for path, item in DESCRIPTION["paths"].items()
    for method in item
    if method in {"get", "put", "post", "delete", "patch"}
]
METRICS = Path(__file__).parents[2] / "docs" / "operations" / "metrics.md"


@pytest.fixture(scope="module")
def api(module_router: Router) -> Router:
    """One router for all of them: what one test orders, the next one finds."""
    module_router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
    return module_router


def resolved(response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DESCRIPTION["components"]["responses"][name] if name else response
    return found


def test_the_description_is_valid_and_is_what_is_served(api: Router) -> None:
    openapi_spec_validator.validate(DESCRIPTION)
    assert api.admin("GET", "/openapi.json") == (200, DESCRIPTION)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_answers_as_it_is_described(
    api: Router, module_standins: dict[str, StandIn], method: str, path: str
) -> None:
    body = json.dumps(fleet_of(module_standins).to_value()).encode() if method == "put" else None
    status, headers, _ = ask(f"{api.admin_url}{path.replace('{site}', 'azure')}", method.upper(), body)
    responses = DESCRIPTION["paths"][path][method]["responses"]
    assert f"{status}" in responses
    assert status == 200
    described = set(resolved(responses["200"])["content"])
    assert {headers["content-type"], headers["content-type"].partition(";")[0]} & described
    for key, value in HEADERS:
        assert headers[key.decode()] == value.decode()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_is_not_possible_is_a_described_error(api: Router, method: str, path: str) -> None:
    wrong = "DELETE"
    status, headers, body = ask(f"{api.admin_url}{path.replace('{site}', 'aws')}", wrong, b"")
    assert (status, headers["content-type"]) == (405, "application/json")
    assert set(json.loads(body)) == {"error"}
    if method == "get":
        return
    url = f"{api.admin_url}{path.replace('{site}', 'nowhere')}"
    status, _, body = ask(url, method.upper(), b"{}")
    assert status == 422
    assert set(json.loads(body)) == {"error"}
    status, _, body = ask(url, method.upper(), b"{}", {"Origin": "http://elsewhere.test"})
    assert status == 403
    status, _, body = ask(url, method.upper(), b" " * ((4 << 20) + 1))
    assert status == 413
    assert {"403", "405", "413", "422"} <= set(DESCRIPTION["paths"][path][method]["responses"])


def test_head_is_answered_as_get_without_a_body(api: Router) -> None:
    for path in ("/", "/v1/status", "/metrics", "/openapi.json"):
        status, headers, body = ask(f"{api.admin_url}{path}", "HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 0


def test_every_metric_of_ours_and_its_labels_stand_in_the_page_of_metrics(api: Router) -> None:
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\| (gauge|counter|histogram) \|", METRICS.read_text(), re.MULTILINE)
    documented = {name: (set(re.findall(r"`(\w+)`", labels)), kind) for name, labels, kind in rows}
    text = api.admin("GET", "/metrics")[1]
    kinds = dict(re.findall(r"^# TYPE (trihull_router_\w+) (\w+)$", text, re.MULTILINE))
    assert kinds
    for name, kind in kinds.items():
        assert documented[name][1] == kind, name
    for name, labels in re.findall(r"^(trihull_router_\w+)(?:\{([^}]*)\})? ", text, re.MULTILINE):
        assert set(re.findall(r"(\w+)=\"", labels)) == documented[name][0], name


SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


@SCHEMA.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Point a made-up fleet at this machine: a router looks its sites up and asks them, and a test asks nobody else."""
    sites = body.get("sites") if isinstance(body, dict) else None
    for site in sites if isinstance(sites, list) else []:
        endpoint = site.get("endpoint") if isinstance(site, dict) else None
        if isinstance(endpoint, dict) and isinstance(endpoint.get("url"), str):
            endpoint["url"] = "http://127.0.0.1:1" if endpoint["url"].startswith("http") else "127.0.0.1"
    return body


def whatever_is_sent_gets_a_described_answer(method: str, path: str) -> Callable[..., None]:
    """Make the test of one operation; those of `SCHEMA.parametrize()` have one name, and xdist runs one of a name."""

    @pytest.mark.timeout(300)
    @SCHEMA.include(method=method.upper(), path=path).parametrize()
    @settings(
        max_examples=20,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    def test(case: "schemathesis.Case[Any]", api: Router) -> None:
        case.call_and_validate(base_url=api.admin_url, checks=CHECKS)

    made: Callable[..., None] = test
    return made


for _method, _path in OPERATIONS:
    _name = re.sub(r"\W+", "_", f"{_method}{_path}")
    globals()[f"test_whatever_is_sent_gets_a_described_answer_{_name}"] = whatever_is_sent_gets_a_described_answer(
        _method, _path
    )
