import base64
import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given

from tests.servers import make_certificates
from tests.unit.runtime.router.fleets import (
    ADDRESSES,
    DIGEST,
    NAMES,
    OTHER,
    drawn_fleet,
    drawn_health,
    fleet,
    fleets,
    site,
    unhurried,
)
from trihull_runtime.contract import Client, Clients, Fleet, Issuer, Policy, SiteState
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.envoy import AccessLog, Configuration, Ingress, Layout, render
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.health import Load, SiteHealth
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.timings import LAB, WAN, Timings

TOGETHER = 20
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
            endpoint.get("health_status") != "DRAINING"
            for locality in endpoints
            for endpoint in locality["lb_endpoints"]
        )


@unhurried
@given(fleets())
def test_a_request_that_names_the_version_is_routed_as_one_that_names_none(document: Fleet) -> None:
    found = routes(configuration(document))
    for name in {path for each in found if (path := each["match"].get("path", "")).endswith("/infer")}:
        model = name.removesuffix("/infer")
        plain = [each for each in found if each["match"].get("path") == name]
        versioned = [
            each
            for each in found
            if (regex := each["match"].get("safe_regex", {}).get("regex"))
            and re.fullmatch(regex, f"{model}/versions/7/infer")
            and not re.fullmatch(regex, f"{model}/infer_stream")
        ]
        assert plain
        assert [_beside_the_path(each) for each in plain] == [_beside_the_path(each) for each in versioned]
        assert found.index(plain[-1]) < found.index(versioned[0])


def _beside_the_path(route: dict[str, Any]) -> dict[str, Any]:
    return {**route, "match": route["match"]["headers"]}


def test_there_is_one_cluster_per_model_and_one_for_health() -> None:
    document = fleet(site("aws"), models={"digits": (DIGEST,), "iris": (OTHER,)})
    assert set(clusters(configuration(document))) == {"sites", "model-digits", "model-iris"}


def test_addresses_of_a_site_share_its_weight_exactly() -> None:
    document = fleet(site("aws", 0, 3), site("gcp", 0, 1, url="http://one.example.org:1"))
    weights = {
        locality["locality"]["zone"]: [endpoint["load_balancing_weight"] for endpoint in locality["lb_endpoints"]]
        for locality in assignment(configuration(document), "model-digits")["endpoints"]
    }
    assert weights == {"aws": [15_000], "gcp": [2_500, 2_500]}


def test_a_draining_site_is_marked_not_removed() -> None:
    document = fleet(site("aws", state=SiteState.DRAINING), site("gcp"))
    status = {
        locality["locality"]["zone"]: locality["lb_endpoints"][0].get("health_status")
        for locality in assignment(configuration(document), "model-digits")["endpoints"]
    }
    assert status == {"aws": "DRAINING", "gcp": None}


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


def test_retries_are_one_less_than_the_sites_and_never_many() -> None:
    def retries(document: Fleet) -> set[int]:
        return {
            route["route"]["retry_policy"]["num_retries"]
            for route in routes(configuration(document))
            if "route" in route
        }

    assert retries(THREE) == {2}
    assert retries(fleet(*(site(f"site-{number}", number) for number in range(20)))) == {4}
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


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=[pytest.mark.nightly, pytest.mark.timeout(600)])])
def test_envoy_accepts_everything_we_render(tmp_path: Path, count: int) -> None:
    """Hundreds of fleets with any rules, health and clients; each configuration is judged by Envoy itself.

    Twenty at a time, since starting Envoy takes longer than judging one.
    """
    made = make_certificates(tmp_path / "certificates")
    pem, jwks = made.ca.read_text(), _jwks()
    logs = tmp_path / "logs"
    logs.mkdir()
    rng = random.Random(20261124)
    for first in range(0, count, TOGETHER):
        tls, drawn, parts = rng.choice([None, made.client]), [], []
        for number in range(first, first + TOGETHER):
            document = drawn_fleet(rng, pem)
            plan = make_plan(document, rng.choice(list(Policy)), ADDRESSES, health=drawn_health(rng), load=_load(rng))
            layout = Layout(tmp_path / "envoy", logs, tmp_path / f"{number}" / "envoy.sock", tls, tls)
            ingress = Ingress("127.0.0.1", 1024 + number, rng.choice(list(AccessLog)), _clients(rng, jwks))
            drawn.append(document)
            parts.append(_apart(render(plan, layout, ingress, rng.choice([LAB, WAN])).static, f"{number}"))
        judge = EnvoyProcess(find_envoy(), Layout(tmp_path / "envoy", logs, tmp_path / "x.sock", None), own_group=False)
        try:
            judge.validate(_together(parts))
        except EnvoyError:
            for document, part in zip(drawn, parts, strict=True):
                print(document)  # the last one printed is the culprit
                judge.validate(part)
            raise


def _apart(static: dict[str, Any], number: str) -> dict[str, Any]:
    """The same configuration with names that no other has."""
    names = {each["name"] for each in static["static_resources"]["clusters"]}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {(f"{number}-{key}" if key in names else key): renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return f"{number}-{value}" if isinstance(value, str) and value in names else value

    found = renamed(static)
    assert isinstance(found, dict)
    for listener in found["static_resources"]["listeners"]:
        listener["name"] += f"-{number}"
    return found


def _together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    resources = [part["static_resources"] for part in parts]
    kinds = {kind: [each for one in resources for each in one[kind]] for kind in ("listeners", "clusters")}
    return {**parts[0], "static_resources": {**kinds, "secrets": resources[0]["secrets"]}}


def _load(rng: random.Random) -> Load:
    return Load({"lab": rng.random()}, {name: rng.random() for name in NAMES}, rng.choice([0.0, 500.0]))


def _clients(rng: random.Random, jwks: str) -> Clients | None:
    listed = (
        Client("mobile", ("k" * 20, "j" * 20), "strict", rng.choice([None, 0.1, 7.3, 10.0]), rng.choice([None, 50])),
        Client("web", ("w" * 20,), None, rng.choice([None, 0.5])),
    )
    issuers = (Issuer("https://issuer.example.org", ("trihull",), jwks, "sub", rng.choice([None, "residency"])),)
    everything = Clients(1, listed, issuers)
    return rng.choice([None, everything, replace(everything, issuers=()), replace(everything, clients=())])


def _jwks() -> str:
    def text(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode().rstrip("=")

    key = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    return json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "kid": "1", "n": text(key.n), "e": text(key.e)}]})


def test_what_happens_to_sites_changes_endpoints_and_nothing_else() -> None:
    before = configuration()
    for health, orders in (
        ({"aws": SiteHealth(up=False)}, {}),
        ({"gcp": SiteHealth(limit_percent=25), "aws": SiteHealth(suppressed=True)}, {}),
        ({}, {"aws": SiteState.DRAINING}),
    ):
        plan = make_plan(THREE, Policy.PRIORITY, ADDRESSES, None, orders, health)
        after = render(plan, LAYOUT, Ingress("127.0.0.1", 8080), WAN)
        changed = {path for path, document in after.files.items() if document != before.files[path]}
        assert changed == {LAYOUT.endpoints("model-digits")}


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
    assert without == [layout.secret("client")]
