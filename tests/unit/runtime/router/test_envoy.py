import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.servers import make_certificates
from tests.unit.runtime.router.fleets import ADDRESSES, DIGEST, OTHER, fleet, fleets, site, unhurried
from trihull_runtime.contract import Fleet, SiteState
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.envoy import AccessLog, Configuration, Ingress, Layout, render
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.plan import Policy, make_plan
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.timings import LAB, WAN, Timings

FOLDER = Path("/var/lib/router")
LAYOUT = Layout(FOLDER / "envoy", FOLDER / "logs", FOLDER / "envoy.sock", None)
THREE = fleet(
    site("aws", 0, url="https://192.0.2.1:443"),
    site("gcp", 1, url="https://one.example.org:443"),
    site("azure", 2, url="http://192.0.2.2:80"),
)


def configuration(
    document: Fleet = THREE, layout: Layout = LAYOUT, timings: Timings = WAN, log: AccessLog = AccessLog.TROUBLE
) -> Configuration:
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES)
    return render(plan, layout, Ingress("127.0.0.1", 8080, log), timings)


def clusters(found: Configuration) -> dict[str, Any]:
    return {entry["name"]: entry for entry in found.files[LAYOUT.clusters]["resources"]}


def assignment(found: Configuration, cluster: str) -> dict[str, Any]:
    (only,) = found.files[LAYOUT.endpoints(cluster)]["resources"]
    return dict(only)


def routes(found: Configuration) -> list[dict[str, Any]]:
    (only,) = found.files[LAYOUT.routes]["resources"]
    return list(only["virtual_hosts"][0]["routes"])


@unhurried
@given(fleets())
def test_the_same_plan_gives_the_same_bytes_and_no_cluster_is_ever_empty(document: Fleet) -> None:
    found = configuration(document)
    assert json.dumps(found.files[LAYOUT.clusters]) == json.dumps(configuration(document).files[LAYOUT.clusters])
    for name in clusters(found):
        endpoints = assignment(found, name)["endpoints"]
        assert endpoints
        assert all(locality["lb_endpoints"] for locality in endpoints)
        assert any(
            endpoint["health_status"] != "DRAINING" for locality in endpoints for endpoint in locality["lb_endpoints"]
        )


def test_there_is_one_cluster_per_model_and_one_for_health() -> None:
    document = fleet(site("aws"), models={"digits": (DIGEST,), "iris": (OTHER,)})
    assert set(clusters(configuration(document))) == {"sites", "model-digits", "model-iris"}


def test_addresses_of_a_site_share_its_weight_exactly() -> None:
    document = fleet(site("aws", 0, 3), site("gcp", 0, 1, url="http://one.example.org:1"))
    weights = {
        locality["locality"]["zone"]: [endpoint["load_balancing_weight"] for endpoint in locality["lb_endpoints"]]
        for locality in assignment(configuration(document), "model-digits")["endpoints"]
    }
    assert weights == {"aws": [6], "gcp": [1, 1]}


def test_a_draining_site_is_marked_not_removed() -> None:
    document = fleet(site("aws", state=SiteState.DRAINING), site("gcp"))
    status = {
        locality["locality"]["zone"]: locality["lb_endpoints"][0]["health_status"]
        for locality in assignment(configuration(document), "model-digits")["endpoints"]
    }
    assert status == {"aws": "DRAINING", "gcp": "UNKNOWN"}


