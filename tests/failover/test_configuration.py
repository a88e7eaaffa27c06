"""The fleet changes under a running router, well or badly: what is bad is refused and named, and traffic goes on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import StandIn
from trihull_runtime.contract import SiteState

INFER = "/v2/models/digits/infer"


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new text, never a part of it."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text)
    fresh.replace(path)


def _site_of(router: Router) -> str:
    return ask(f"{router.url}{INFER}", "POST", b"{}")[1].get("x-trihull-site", "")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda text: text[: len(text) // 2], "not valid JSON"),
        (lambda text: "", "not valid JSON"),
        (lambda text: text.replace('"residency"', '"residence"'), "residence"),
        (lambda text: text.replace('"active"', '"disabled"'), "no site that takes requests"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version"),
    ],
    ids=["truncated", "emptied", "unknown field", "no site left", "another version"],
)
def test_a_bad_fleet_file_changes_nothing(shared_router: Router, damage: object, named: str) -> None:
    assert callable(damage)
    good = shared_router.fleet_path.read_text()
    with Load(shared_router.url) as load:
        _replace(shared_router.fleet_path, damage(good))
        event = shared_router.wait_event("config_refused")
        assert named in event["message"]
        assert named in shared_router.admin("GET", "/v1/status")[1]["config"]["refused"]["reason"]
        assert "trihull_router_config_refused 1" in shared_router.admin("GET", "/metrics")[1]
        load.wait_more(10)
        _replace(shared_router.fleet_path, good)
        shared_router.wait_event("fleet_restored")
    assert load.lost == []
    assert shared_router.admin("GET", "/v1/status")[1]["config"]["refused"] is None


def test_a_deleted_fleet_file_changes_nothing(router: Router) -> None:
    router.fleet_path.unlink()
    assert "cannot be read" in router.wait_event("config_refused")["message"]
    assert _site_of(router) == "aws"


def test_a_certificate_that_is_none_is_refused_by_envoy_itself(router: Router, standins: dict[str, StandIn]) -> None:
    fleet = fleet_of(standins)
    assert fleet.sites[2].endpoint is not None
    secure = replace(fleet.sites[2].endpoint, url=standins["azure"].url.replace("http:", "https:"))
    broken = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"
    bad = replace(fleet, sites=(*fleet.sites[:2], replace(fleet.sites[2], endpoint=secure, ca_certificate=broken)))
    bad.write(router.fleet_path)
    assert "Envoy refuses" in router.wait_event("config_refused")["message"]
    assert _site_of(router) == "aws"


def test_a_swapped_symlink_is_a_new_fleet(standins: dict[str, StandIn], tmp_path: Path) -> None:
    fleet = fleet_of(standins)
    turned = replace(fleet, sites=tuple(replace(site, priority=2 - site.priority) for site in fleet.sites))
    for name, document in (("one", fleet), ("two", turned)):
        document.write(tmp_path / name / "fleet.json")
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to(tmp_path / "one")
    (mount / "fleet.json").symlink_to(Path("..data") / "fleet.json")
    with router_for(tmp_path / "router", None, TRIHULL_FLEET=str(mount / "fleet.json")) as router:
        router.start()
        assert _site_of(router) == "aws"
        (mount / "..data_tmp").symlink_to(tmp_path / "two")
        (mount / "..data_tmp").replace(mount / "..data")  # as a kubelet swaps a mounted ConfigMap
        eventually(lambda: _site_of(router) == "azure", "the new fleet is in force")


def test_draining_a_site_loses_nothing_and_is_remembered(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url) as load:
        load.wait_site("aws")
        assert router.admin("POST", "/v1/sites/aws/drain")[0] == 200
        load.wait_site("gcp")
        assert router.health()["aws"] == "draining"
        router.kill()
        router.start()
        assert router.health()["aws"] == "draining"
        assert router.admin("POST", "/v1/sites/aws/undrain")[0] == 200
        load.wait_site("aws")
    assert load.lost == []


def test_the_last_site_cannot_be_drained(router: Router) -> None:
    assert router.admin("POST", "/v1/sites/aws/drain")[0] == 200
    assert router.admin("POST", "/v1/sites/gcp/drain")[0] == 200
    status, answer = router.admin("POST", "/v1/sites/azure/drain")
    assert status == 422
    assert "no site that takes requests" in answer["error"]
    assert _site_of(router) == "azure"


def test_orders_for_unknown_sites_and_against_the_fleet_are_refused(
    router: Router, standins: dict[str, StandIn]
) -> None:
    status, answer = router.admin("POST", "/v1/sites/moon/drain")
    assert (status, "aws, gcp, azure" in answer["error"]) == (422, True)
    fleet = fleet_of(standins)
    sites = (replace(fleet.sites[0], state=SiteState.DRAINING), *fleet.sites[1:])
    assert router.admin("PUT", "/v1/fleet", replace(fleet, sites=sites).to_json().encode())[0] == 200
    status, answer = router.admin("POST", "/v1/sites/aws/undrain")
    assert (status, "the fleet itself" in answer["error"]) == (422, True)


def test_a_fleet_by_order_holds_until_the_file_changes(router: Router, standins: dict[str, StandIn]) -> None:
    fleet = fleet_of(standins)
    turned = replace(fleet, sites=tuple(replace(site, priority=2 - site.priority) for site in fleet.sites))
    assert router.admin("PUT", "/v1/fleet", turned.to_json().encode())[0] == 200
    eventually(lambda: _site_of(router) == "azure", "the ordered fleet is in force")
    router.kill()
    router.start()
    assert _site_of(router) == "azure"
    assert router.admin("GET", "/v1/fleet")[1] == json.loads(turned.to_json())
    replace(fleet, environment="changed").write(router.fleet_path)
    eventually(lambda: _site_of(router) == "aws", "the file is in force again")


def test_a_bad_fleet_by_order_is_refused_with_the_reason(shared_router: Router) -> None:
    for body, text in ((b"{", "not valid JSON"), (b'{"version": 1}', "is missing"), (b'{"version": 9}', "version")):
        status, answer = shared_router.admin("PUT", "/v1/fleet", body)
        assert status == 422
        assert text in answer["error"]
    assert _site_of(shared_router) == "aws"


def test_orders_from_a_foreign_page_are_not_taken(shared_router: Router) -> None:
    status, _, _ = ask(
        f"{shared_router.admin_url}/v1/sites/aws/drain", "POST", b"", {"origin": "http://elsewhere.example"}
    )
    assert status == 403
    assert shared_router.health()["aws"] == "healthy"


def test_the_admin_api_says_what_it_has_not(shared_router: Router) -> None:
    assert shared_router.admin("GET", "/healthz") == (200, {"alive": True})
    assert shared_router.admin("GET", "/nothing")[0] == 404
    assert shared_router.admin("DELETE", "/v1/fleet")[0] == 405
    assert any(event["event"] == "ready" for event in shared_router.admin("GET", "/v1/events")[1]["events"])
    assert "envoy_server_live" in shared_router.admin("GET", "/metrics")[1]
