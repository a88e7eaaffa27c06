"""How requests are shared out: policies, canaries, shadows, hedging, pauses, and steps after an outage."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import StandIn
from trihull_runtime.contract import Canary, Fleet, Policy, Routing, Shadow
from trihull_runtime.router.envoy.listeners import TIMED_KEY
from trihull_runtime.router.measuring import COUNTERS, sample_of

INFER = "/v2/models/digits/infer"


def ruled(standins: dict[str, StandIn], **rules: Any) -> Fleet:
    return replace(fleet_of(standins), routing=Routing(**rules))


def all_healthy(router: Router) -> None:
    router.wait_health(aws="healthy", gcp="healthy", azure="healthy")


def test_weighted_splits_over_all_sites(standins: dict[str, StandIn], tmp_path: Path) -> None:
    fleet = ruled(standins, policy=Policy.WEIGHTED)
    sites = tuple(replace(site, weight=weight) for site, weight in zip(fleet.sites, (60, 30, 10), strict=True))
    with router_for(tmp_path / "router", replace(fleet, sites=sites)) as router:
        all_healthy(router)
        with Load(router.url, rate=200) as load:
            load.wait_more(400)
            standins["gcp"].down()
            load.wait_more(100)
    assert load.lost == []
    first = [outcome.site for outcome in sorted(load.outcomes, key=lambda outcome: outcome.number)[:400]]
    assert abs(first.count("aws") / 400 - 0.6) < 0.05
    assert abs(first.count("azure") / 400 - 0.1) < 0.05


def test_of_very_many_attempts_a_share_is_timed(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", fleet_of(standins)) as router:
        all_healthy(router)
        envoy = router.envoy.admin

        def ordered() -> int:
            entries = envoy.json("/runtime")["entries"]
            return int(entries[TIMED_KEY]["final_value"]) if TIMED_KEY in entries else 0

        def timed() -> int:
            page = envoy.json(f"/stats?format=json&histogram_buckets=cumulative&filter={COUNTERS}")
            return sum(max(each.values()) for each in sample_of(page, 0.0).durations.values())

        eventually(lambda: ordered() == 100, "few are timed all")
        with Load(router.url, rate=100) as load:
            load.wait_more(100)
        count = len(load.outcomes)
        eventually(lambda: timed() == count, "all were timed")
        envoy.order(TIMED_KEY, 20)
        with Load(router.url, rate=200) as load:
            load.wait_more(500)
        assert load.lost == []
        eventually(lambda: timed() - count > 0.1 * len(load.outcomes), "a share was timed")
        assert timed() - count < 0.35 * len(load.outcomes)


def test_fastest_goes_to_the_site_that_answers_soonest(standins: dict[str, StandIn], tmp_path: Path) -> None:
    standins["aws"].delay_s = standins["gcp"].delay_s = 0.15
    with router_for(tmp_path / "router", ruled(standins, policy=Policy.FASTEST)) as router:
        with Load(router.url) as load:
            load.wait_site("azure")
            standins["azure"].delay_s, standins["gcp"].delay_s = 0.15, 0.0
            load.wait_site("gcp")
        assert load.lost == []
        rows = router.admin("GET", "/v1/status")[1]["models"]["digits"]["sites"]
        latency = {row["name"]: row["latency_ms"] for row in rows}
        assert latency["gcp"] < latency["aws"]


def test_a_canary_gets_its_percentage_and_whoever_asks_for_it(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", ruled(standins, canaries={"digits": Canary(("azure",), 20)})) as router:
        all_healthy(router)
        with Load(router.url, rate=200) as load:
            load.wait_more(500)
        assert load.lost == []
        sites = [outcome.site for outcome in load.outcomes]
        assert set(sites) == {"aws", "azure"}
        assert abs(sites.count("azure") / len(sites) - 0.2) < 0.07
        for value, site in (("always", "azure"), ("never", "aws")):
            found = {ask(f"{router.url}{INFER}", "POST", b"{}", {"x-trihull-canary": value})[1]["x-trihull-site"]}
            assert found == {site}
        standins["azure"].down()
        eventually(
            lambda: (
                ask(f"{router.url}{INFER}", "POST", b"{}", {"x-trihull-canary": "always"})[1]["x-trihull-site"] == "aws"
            ),
            "the other sites answer for a dead canary",
        )


def test_a_shadow_gets_copies_and_its_answers_are_compared(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", ruled(standins, shadows={"digits": Shadow("azure", 100)})) as router:
        router.wait_health(aws="healthy", gcp="healthy")

        def counted(result: str) -> int:
            text = router.admin("GET", "/metrics")[1]
            lines = [line for line in text.splitlines() if line.startswith("trihull_router_shadow_total{")]
            return sum(int(line.split()[-1]) for line in lines if f'result="{result}"' in line)

        for number in range(10):
            body = json.dumps({"id": f"{number}"}).encode()
            assert ask(f"{router.url}{INFER}", "POST", body)[1]["x-trihull-site"] == "aws"
        eventually(lambda: counted("equal") == 10, "ten copies were equal")
        copies = [identity for _, path, identity in standins["azure"].asked if path == INFER]
        assert sorted(copies) == sorted(f"{number}" for number in range(10))
        standins["azure"].label = 4
        status, _, data = ask(f"{router.url}{INFER}", "POST", b"{}")
        assert (status, json.loads(data)["outputs"][0]["data"]) == (200, [7])
        eventually(lambda: counted("different") == 1, "a difference is counted")
        assert "output label differs" in router.wait_event("shadow_differs", site="azure")["message"]
        standins["azure"].down()
        assert ask(f"{router.url}{INFER}", "POST", b"{}")[0] == 200
        eventually(lambda: counted("different") + counted("failed") == 2, "a dead shadow is counted, and costs nobody")


def test_hedging_does_not_wait_for_a_frozen_site(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", ruled(standins, hedge_after_s=0.1)) as router:
        all_healthy(router)
        standins["aws"].delay_s = 0.6
        status, headers, _ = ask(f"{router.url}{INFER}", "POST", b'{"id": "1"}')
        assert (status, headers["x-trihull-site"]) == (200, "gcp")
        standins["aws"].delay_s = 5.0
        with Load(router.url) as load:
            load.wait_more(100)
        assert load.lost == []


def test_a_site_that_asks_for_a_pause_gets_it_and_no_request_is_lost(
    router: Router, standins: dict[str, StandIn]
) -> None:
    with Load(router.url) as load:
        load.wait_site("aws")
        standins["aws"].retry_after = "2"
        standins["aws"].status = 429
        load.wait_site("gcp")
        router.wait_event("failover", origin="aws", target="gcp")
        asked = len(standins["aws"].asked)
        load.wait_more(40)
        assert len(standins["aws"].asked) <= asked + 2  # the questions of the router itself
        standins["aws"].status = 200
        load.wait_site("aws")
    assert load.lost == []


def test_a_site_comes_back_in_steps(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url, rate=150) as load:
        load.wait_site("aws")
        standins["aws"].down()
        load.wait_site("gcp")
        router.wait_health(aws="unhealthy")
        standins["aws"].up()
        load.wait_site("aws")
    assert load.lost == []
    steps = [event["message"].split("digits: ")[1] for event in router.events("config_applied")]
    expected = ["gcp 100 %", "aws 5 %, gcp 95 %", "aws 25 %, gcp 75 %", "aws 50 %, gcp 50 %", "aws 100 %"]
    assert [step for step in steps if step in expected][-5:] == expected


def test_a_flapping_site_is_held_back(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url) as load:
        for number in range(6):
            standins["aws"].ready = False
            router.wait_event("site_unhealthy", number + 1, site="aws")
            standins["aws"].ready = True
            router.wait_event("site_healthy", number + 2, site="aws")
        rows = router.admin("GET", "/v1/status")[1]["models"]["digits"]["sites"]
        aws = next(row for row in rows if row["name"] == "aws")
        assert aws["suppressed"]
        assert aws["share_percent"] == 0
        assert "so often" in aws["reason"]
    assert load.lost == []
