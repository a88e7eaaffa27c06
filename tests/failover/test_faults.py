"""The faults, one by one, under load.

No idempotent request is lost while one healthy site exists, none that must not be repeated runs twice, and no wrong
answer gets through. What is bounded instead of zero is counted here too.
"""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.failover.load import Load
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import ACCEPTED, OTHER, StandIn
from trihull_runtime.contract import Endpoint

INFER = "/v2/models/digits/infer"
FEEDBACK = "/v2/models/digits/feedback"


def _status(value: int) -> Callable[[StandIn], None]:
    def apply(site: StandIn) -> None:
        site.status = value

    return apply


def _slow(site: StandIn) -> None:
    site.delay_s = 1.5  # longer than one try may take


def _cut(site: StandIn) -> None:
    site.cut = True


def _stale(site: StandIn) -> None:
    site.release = OTHER


def _well(site: StandIn) -> None:
    site.status, site.delay_s, site.cut, site.ready = 200, 0.0, False, True
    site.release = ACCEPTED


FAULTS: dict[str, Callable[[StandIn], None]] = {
    "refused": StandIn.down,
    "blackholed": StandIn.blackhole,
    "reset": _cut,
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "504": _status(504),
    "429": _status(429),
    "slow": _slow,
    "stale": _stale,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_request_is_lost(router: Router, standins: dict[str, StandIn], fault: str) -> None:
    with Load(router.url, rate=100) as load:
        load.wait_site("aws")
        FAULTS[fault](standins["aws"])
        load.wait_site("gcp")
        load.wait_more(50)
        if fault in ("refused", "blackholed"):
            standins["aws"].down()
            standins["aws"].up()
        _well(standins["aws"])
        load.wait_site("aws")
    assert load.lost == []
    assert len({outcome.number for outcome in load.outcomes}) == len(load.outcomes)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "stale"])
def test_two_at_once_cost_nothing_either(router: Router, standins: dict[str, StandIn], fault: str) -> None:
    with Load(router.url, rate=60) as load:
        load.wait_site("aws")
        FAULTS[fault](standins["aws"])
        FAULTS[fault](standins["gcp"])
        load.wait_site("azure")
    assert load.lost == []


@pytest.mark.parametrize("fault", ["refused", "blackholed", "reset", "500", "503", "slow"])
def test_what_must_not_be_repeated_runs_at_most_once(router: Router, standins: dict[str, StandIn], fault: str) -> None:
    with Load(router.url, FEEDBACK, rate=60) as load:
        load.wait_site("aws")
        FAULTS[fault](standins["aws"])
        load.wait_more(60)
    ran = [identity for site in standins.values() for _, path, identity in site.asked if path == FEEDBACK]
    assert len(ran) == len(set(ran))
    answered = {f"{outcome.number}" for outcome in load.outcomes if outcome.status == 200}
    assert answered <= set(ran)


def test_an_answer_that_had_begun_is_an_error_and_never_looks_complete(
    router: Router, standins: dict[str, StandIn]
) -> None:
    with Load(router.url, rate=60) as load:
        load.wait_site("aws")
        standins["aws"].truncate = True
        load.wait_site("gcp")
        standins["aws"].truncate = False
        load.wait_site("aws")
    kinds = {outcome.problem.split(":")[0] for outcome in load.lost}
    assert kinds <= {"IncompleteReadError", "ConnectionResetError"}
    counted = router.admin("GET", "/metrics")[1]
    lines = [line for line in counted.splitlines() if line.startswith('trihull_router_truncated_total{site="aws"}')]
    assert int(lines[0].split()[-1]) == len(load.lost)  # bounded, and every one is counted
    assert 3 <= len(load.lost) < 60
    assert router.events("site_cut_short")


def test_half_the_replicas_of_a_site_cost_nothing(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url, rate=100) as load:
        load.wait_site("aws")
        standins["aws"].half_dead = True
        load.wait_more(200)
        standins["aws"].half_dead = False
        load.wait_site("aws")
    assert load.lost == []
    assert max(outcome.attempts for outcome in load.outcomes) == 2


