"""What sites answer, and what of it reaches the client: errors are tried elsewhere, requests are never run twice
unless they may be, and no answer of a release that is not accepted gets through.
"""

import json
from dataclasses import replace
from pathlib import Path

from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import ACCEPTED, OTHER, StandIn

INFER = "/v2/models/digits/infer"
FEEDBACK = "/v2/models/digits/feedback"


def test_a_burst_of_503_behind_a_good_health_check_costs_no_request(
    router: Router, standins: dict[str, StandIn]
) -> None:
    with Load(router.url) as load:
        load.wait_site("aws")
        standins["aws"].status = 503
        load.wait_site("gcp")
        router.wait_event("site_ejected", site="aws")
        standins["aws"].status = 200
        load.wait_site("aws")
    assert load.lost == []


def test_connections_cut_in_place_of_an_answer_cost_no_request(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url) as load:
        load.wait_site("aws")
        standins["aws"].cut = True
        load.wait_site("gcp")
    assert load.lost == []


def test_a_request_that_must_not_be_repeated_runs_once(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].cut = True
    marked, _, data = ask(f"{router.url}{INFER}", "POST", b'{"id": "once"}', {"x-trihull-idempotent": "false"})
    feedback, _, _ = ask(f"{router.url}{FEEDBACK}", "POST", b'{"id": "told"}')
    asked = [identity for site in standins.values() for _, _, identity in site.asked]
    assert asked == ["once", "told"]
    assert (marked, feedback) == (503, 503)
    assert "error" in json.loads(data)


def test_a_request_that_must_not_be_repeated_still_leaves_a_dead_site(
    router: Router, standins: dict[str, StandIn]
) -> None:
    standins["aws"].down()
    status, headers, _ = ask(f"{router.url}{FEEDBACK}", "POST", b'{"id": "told"}')
    assert (status, headers["x-trihull-site"]) == (200, "gcp")


def test_a_client_error_is_passed_on_after_one_attempt(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].status, standins["aws"].release = 400, None
    for _ in range(5):
        status, headers, data = ask(f"{router.url}{INFER}", "POST", b"{}")
        assert (status, headers["x-trihull-site"], headers["x-envoy-attempt-count"]) == (400, "aws", "1")
        assert json.loads(data)["site"] == "aws"
    assert router.health()["aws"] == "healthy"


def test_a_stale_release_is_asked_but_never_answers(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].release = OTHER
    with Load(router.url) as load:
        load.wait_more(40)
    assert load.lost == []
    assert {outcome.site for outcome in load.outcomes} == {"gcp"}


def test_stale_releases_everywhere_are_an_honest_error(router: Router, standins: dict[str, StandIn]) -> None:
    for site in standins.values():
        site.release = OTHER
    status, headers, data = ask(f"{router.url}{INFER}", "POST", b"{}")
    assert (status, headers["x-trihull-refused"], headers["retry-after"]) == (503, "release", "1")
    assert "accepted release" in json.loads(data)["error"]
    assert OTHER not in data.decode()


def test_an_answer_that_names_no_release_is_refused(router: Router, standins: dict[str, StandIn]) -> None:
    for site in standins.values():
        site.release = None
    status, headers, _ = ask(f"{router.url}{INFER}", "POST", b"{}")
    assert (status, headers["x-trihull-refused"]) == (503, "release")


def test_two_accepted_releases_both_answer(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].release = OTHER
    fleet_of(standins, (ACCEPTED, OTHER)).write(router.fleet_path)
    eventually(
        lambda: ask(f"{router.url}{INFER}", "POST", b"{}")[1].get("x-trihull-site") == "aws", "the new release is taken"
    )


def test_all_sites_down_is_an_honest_503(router: Router, standins: dict[str, StandIn]) -> None:
    for site in standins.values():
        site.down()
    status, headers, data = ask(f"{router.url}{INFER}", "POST", b"{}")
    answer = json.loads(data)
    assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/json")
    assert answer["error"]
    assert answer["cause"]
    router.wait_health(aws="unhealthy", gcp="unhealthy", azure="unhealthy")
    eventually(lambda: ask(f"{router.url}/routerz")[0] == 503, "the router says that it has no healthy site")
    standins["azure"].up()
    eventually(lambda: ask(f"{router.url}/routerz")[0] == 200, "one healthy site is enough")
    assert ask(f"{router.url}{INFER}", "POST", b"{}")[1]["x-trihull-site"] == "azure"


