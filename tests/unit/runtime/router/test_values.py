"""Every value that the router writes for Envoy is read here: it is as in the golden file, and there for a reason."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.runtime.router import values
from tests.unit.runtime.router.fleets import ADDRESSES, CA, fleet, site
from tests.unit.runtime.router.reasons import EVERYWHERE, REASONS
from tests.unit.runtime.router.values import CLIENTS, LAYOUT, document, resources, without_index
from trihull_runtime.contract import Client, Clients, Endpoint, Issuer, Policy
from trihull_runtime.router.envoy import AccessLog, Ingress, render
from trihull_runtime.router.envoy.admission import (
    CLASS_HEADER,
    CLIENT_HEADER,
    FORGED,
    PUBLIC,
    RATE_LIMIT,
    host_options,
    render_filters,
)
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.timings import LAB, WAN

TLS = "envoy.transport_sockets.tls"


def reasons(kind: str, path: str) -> set[str]:
    """Return the keys of all reasons that fit a path."""
    return {key for key in (*REASONS[kind], *EVERYWHERE) if _fits(key, path)}


def _fits(key: str, path: str) -> bool:
    if key.startswith("*"):
        return f"{key[1:]}." in f".{path}." or f"{key[1:]}[" in f".{path}"
    return path == key or path.startswith((f"{key}.", f"{key}["))


def golden() -> dict[str, list[str]]:
    """The golden file's sections: a resource, and its lines."""
    sections: dict[str, list[str]] = {}
    for line in values.GOLDEN.read_text().splitlines():
        if line.startswith("# "):
            sections[line.removeprefix("# ")] = []
        elif line:
            sections[list(sections)[-1]].append(line)
    return sections


def test_what_is_written_is_what_the_golden_file_says() -> None:
    """After a change that is meant: `python -m tests.unit.runtime.router.values`, and read the difference."""
    assert values.lines() == values.GOLDEN.read_text().splitlines()


def test_each_value_is_there_for_a_reason_and_no_reason_is_left_over() -> None:
    used: set[tuple[str, str]] = set()
    for name, lines in golden().items():
        kind = name.partition(" ")[0]
        keys = {path: reasons(kind, path) for path in (without_index(line.partition(" = ")[0]) for line in lines)}
        assert not [path for path, fitting in keys.items() if not fitting], (
            f"{name}: its reason belongs into reasons.py"
        )
        used |= {(kind, key) for fitting in keys.values() for key in fitting}
    left_over = {(kind, key) for kind, table in REASONS.items() for key in table} - used
    assert left_over == set(), "nothing that is written any more"
    assert set(EVERYWHERE) <= {key for _, key in used}


def clusters() -> dict[str, dict[str, Any]]:
    return {name: item for name, item in resources().items() if name.startswith("cluster ")}