def test_one_of_two_first_choices_leaves_the_other_all_of_it(standins: dict[str, StandIn], tmp_path: Path) -> None:
    aws, gcp, azure = fleet_of(standins).sites
    fleet = replace(fleet_of(standins), sites=(aws, replace(gcp, priority=0), azure))
    with router_for(tmp_path / "router", fleet) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        with Load(router.url, rate=100) as load:
            load.wait_more(50)
            standins["aws"].down()
            load.wait_site("gcp")
        assert load.lost == []
        assert "azure" not in {outcome.site for outcome in load.outcomes if outcome.attempts == 1}


def test_flapping_twice_a_second_costs_nothing(router: Router, standins: dict[str, StandIn]) -> None:
    stop = threading.Event()

    def flap() -> None:
        while not stop.is_set():
            standins["aws"].down()
            stop.wait(0.25)
            standins["aws"].up()
            stop.wait(0.25)

    flapping = threading.Thread(target=flap)
    with Load(router.url, rate=100) as load:
        load.wait_site("aws")
        flapping.start()
        load.wait_more(600)
        stop.set()
        flapping.join()
    assert load.lost == []


def test_a_killed_envoy_loses_what_was_inside_it_and_nothing_after(
    router: Router, standins: dict[str, StandIn]
) -> None:
    with Load(router.url, rate=60) as load:
        load.wait_more(30)
        pid = router.envoy.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        router.wait_event("envoy_started", count=2)
        back = len(load.outcomes)
        load.wait_more(60)
    lost = load.lost
    assert {outcome.problem.split(":")[0] for outcome in lost} <= {
        "ConnectionRefusedError",
        "ConnectionResetError",
        "IncompleteReadError",
    }
    assert not [outcome for outcome in list(load.outcomes)[back + 5 :] if outcome.problem]
    assert len(lost) < 60  # less than a second of it


def test_an_envoy_that_hangs_is_replaced(router: Router, standins: dict[str, StandIn]) -> None:
    pid = router.envoy.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    router.wait_event("envoy_hangs")
    router.wait_event("envoy_started", count=2)
    assert ask(f"{router.url}{INFER}", "POST", b"{}")[0] == 200
    assert router.envoy.pid() != pid


def test_two_routers_side_by_side_need_each_other_for_nothing(standins: dict[str, StandIn], tmp_path: Path) -> None:
    fleet = fleet_of(standins)
    with router_for(tmp_path / "one", fleet) as one, router_for(tmp_path / "two", fleet) as two:
        one.wait_health(aws="healthy")
        two.wait_health(aws="healthy")
        with Load(one.url) as first, Load(two.url) as second:
            first.wait_site("aws")
            second.wait_site("aws")
            standins["aws"].down()
            first.wait_site("gcp")
            second.wait_site("gcp")
            one.kill()
            one.envoy.quit()
            second.wait_more(40)
        assert second.lost == []


def test_a_streamed_answer_passes_and_a_silent_one_is_cut(router: Router, standins: dict[str, StandIn]) -> None:
    path = f"{router.url}/v2/models/digits/generate_stream"
    for site in standins.values():
        site.pieces = [0.0, 1.2, 0.1]  # longer than one try of an ordinary request
    status, headers, body = ask(path, "POST", b"{}")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    standins["aws"].down()
    assert ask(path, "POST", b"{}")[1]["x-trihull-site"] == "gcp"
    for site in standins.values():
        site.pieces = [0.0, 6.0, 0.0]  # above the lab's limit of silence
    with pytest.raises(Exception, match=r"IncompleteRead|reset|closed"):
        ask(path, "POST", b"{}")


def test_an_endpoint_that_moves_is_followed_without_a_lost_request(
    router: Router, standins: dict[str, StandIn]
) -> None:
    fleet = fleet_of(standins)
    with Load(router.url) as load:
        load.wait_site("aws")
        aws, gcp, azure = fleet.sites
        assert gcp.endpoint is not None
        moved = replace(aws, endpoint=Endpoint(gcp.endpoint.url, "moved.example.org"))
        status, _ = router.admin("PUT", "/v1/fleet", replace(fleet, sites=(moved, azure)).to_json().encode())
        assert status == 200
        load.wait_more(60)
    assert load.lost == []
