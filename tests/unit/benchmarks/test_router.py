"""What the router's benchmark makes of its samples: lost requests, worst times, pairs, and what holds."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.benchmarks.router import proxies
from tests.benchmarks.router.endpoints import LEVELS, SITES, address_of, site_name
from tests.benchmarks.router.instructions import by_hand, without_checks
from tests.benchmarks.router.measuring import Answered, longest_s, outage, percentile
from tests.benchmarks.router.throughput import EVERYTHING, WITH_TLS, Run, compared, rate_of
from tests.benchmarks.router.upstream import answer, length_of
from tests.benchmarks.table import STATED, MissingError
from tests.servers import make_certificates
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.envoy import Ingress, Layout
from trihull_runtime.router.envoy.listeners import render_ingress
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.timings import LAB

WRK = "Running 2s test\n  20864 requests in 2.00s\n{wrong}Requests/sec:  10432.25\nTransfer/sec:      4.63MB\n"


def calm(count: int, took_s: float = 0.01) -> list[Answered]:
    return [Answered(index / 100, index / 100 + took_s, lost=False) for index in range(count)]


@pytest.mark.parametrize(("part", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(part: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], part) == expected


def test_a_request_in_flight_at_the_fault_was_met_by_it() -> None:
    seen = outage([*calm(200), Answered(1.9, 2.5, lost=False), Answered(2.1, 2.2, lost=True)], fault_at=2.0)
    assert (seen.sent, seen.lost) == (2, 1)
    assert seen.worst_s == pytest.approx(0.6)
    assert seen.calm_p99_s == pytest.approx(0.01)


def test_the_calm_is_judged_without_its_first_half_second() -> None:
    slow_at_first = [Answered(0.0, 0.4, lost=False), *calm(200), Answered(2.1, 2.2, lost=False)]
    assert outage(slow_at_first, fault_at=2.05).calm_p99_s == pytest.approx(0.01)


def test_an_answer_is_late_from_when_its_request_was_due() -> None:
    assert Answered(due=1.0, end=1.75, lost=False).took_s == 0.75


def test_requests_lost_in_the_calm_end_the_run() -> None:
    with pytest.raises(AssertionError, match="1 requests were lost before"):
        outage([*calm(100), Answered(0.1, 0.2, lost=True), Answered(2.0, 2.1, lost=False)], fault_at=1.5)


@pytest.mark.parametrize(
    ("fault", "limit_s"),
    [("killed", 0.28), ("5xx", 0.28), ("reset", 0.28), ("refused", 0.28), ("frozen", 1.26), ("blackholed", 1.26)],
)
def test_a_silent_site_may_cost_a_try_and_any_other_a_connection(fault: str, limit_s: float) -> None:
    assert longest_s(fault, 0.01, connect_s=0.25, per_try_s=1.0) == pytest.approx(limit_s)


def test_throughput_is_compared_pair_by_pair() -> None:
    runs = {
        proxies.OURS: [Run(9_500, 100), Run(5_000, 100), Run(9_600, 100)],
        EVERYTHING: [Run(8_000, 120)] * 3,
        "Envoy 1.40.0": [Run(10_000, 90), Run(5_100, 90), Run(10_000, 90)],
        "Envoy 1.40.0 bare": [Run(19_000, 50)] * 3,
        proxies.GENERATED: [Run(9_800, 99)] * 3,
        "nginx 1.22.1": [Run(40_000, 20)] * 3,
        "HAProxy 2.6.12": [Run(50_000, 25)] * 3,
        proxies.OURS + WITH_TLS: [Run(8_000, 130)] * 3,
        "Envoy 1.40.0" + WITH_TLS: [Run(10_000, 91)] * 3,
        "Envoy 1.40.0 bare" + WITH_TLS: [Run(16_000, 65)] * 3,
    }
    with_tls, tls_bare, tls_spent, by_hand, bare, spent, alone, everything, all_spent, sites = compared(runs, [60_000])
    assert (with_tls.peer_name, with_tls.holds) == ("Envoy 1.40.0, TLS", False)
    assert with_tls.ratio == pytest.approx(0.8)
    assert with_tls.parts["requests/s, Envoy 1.40.0, TLS"] == [10_000] * 3
    assert tls_spent.ratio == pytest.approx(0.7)
    assert (tls_bare.peer_name, bare.peer_name) == ("Envoy 1.40.0 bare, TLS", "Envoy 1.40.0 bare")
    assert [tls_bare.ratio, bare.ratio] == pytest.approx([0.5, 0.5])
    assert tls_bare.target == bare.target == STATED
    assert by_hand.peer_name == "Envoy 1.40.0"
    assert by_hand.ratio == pytest.approx(0.96)
    assert by_hand.holds
    assert by_hand.parts["requests/s, Envoy 1.40.0"] == [10_000, 5_100, 10_000]
    assert [spent.ratio, alone.ratio] == pytest.approx([0.9, 0.99])
    assert everything.peer_name == "HAProxy 2.6.12"
    assert everything.ratio == pytest.approx(0.16)
    assert (all_spent.peer_name, all_spent.peer) == ("nginx 1.22.1", 20)
    assert sites.peer is None


def test_throughput_below_the_target_is_missed() -> None:
    own = (proxies.OURS, proxies.OURS + WITH_TLS, EVERYTHING, proxies.GENERATED)
    runs = {name: [Run(9_400, 1)] for name in own}
    envoys = [f"Envoy 1.40.0{bare}{tls}" for bare in ("", proxies.BARE) for tls in ("", WITH_TLS)]
    runs |= {name: [Run(10_000, 1)] for name in envoys} | {"nginx 1.22.1": [Run(1, 1)]}
    with_tls, _, _, without, *_ = compared(runs, [1])
    assert not with_tls.holds
    assert not without.holds


def test_a_run_of_wrk_with_errors_counts_for_nothing() -> None:
    assert rate_of(WRK.format(wrong="")) == 10432.25
    for wrong in ("  Non-2xx or 3xx responses: 12\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"):
        with pytest.raises(MissingError, match=wrong.strip()):
            rate_of(WRK.format(wrong=wrong))


def test_every_site_of_the_large_fleet_has_an_address_of_its_own() -> None:
    addresses = {address_of(index) for index in range(SITES)}
    assert len(addresses) == SITES
    assert all(address.startswith("127.") and not address.endswith((".0", ".255")) for address in addresses)


def test_the_changed_sites_are_of_every_priority() -> None:
    changed = [int(site_name(index, 10).removeprefix("site-")) for index in range(10)]
    assert sorted(number % LEVELS for number in changed) == list(range(LEVELS))
    assert max(changed) < SITES


def test_every_peer_is_given_the_timings_of_our_router() -> None:
    given = {"connect_ms": 250, "try_ms": 1000, "check_ms": 400, "every_ms": 500, "edge_ms": 250}
    assert proxies.in_milliseconds(LAB) == given


def test_the_site_understands_what_proxies_send() -> None:
    assert length_of(b"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 12") == 12
    assert length_of(b"GET / HTTP/1.1\r\nHost: a") == 0
    head, _, body = answer(503, "sha256:1", b'{"id": "7"}').partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b'"id": "7"' in body
    assert f"content-length: {len(body)}".encode() in head


def manager_of(listener: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def test_the_envoy_beside_us_has_our_listener_and_our_log(tmp_path: Path) -> None:
    path, _ = by_hand(tmp_path / "same", [1, 2, 3], None)
    listener = yaml.safe_load(path.read_text())["static_resources"]["listeners"][0]
    layout = Layout(tmp_path / "envoy", tmp_path, tmp_path / "envoy.sock", None)
    ours = render_ingress(Ingress("127.0.0.1", 1), layout)
    assert listener["per_connection_buffer_limit_bytes"] == ours["per_connection_buffer_limit_bytes"]
    theirs, own = manager_of(listener), manager_of(ours)
    compared_below = {"http_filters", "access_log"}
    not_options = {"rds", "stat_prefix", "local_reply_config"}  # the last: one mapper of ours is for our own health
    for key in own.keys() - compared_below - not_options:
        assert json.dumps(theirs[key]) == json.dumps(own[key]), key
    limits = [f["typed_config"] for each in (theirs, own) for f in each["http_filters"] if "body_size" in f["name"]]
    assert limits[0] == limits[1]
    assert "local_reply_config" in theirs
    logs = [each["http_filters"][-1]["typed_config"]["upstream_log"][-1] for each in (theirs, own)]
    columns = [set(each["typed_config"]["log_format"]["json_format"]) for each in logs]
    assert columns[0] - {"upstream"} == columns[1] - {"site"}
    kinds = [[set(each) for each in log["filter"]["or_filter"]["filters"]] for log in logs]
    assert kinds[0] == kinds[1]
    columns = [set(each["access_log"][0]["typed_config"]["log_format"]["json_format"]) for each in (theirs, own)]
    assert columns[0] - {"upstream"} == columns[1] - {"site", "client", "residency_class"}


def test_a_bare_envoy_has_none_of_it(tmp_path: Path) -> None:
    path, _ = by_hand(tmp_path / "bare", [1, 2, 3], None, bare=True)
    text = path.read_text()
    assert "@" not in text.replace('"@type"', "")
    for part in ("early_header_mutation", "body_size_limit", "upstream_log", "local_reply", "REJECT_REQUEST"):
        assert part not in text, part


def test_lines_of_tls_are_in_a_configuration_with_certificates_alone(tmp_path: Path) -> None:
    tls = make_certificates(tmp_path / "certificates")
    layout = Layout(tmp_path / "envoy", tmp_path / "logs", tmp_path / "envoy.sock", None)
    judge = EnvoyProcess(find_envoy(), layout, own_group=False)
    found = []
    for name, certificates, bare in (
        ("plain", None, False),
        ("tls", tls, False),
        ("bare", None, True),
        ("bare-tls", tls, True),
    ):
        path, port = by_hand(tmp_path / name, [1, 2, 3], certificates, bare=bare)
        found.append(path.read_text())
        assert f"port_value: {port}" in found[-1]
        assert "http_health_check" not in found[-1]
        judge.validate(yaml.safe_load(found[-1]))  # raises what Envoy has against it
    plain, secured, *_ = found
    assert "transport_socket" not in plain
    assert secured.count("transport_socket:") == 2
    assert secured.count(f"{tls.server}/tls.crt") == secured.count(f"{tls.client}/tls.crt") == 1


def test_health_checks_are_left_out_wherever_they_stand() -> None:
    clusters = {"resources": [{"name": "a", "health_checks": [{"timeout": "1s"}], "deeper": [{"health_checks": []}]}]}
    assert without_checks(clusters) == {"resources": [{"name": "a", "deeper": [{}]}]}