def test_a_site_at_an_address_is_verified_by_that_address_and_named_in_no_sni() -> None:
    for name, cluster in clusters().items():
        for match in cluster.get("transport_socket_matches", ()):
            config = match["transport_socket"]["typed_config"]
            (expected,) = config["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
            assert match["transport_socket"]["name"] == TLS, name
            if match["name"] == "gcp":
                assert "sni" not in config, f"{name}: RFC 6066, 3: an address is not permitted in SNI"
                assert expected == {"san_type": "IP_ADDRESS", "matcher": {"exact": "192.0.2.2"}}
            else:
                assert config["sni"] == expected["matcher"]["exact"]
                assert expected["san_type"] == "DNS"


@pytest.mark.parametrize(
    ("server_name", "kind"),
    [
        ("192.0.2.2", "IP_ADDRESS"),
        ("2001:db8::1", "IP_ADDRESS"),
        ("::1", "IP_ADDRESS"),
        ("a.example.org", "DNS"),
        ("192.0.2.2.example.org", "DNS"),
        ("1.2.3", "DNS"),
    ],
)
def test_only_a_name_is_sent_as_a_name(server_name: str, kind: str) -> None:
    one = replace(document().sites[0], endpoint=Endpoint("https://192.0.2.1:8443", server_name), grpc_endpoint=None)
    plan = make_plan(fleet(one), Policy.PRIORITY, ADDRESSES)
    configuration = render(plan, LAYOUT, Ingress("127.0.0.1", 8080), WAN)
    for cluster in configuration.files[LAYOUT.clusters]["resources"]:
        (match,) = cluster["transport_socket_matches"]
        config = match["transport_socket"]["typed_config"]
        (name,) = config["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
        assert name == {"san_type": kind, "matcher": {"exact": server_name}}
        assert config.get("sni") == (server_name if kind == "DNS" else None)


def test_checks_are_doubted_only_when_all_fail_and_a_question_goes_where_it_is_for() -> None:
    thresholds = {
        name: cluster["common_lb_config"]["healthy_panic_threshold"]["value"]
        for name, cluster in clusters().items()
        if "common_lb_config" in cluster
    }
    assert thresholds.pop("cluster sites") == 100
    assert set(thresholds) == {"cluster model-digits@eu", "cluster model-digits@eu~canary", "cluster grpc@eu"}
    assert set(thresholds.values()) == {1}, "0 would fail every request, 50 would send them to dead sites"


def test_one_site_without_tls_makes_all_speak_http_1() -> None:
    """ALPN needs TLS, and Envoy asks for it by cluster."""
    mixed = fleet(
        site("aws", url="https://192.0.2.1:443", ca_certificate=CA), site("gcp", 1, url="http://192.0.2.2:80")
    )
    configuration = render(make_plan(mixed, Policy.PRIORITY, ADDRESSES), LAYOUT, Ingress("127.0.0.1", 8080), WAN)
    for cluster in configuration.files[LAYOUT.clusters]["resources"]:
        (options,) = cluster["typed_extension_protocol_options"].values()
        assert options["explicit_http_config"] == {"http_protocol_options": {}}
        sockets = {one["name"]: one["transport_socket"]["name"] for one in cluster["transport_socket_matches"]}
        assert sockets == {"aws": TLS, "gcp": "envoy.transport_sockets.raw_buffer"}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("claim", [None, "residency"])
@pytest.mark.parametrize("listed", [CLIENTS.clients, ()], ids=["keys too", "tokens alone"])
def test_every_issuer_is_asked_for_an_expiry_an_audience_and_its_own_keys(
    count: int, claim: str | None, listed: tuple[Any, ...]
) -> None:
    issuers = tuple(
        Issuer(f"https://issuer{number}.example.org", (f"audience{number}",), f'{{"keys": [{number}]}}', "sub", claim)
        for number in range(count)
    )
    tokens = render_filters(Clients(1, listed, issuers))[0]["typed_config"]
    assert len(tokens["providers"]) == count
    for number, provider in enumerate(tokens["providers"].values()):
        headers = [{"header_name": CLIENT_HEADER, "claim_name": "sub"}]
        headers += [{"header_name": CLASS_HEADER, "claim_name": claim}] if claim else []
        assert provider == {  # whole: what is not here, Envoy would allow by default
            "issuer": f"https://issuer{number}.example.org",
            "audiences": [f"audience{number}"],
            "local_jwks": {"inline_string": f'{{"keys": [{number}]}}'},
            "require_expiration": True,
            "claim_to_headers": headers,
            "clear_route_cache": True,
        }


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("listed", [CLIENTS.clients, ()], ids=["keys too", "tokens alone"])
def test_a_token_is_needed_everywhere_but_where_the_router_speaks_of_itself(
    count: int, listed: tuple[Any, ...]
) -> None:
    issuers = tuple(Issuer(f"https://issuer{number}.example.org", ("a",), "{}") for number in range(count))
    tokens = render_filters(Clients(1, listed, issuers))[0]["typed_config"]
    *free, last = tokens["rules"]
    names = set(tokens["providers"])
    required = last["requires"]
    assert last["match"] == {"prefix": "/"}
    asked = required.get("requires_any", {}).get("requirements", [required])
    assert [set(one) for one in asked] == [{"provider_name"}] * count, "none that allows a missing or failed token"
    assert {one["provider_name"] for one in asked} == names
    keyed = {"prefix": "/", "headers": [{"name": "x-api-key", "string_match": {"safe_regex": {"regex": ".+"}}}]}
    assert [rule["match"] for rule in free] == [{"path": path} for path in PUBLIC] + [keyed] * bool(listed)
    assert not any("requires" in rule for rule in free)


def test_without_clients_everybody_is_let_in_and_nobody_is_anybody() -> None:
    assert render_filters(None) == []
    configuration = render(make_plan(document(), Policy.PRIORITY, ADDRESSES), LAYOUT, Ingress("127.0.0.1", 8080), WAN)
    (manager,) = configuration.files[LAYOUT.listeners]["resources"][0]["filter_chains"][0]["filters"]
    (removed,) = manager["typed_config"]["early_header_mutation_extensions"]
    assert [one["remove"] for one in removed["typed_config"]["mutations"]] == list(FORGED)


@pytest.mark.parametrize(
    ("rate_per_s", "burst", "bucket"),
    [
        (0.5, None, (1, 1, "2s")),  # below one a second: one whole request, or none would ever pass
        (0.1, None, (1, 1, "10s")),
        (2.5, None, (3, 5, "2s")),
        (10.0, None, (10, 10, "1s")),
        (0.5, 7, (7, 1, "2s")),
    ],
)
def test_a_client_s_bucket_holds_whole_requests_at_any_rate(
    rate_per_s: float, burst: int | None, bucket: tuple[int, int, str]
) -> None:
    client = Client("shop", ("k" * 20,), rate_per_s=rate_per_s, burst=burst)
    (descriptor,) = host_options(Clients(1, (client,)))[RATE_LIMIT]["descriptors"]
    assert descriptor["entries"] == [{"key": "client", "value": "shop"}]
    assert tuple(descriptor["token_bucket"].values()) == bucket


@pytest.mark.parametrize(
    ("log", "count", "filtered"),
    [(AccessLog.NONE, 0, set()), (AccessLog.TROUBLE, 1, {True}), (AccessLog.ALL, 1, {False})],
)
def test_what_is_logged_is_what_was_asked_for(log: AccessLog, count: int, filtered: set[bool]) -> None:
    ingress = Ingress("127.0.0.1", 8080, log)
    configuration = render(make_plan(document(), Policy.PRIORITY, ADDRESSES), LAYOUT, ingress, LAB)
    (manager,) = configuration.files[LAYOUT.listeners]["resources"][0]["filter_chains"][0]["filters"]
    logs = manager["typed_config"]["access_log"]
    assert len(logs) == count
    assert {"filter" in one for one in logs} == filtered