def test_lying_health_checks_everywhere_do_not_stop_traffic(router: Router, standins: dict[str, StandIn]) -> None:
    with Load(router.url) as load:
        for site in standins.values():
            site.ready = False
        router.wait_health(aws="unhealthy", gcp="unhealthy", azure="unhealthy")
        load.wait_more(40)
    assert load.lost == []


def test_unknown_models_and_paths_are_404_with_a_reason(
    shared_router: Router, shared_standins: dict[str, StandIn]
) -> None:
    for path, text in (("/v2/models/letters/infer", "digits"), ("/v2/models/digitsx/infer", "digits"), ("/x", "/v2")):
        status, headers, data = ask(f"{shared_router.url}{path}", "POST", b"{}")
        assert (status, headers["content-type"]) == (404, "application/json")
        assert text in json.loads(data)["error"]
    assert all(site.asked == [] for site in shared_standins.values())


def test_the_router_answers_for_itself(shared_router: Router) -> None:
    assert json.loads(ask(f"{shared_router.url}/v2")[2])["name"] == "trihull-router"
    assert json.loads(ask(f"{shared_router.url}/v2/health/live")[2]) == {"live": True}
    assert ask(f"{shared_router.url}/v2/health/ready")[0] == 200
    assert ask(f"{shared_router.url}/routerz")[0] == 200


def test_a_client_cannot_steer_envoy(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].status = 503
    steering = {
        "x-envoy-max-retries": "0",
        "x-envoy-retry-on": "none",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-attempt-count": "7",
    }
    status, headers, data = ask(f"{router.url}{INFER}", "POST", b"{}", steering)
    assert (status, headers["x-trihull-site"], headers["x-envoy-attempt-count"]) == (200, "gcp", "2")
    seen = json.loads(data)["headers"]
    assert not {"x-envoy-max-retries", "x-envoy-retry-on", "x-envoy-upstream-rq-timeout-ms"} & set(seen)
    assert "x-envoy-upstream-service-time" not in headers


def test_a_large_body_is_tried_elsewhere_too(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].status = 503
    body = json.dumps({"id": "large", "data": "x" * (5 << 20)}).encode()
    status, headers, _ = ask(f"{router.url}{INFER}", "POST", body)
    assert (status, headers["x-trihull-site"]) == (200, "gcp")


def test_weights_split_traffic_inside_a_priority(standins: dict[str, StandIn], tmp_path: Path) -> None:
    fleet = fleet_of(standins)
    aws, gcp, azure = fleet.sites
    sites = (replace(aws, weight=3), replace(gcp, priority=0, weight=1), azure)
    with router_for(tmp_path / "router", replace(fleet, sites=sites)) as router:
        router.wait_health(aws="healthy", gcp="healthy")
        for _ in range(80):
            assert ask(f"{router.url}{INFER}", "POST", b"{}")[0] == 200
    counts = {name: len(site.asked) for name, site in standins.items()}
    assert counts["azure"] == 0
    assert 50 <= counts["aws"] <= 70  # two worker threads turn their own wheels
    assert counts["aws"] + counts["gcp"] == 80


def test_when_every_check_lies_a_failing_site_still_costs_no_request(
    router: Router, standins: dict[str, StandIn]
) -> None:
    for site in standins.values():
        site.ready = False
    router.wait_health(aws="unhealthy", gcp="unhealthy", azure="unhealthy")
    eventually(
        lambda: (
            min(row["share_percent"] for row in router.admin("GET", "/v1/status")[1]["models"]["digits"]["sites"]) > 0
        ),
        "all share alike",
    )
    with Load(router.url) as load:
        load.wait_more(60)
        standins["aws"].status = 503
        load.wait_more(120)
        standins["gcp"].cut = True
        load.wait_more(120)
    assert load.lost == []
