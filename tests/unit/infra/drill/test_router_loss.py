"""The loss of a router: callers go to the next one, nothing is sent twice, and what is lost is told apart."""

import asyncio
import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.servers import free_ports
from tests.unit.infra.drill.scripted import SPLIT, Answer, Behaviour, World, scripted_router
from tests.unit.infra.drill.simulated import simulated_loop
from tests.unit.infra.drill.test_measures import OUTAGE
from trihull_infra.cloud import Cloud
from trihull_infra.domain import HEALTH_CHECKS, DnsSpec
from trihull_infra.drill.callers import Callers, Entry
from trihull_infra.drill.faults import EmulatedFaults, FaultKind
from trihull_infra.drill.load import questions
from trihull_infra.drill.measures import measure
from trihull_infra.drill.picture import page
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.rehearsal import rehearse
from trihull_infra.drill.report import Report, dns_words, make_report
from trihull_infra.drill.router_loss import RouterLoss, dns_failover, measure_router, router_failures
from trihull_infra.drill.samples import Move, Outcome, Sample
from trihull_infra.drill.showing import show
from trihull_infra.drill.wire import Address
from trihull_infra.errors import DrillError

PLAN = Plan(rate_per_s=100, before_s=0.4, outage_s=1.0, after_s=1.5, timeout_s=0.3)
DNS = DnsSpec.model_validate(
    {"cloud": Cloud.AWS, "zone": "Z0123456789", "name": "models.example.com"}, context={"name": "local"}
)


def entry(name: str, url: str) -> Entry:
    return Entry(name, Address.parse(url))


def unless_broken(broken: Answer | None) -> Behaviour:
    """Answer as a router of aws does; while it is lost, as told: None resets, a delay hangs."""
    return lambda index, world: broken if world.broken == "aws" else Answer("aws")


def steady(index: int, world: World) -> Answer:
    return Answer("aws")


def drill(first: Behaviour, second: Behaviour = steady, plan: Plan = PLAN, world: World | None = None) -> Report:
    """Run a drill on a simulated clock."""
    world = world or World()
    with (
        simulated_loop() as loop,
        scripted_router(first, world, loop) as aws,
        scripted_router(second, world, loop) as gcp,
    ):
        entries = (entry("aws", aws.url), entry("gcp", gcp.url))
        recording = rehearse(
            plan, entries, SPLIT, world, "aws", FaultKind.KILL, lambda *_: None, loop_factory=lambda: loop
        )
    assert world.calls[-1] == ("end", "aws")
    lost_router = RouterLoss(entries, dns_failover(DNS))
    return make_report(
        recording, plan, "local", "digits", "aws", FaultKind.KILL, entries[0].address.url, "now", lost_router
    )


def test_a_router_that_resets_costs_what_was_in_flight_and_callers_come_back() -> None:
    report = drill(unless_broken(None))
    assert report.failures == ()
    assert report.router is not None
    lost = report.router.lost_in_flight + report.router.lost_before_move
    assert lost == report.figures.lost
    assert 1 <= lost <= 5
    assert report.figures.moved_after_s is not None
    assert report.figures.came_back_after_s is not None
    assert set(report.router.entered["before"]) == {"aws"}
    assert report.router.entered["during"]["gcp"] > 80
    assert report.router.entered["after"]["aws"] > 20
    assert report.figures.during.sites["aws"] > 80  # its serving went on


def test_a_router_that_hangs_is_left_after_the_limit_and_costs_what_was_sent_until_then() -> None:
    report = drill(unless_broken(Answer("aws", delay_s=60)))
    assert report.failures == ()
    assert report.router is not None
    assert report.router.lost_before_move > 5
    assert report.router.lost_otherwise == 0
    assert report.figures.moved_after_s is not None
    assert report.figures.moved_after_s >= PLAN.timeout_s - 0.01
    assert list(report.figures.reasons) == ["no answer within 0.3 s"]


def test_a_request_lost_by_the_second_router_fails_the_drill() -> None:
    def losing(index: int, world: World) -> Answer | None:
        return None if index == 40 else Answer("aws")

    report = drill(unless_broken(None), losing)
    assert report.router is not None
    assert report.router.lost_otherwise >= 1
    assert "had not been sent to the router of aws before callers moved" in report.failures[0]


def test_a_wrong_answer_fails_the_drill() -> None:
    report = drill(unless_broken(None), lambda index, world: Answer("aws", wrong=index == 40))
    assert any("1 of 290 answers were wrong" in failure for failure in report.failures)


def test_a_router_that_goes_on_answering_fails_the_drill() -> None:
    report = drill(steady, world=World(dead_faults=True))
    assert "while it was broken: the fault had no effect" in report.failures[0]


def test_a_router_that_does_not_get_well_fails_the_drill() -> None:
    report = drill(lambda index, world: None if world.calls else Answer("aws"))
    assert report.failures == ("callers did not come back to the router of aws",)