def test_each_site_is_verified_with_its_own_authority_and_name_only() -> None:
    cluster = clusters(configuration())["model-digits"]
    matches = {
        match["name"]: match["transport_socket"]["typed_config"] for match in cluster["transport_socket_matches"]
    }
    assert matches["azure"]["@type"].endswith("RawBuffer")
    for name in ("aws", "gcp"):
        validation = matches[name]["common_tls_context"]["validation_context"]
        assert matches[name]["sni"] == f"{name}.example.org"
        assert validation["match_typed_subject_alt_names"] == [
            {"san_type": "DNS", "matcher": {"exact": f"{name}.example.org"}}
        ]
        assert validation["trusted_ca"]["inline_string"].startswith("-----BEGIN CERTIFICATE")
    default = cluster["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]
    assert default == {"verify_certificate_hash": ["00" * 32]}  # whoever matches nothing gets no connection


def test_retries_are_one_less_than_the_sites_that_take_requests() -> None:
    def retries(document: Fleet) -> set[int]:
        return {
            route["route"]["retry_policy"]["num_retries"]
            for route in routes(configuration(document))
            if "route" in route
        }

    assert retries(THREE) == {2}
    assert retries(fleet(site("aws"), site("gcp"), site("azure", state=SiteState.DRAINING))) == {1}
    assert retries(fleet(site("aws"))) == {1}  # a broken connection to a lone site deserves a second try


@pytest.mark.parametrize("timings", [WAN, LAB])
def test_the_whole_time_of_a_request_leaves_room_for_every_try(timings: Timings) -> None:
    names = [f"site-{number}" for number in range(6)]
    document = fleet(*(site(name, number) for number, name in enumerate(names)))
    for route in routes(configuration(document, timings=timings)):
        policy = route.get("route", {}).get("retry_policy", {})
        if "per_try_timeout" in policy:
            whole, one = (float(value.rstrip("s")) for value in (route["route"]["timeout"], policy["per_try_timeout"]))
            assert whole > one * (policy["num_retries"] + 1)


def test_only_repeatable_routes_repeat_what_may_have_begun() -> None:
    seen = {}
    for route in routes(configuration()):
        if "route" in route:
            headers = json.dumps(route["match"].get("headers", []))
            kind = next((word for word in ("idempotent", "GET", "POST") if word in headers), "rest")
            seen[kind] = set(route["route"]["retry_policy"]["retry_on"].split(","))
    safe = {"connect-failure", "refused-stream", "reset-before-request"}
    assert seen["idempotent"] == seen["rest"] == safe
    assert seen["POST"] == seen["GET"] > safe


def test_envoy_accepts_everything_we_render(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    pem = made.ca.read_text()
    document = replace(
        THREE,
        sites=tuple(replace(entry, ca_certificate=pem) for entry in THREE.sites),
        models={"digits": (DIGEST, OTHER), "iris": (OTHER,)},
    )
    for tls in (None, made.client):
        for log in AccessLog:
            layout = Layout(tmp_path / "envoy", tmp_path / "logs", tmp_path / "envoy.sock", tls)
            found = configuration(document, layout, LAB, log)
            EnvoyProcess(find_envoy(), layout, own_group=False).validate(found.static)


def test_envoy_names_what_it_refuses(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "envoy", tmp_path / "logs", tmp_path / "envoy.sock", None)
    static = configuration(fleet(site("aws")), layout).static
    static["static_resources"]["clusters"][0]["lb_polizy"] = "RANDOM"
    with pytest.raises(EnvoyError, match="lb_polizy"):
        EnvoyProcess(find_envoy(), layout, own_group=False).validate(static)


def test_the_bootstrap_carries_its_own_digest() -> None:
    one = configuration().bootstrap["node"]["metadata"]["bootstrap"]
    moved = Layout(FOLDER / "envoy", FOLDER / "logs", Path("/elsewhere.sock"), None)
    assert one == configuration(timings=LAB).bootstrap["node"]["metadata"]["bootstrap"]
    assert one != configuration(layout=moved).bootstrap["node"]["metadata"]["bootstrap"]


def test_every_file_but_the_secrets_says_which_version_envoy_has() -> None:
    layout = Layout(FOLDER / "envoy", FOLDER / "logs", FOLDER / "envoy.sock", FOLDER / "tls")
    found = configuration(layout=layout)
    without = [path for path in found.files if layout.version_stat(path) is None]
    assert without == [layout.secrets]
