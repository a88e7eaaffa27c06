"""Sites that are up and wrong: their answers are found out by questions with known answers, and no client gets more."""

import time
from dataclasses import replace
from pathlib import Path

from tests.failover.load import Load, eventually
from tests.failover.rig import Router, ask, fleet_of, router_for
from tests.failover.standin import ACCEPTED, OTHER, StandIn
from trihull_runtime.contract import DataType, Fleet, KnownAnswer, KnownTensor, Routing

INFER = "/v2/models/digits/infer"
KNOWN = KnownAnswer(
    ACCEPTED,
    (KnownTensor("pixels", DataType.FP32, (1, 2), (0.5, 1.0)),),
    (KnownTensor("label", DataType.INT64, (1,), (7.0,)),),
)


def knowing(standins: dict[str, StandIn]) -> Fleet:
    return replace(fleet_of(standins), routing=Routing(known_answers={"digits": (KNOWN,)}))


def label(body: object) -> str:
    assert isinstance(body, dict)
    return "" if body["outputs"][0]["data"] == [7] else f"a wrong answer: {body['outputs']}"


def test_a_liar_is_found_out_within_one_interval_and_trusted_again_when_it_stops(
    standins: dict[str, StandIn], tmp_path: Path
) -> None:
    with router_for(tmp_path / "router", knowing(standins)) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        with Load(router.url, rate=100, check=label) as load:
            load.wait_site("aws")
            begin = time.monotonic()
            standins["aws"].label = 4
            router.wait_event("site_wrong", site="aws", model="digits")
            found = time.monotonic()
            load.wait_site("gcp")
            router.wait_health(aws="refused")
            asked = len(standins["aws"].asked)
            load.wait_more(50)
            assert len(standins["aws"].asked) - asked < 10  # questions of the router alone
            standins["aws"].label = 7
            router.wait_event("site_trusted", site="aws")
            load.wait_site("aws")
        wrong = load.lost
        assert all("a wrong answer" in outcome.problem for outcome in wrong)
        # No more than what came before the next question was answered: interval x rate, and what was under way.
        limit = 100 * router.settings.timings.probe_s + 100 * 1.0
        assert len(wrong) <= limit
        assert all(begin - 1 <= outcome.begin <= found + 1 for outcome in wrong)
    event = router.events("site_wrong")[0]
    assert event["reason"] == "output label is 4 at 0, expected 7"


def test_a_stale_site_gets_no_request_at_all_once_it_is_known(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", knowing(standins)) as router:
        with Load(router.url) as load:
            load.wait_site("aws")
            standins["aws"].release = OTHER
            router.wait_event("site_stale", site="aws")
            router.wait_health(aws="refused")
            asked = len(standins["aws"].asked)
            load.wait_more(50)
            assert len(standins["aws"].asked) - asked < 10
            standins["aws"].release = ACCEPTED
            load.wait_site("aws")
        assert load.lost == []


def test_without_known_answers_the_release_is_asked_for(router: Router, standins: dict[str, StandIn]) -> None:
    standins["aws"].release = OTHER
    router.wait_event("site_stale", site="aws")
    router.wait_health(aws="refused")


def test_when_every_site_disagrees_the_known_answer_is_doubted(standins: dict[str, StandIn], tmp_path: Path) -> None:
    for site in standins.values():
        site.label = 3
    with router_for(tmp_path / "router", knowing(standins)) as router:
        eventually(lambda: router.admin("GET", "/v1/status")[1]["doubted"] == ["digits"], "it is doubted")
        assert ask(f"{router.url}{INFER}", "POST", b"{}")[0] == 200
        assert any("doubted" in event["message"] for event in router.events("plan_warning"))


def test_a_liar_answers_nobody_even_when_it_is_the_only_one_that_lives(
    standins: dict[str, StandIn], tmp_path: Path
) -> None:
    with router_for(tmp_path / "router", knowing(standins)) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        standins["aws"].label = 4
        router.wait_health(aws="refused")
        standins["gcp"].down()
        standins["azure"].down()
        status, headers, _ = ask(f"{router.url}{INFER}", "POST", b"{}")
        assert status == 503
        assert headers.get("x-trihull-site") != "aws"


def test_a_model_that_fails_where_health_is_good_is_taken_out(standins: dict[str, StandIn], tmp_path: Path) -> None:
    with router_for(tmp_path / "router", knowing(standins)) as router:
        router.wait_health(aws="healthy", gcp="healthy", azure="healthy")
        standins["gcp"].status = 500  # no client goes there: only questions can find out
        eventually(
            lambda: any(
                row["name"] == "gcp" and "questions went unanswered" in row["reason"]
                for row in router.admin("GET", "/v1/status")[1]["models"]["digits"]["sites"]
            ),
            "the standby's failing is known before it is needed",
        )