def test_every_router_and_the_first_ones_health_are_checked_before_anything_is_broken() -> None:
    world = World()
    sick = lambda index, world: Answer("aws", status=503 if index < 0 else 200)  # noqa: E731
    for first, second, problem in (
        (sick, steady, "does not say that it is well at /routerz"),
        (steady, lambda *_: Answer(site=None), "it is no trihull router"),
    ):
        with scripted_router(first, world) as aws, scripted_router(second, world) as gcp:
            entries = [entry("aws", aws.url), entry("gcp", gcp.url)]
            with pytest.raises(DrillError, match=problem):
                rehearse(PLAN, entries, SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    assert world.calls == []


@contextlib.contextmanager
def callers_of(*urls: str) -> Iterator[tuple[asyncio.Runner, Callers, list[Entry]]]:
    entries = [entry(name, url) for name, url in zip(("aws", "gcp", "azure"), urls, strict=False)]
    with asyncio.Runner() as runner:
        callers = Callers(entries, 0.3, "/routerz", runner.get_loop().time)
        try:
            yield runner, callers, entries
        finally:
            runner.run(_closed(callers))


async def _closed(callers: Callers) -> None:
    callers.close()
    await asyncio.sleep(0)


def test_a_refused_request_was_never_sent_and_goes_to_the_next_router() -> None:
    refusing = f"http://127.0.0.1:{free_ports(1)[0]}"
    with scripted_router(steady) as router, callers_of(refusing, router.url) as (runner, callers, entries):
        question = questions([each.address for each in entries], SPLIT)[0]
        reply = runner.run(callers.ask(question.data))
        assert reply.response is not None
        assert (reply.router, [move.router for move in callers.moves]) == ("gcp", ["gcp"])
    with callers_of(refusing, f"http://127.0.0.1:{free_ports(1)[0]}") as (runner, callers, entries):
        question = questions([each.address for each in entries], SPLIT)[0]
        reply = runner.run(callers.ask(question.data))
        assert (reply.response, reply.router, reply.sent_s) == (None, None, None)
        assert "no connection" in reply.reason


@pytest.mark.parametrize(("broken", "reason"), [(None, "closed without an answer"), (Answer(delay_s=60), "no answer")])
def test_a_request_that_a_router_took_is_never_sent_again(broken: Answer | None, reason: str) -> None:
    with (
        scripted_router(lambda *_: broken) as first,
        scripted_router(steady) as second,
        callers_of(first.url, second.url) as (runner, callers, entries),
    ):
        question = questions([each.address for each in entries], SPLIT)[0]
        lost = runner.run(callers.ask(question.data))
        assert lost.response is None
        assert reason in lost.reason
        assert (lost.router, first.served, second.served) == ("aws", 1, 0)
        assert runner.run(callers.ask(question.data)).router == "gcp"
        assert (first.served, second.served) == (1, 1)


def test_callers_that_fail_together_move_once() -> None:
    with (
        scripted_router(lambda *_: None) as first,
        scripted_router(steady) as second,
        callers_of(first.url, second.url, second.url) as (runner, callers, entries),
    ):
        question = questions([each.address for each in entries], SPLIT)[0]

        async def together() -> None:
            await asyncio.gather(*(callers.ask(question.data) for _ in range(10)))

        runner.run(together())
        assert [move.router for move in callers.moves] == ["gcp"]


# Figures over made samples: ten requests per second, the fault from 5 to 15 s, in force at 5.1 s.
def sample(sent_s: float, router: str | None, outcome: Outcome = Outcome.RIGHT, latency_s: float = 0.01) -> Sample:
    reason = "" if outcome is Outcome.RIGHT else "reset"
    return Sample(sent_s, latency_s, outcome, None if reason else "aws", 1, reason, router, sent_s)


GOOD = [
    *(sample(index / 10, "aws") for index in range(50)),
    sample(5.0, "aws", Outcome.LOST, 0.2),
    sample(5.15, "aws", Outcome.LOST, 0.05),
    *(sample(index / 10, "gcp") for index in range(53, 180)),
    *(sample(index / 10, "aws") for index in range(181, 300)),
]
MOVES = [Move(5.2, "gcp"), Move(18.0, "aws")]


def judged(samples: list[Sample], moves: list[Move]) -> list[str]:
    router, moved, back = measure_router(samples, moves, "aws", OUTAGE)
    figures = dataclasses.replace(measure(samples, "aws", OUTAGE), moved_after_s=moved, came_back_after_s=back)
    return router_failures(samples, moves, figures, router, "aws", OUTAGE)


def test_lost_requests_are_told_apart() -> None:
    router, moved, back = measure_router(GOOD, MOVES, "aws", OUTAGE)
    assert (router.lost_in_flight, router.lost_before_move, router.lost_otherwise) == (1, 1, 0)
    assert moved == pytest.approx(0.2)
    assert back == pytest.approx(3.0)
    assert router.entered["before"] == {"aws": 50}
    assert judged(GOOD, MOVES) == []


@pytest.mark.parametrize(
    "lost",
    [
        sample(2.0, "aws", Outcome.LOST),  # before the fault
        sample(7.0, "gcp", Outcome.LOST),  # by another router
        sample(7.0, "aws", Outcome.LOST),  # sent to the dead one after callers had moved
        dataclasses.replace(sample(5.15, None, Outcome.LOST), sent_s=None),  # taken by none
        sample(20.0, "aws", Outcome.LOST),  # after it was put back
    ],
)
def test_any_other_lost_request_fails_the_drill(lost: Sample) -> None:
    samples = [*GOOD, lost]
    assert measure_router(samples, MOVES, "aws", OUTAGE)[0].lost_otherwise == 1
    assert judged(samples, MOVES)[0].startswith("1 of 299 requests were lost that had not been sent")


def test_callers_that_stay_leave_early_or_do_not_return_fail_the_drill() -> None:
    assert "callers did not move to another router" in judged(GOOD, [])
    assert judged(GOOD, [Move(2.0, "gcp"), *MOVES]) == [
        "callers left the router of aws before the fault, so that breaking it showed nothing"
    ]
    assert judged(GOOD, MOVES[:1]) == ["callers did not come back to the router of aws"]
    assert judged(GOOD, [*MOVES, Move(29.0, "gcp")]) == ["callers did not come back to the router of aws"]
    late = [Move(5.2, "gcp"), Move(29.0, "aws")]
    assert judged(GOOD, late) == ["callers did not come back to the router of aws"]  # too few answers to call it back
    assert judged([], []) == ["no request was sent"]


def test_what_dns_adds_is_computed_from_the_settings_of_its_cloud() -> None:
    zones = {Cloud.AWS: "Z0123456789", Cloud.GCP: "example-com", Cloud.AZURE: "example.com"}
    added = {}
    for cloud, zone in zones.items():
        group = "dns" if cloud is Cloud.AZURE else None
        value = {"cloud": cloud, "zone": zone, "resource_group": group, "name": "models.example.com", "ttl_s": 30}
        found = dns_failover(DnsSpec.model_validate(value))
        assert found is not None
        added[cloud] = found.adds_s
    assert added == {Cloud.AWS: 60, Cloud.GCP: 120, Cloud.AZURE: 65}  # the table of docs/dns.md
    assert set(HEALTH_CHECKS) == set(zones)
    assert dns_failover(None) is None


def made(dns: DnsSpec | None = DNS) -> Report:
    from trihull_infra.drill.rehearsal import Recording

    entries = (entry("aws", "http://127.0.0.1:1"), entry("gcp", "http://127.0.0.1:2"))
    recording = Recording(tuple(GOOD), OUTAGE, 0.002, tuple(MOVES))
    lost_router = RouterLoss(entries, dns_failover(dns))
    plan = Plan(10, 5, 10, 15, 1)
    return make_report(
        recording, plan, "local", "digits", "aws", FaultKind.FREEZE, "http://127.0.0.1:1", "now", lost_router
    )


def test_the_report_says_which_loss_it_was_in_every_form() -> None:
    report = made()
    value = json.loads(report.to_json())
    assert (value["loss"], value["routers"], value["lost"]) == ("router", ["aws", "gcp"], 2)
    assert value["router"]["lost_in_flight"] == value["router"]["lost_before_move"] == 1
    assert value["dns"]["adds_s"] == 60
    assert (value["moved_after_s"], value["came_back_after_s"]) == (pytest.approx(0.2), pytest.approx(3.0))
    text = page(report)
    assert "the router of aws was frozen" in text
    assert "clients that know the routers of aws, gcp, in this order" in text
    assert "coloured by the router it came by" in text
    output = io.StringIO()
    show(Console(file=output, width=200), report, Path("report.html"))
    for expected in ("the router of aws, freeze", "in flight in it", "callers moved after", "gcp 97", "60 s"):
        assert expected in output.getvalue()
    assert "10 s between checks x 3 failures + 30 s that resolvers remember" in dns_words(report.dns)  # type: ignore[arg-type]  # it has one
    assert json.loads(made(None).to_json())["dns"] is None
    assert "DNS" not in page(made(None))


def test_emulated_faults_break_the_workload_they_are_made_for() -> None:
    class Daemon:
        calls: list[tuple[object, ...]] = []  # noqa: RUF012  one test's

        def begin_outage(self, *arguments: object) -> None:
            self.calls.append(arguments)

    daemon = Daemon()
    EmulatedFaults(daemon, 40, "trihull-router").begin("aws", FaultKind.FREEZE)  # type: ignore[arg-type]  # all it needs
    EmulatedFaults(daemon, 40).begin("aws", FaultKind.KILL)  # type: ignore[arg-type]  # all it needs
    assert daemon.calls == [("aws", "freeze", 40, "trihull-router"), ("aws", "kill", 40, None)]
