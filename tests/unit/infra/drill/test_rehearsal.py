"""A whole drill against a scripted router: it must notice whatever goes wrong, and always put the site back."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import free_ports
from tests.signals import once
from tests.unit.infra.drill.scripted import (
    SPLIT,
    Answer,
    Behaviour,
    Router,
    World,
    fail_over,
    scripted_router,
    wait_until,
)
from tests.unit.infra.drill.simulated import simulated_loop
from trihull_infra.drill.callers import Entry
from trihull_infra.drill.faults import FaultKind, Outage, ProcessFaults, check_sites
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.rehearsal import Recording, refuse_standby, rehearse
from trihull_infra.drill.report import Report, make_report
from trihull_infra.drill.samples import Outcome, Sample
from trihull_infra.drill.wire import Address
from trihull_infra.errors import DrillError, EmulatorError
from trihull_runtime.errors import UnavailableError, UsageError

PLAN = Plan(rate_per_s=100, before_s=0.4, outage_s=0.8, after_s=0.6, timeout_s=1.0)


def entry(url: str) -> Entry:
    return Entry(url, Address.parse(url))


def drill(behaviour: Behaviour, world: World | None = None) -> Report:
    """Run a drill on a simulated clock."""
    world = world or World()
    with simulated_loop() as loop, scripted_router(behaviour, world, loop) as router:
        recording = record(router, world, lambda: loop)
    assert world.calls[-1] == ("end", "aws")
    return report_of(recording)


def record(router: Router, world: World, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None) -> Recording:
    entries = [entry(router.url)]
    ignore: Callable[..., None] = lambda *_: None  # noqa: E731 - a name for the argument
    return rehearse(PLAN, entries, SPLIT, world, "aws", FaultKind.KILL, ignore, loop_factory=loop_factory)


def report_of(recording: Recording) -> Report:
    return make_report(recording, PLAN, "local", "digits", "aws", FaultKind.KILL, "http://127.0.0.1:1", "now")


@pytest.mark.parametrize("clock", ["simulated", "real"])
def test_a_good_router_passes_and_the_moves_are_measured(clock: str) -> None:
    if clock == "simulated":
        report = drill(fail_over)
    else:
        world = World()
        with scripted_router(fail_over, world) as router:
            report = report_of(record(router, world, None))
    assert report.failures == ()
    figures = report.figures
    assert (figures.requests, figures.lost, figures.wrong, figures.retried) == (PLAN.requests, 0, 0, 0)
    assert figures.moved_after_s is not None
    assert figures.came_back_after_s is not None
    assert set(figures.before.sites) <= {"aws", "gcp"}
    assert figures.during.sites["gcp"] > 60


def test_chunked_answers_count_like_any_other() -> None:
    report = drill(lambda index, world: Answer(fail_over(index, world).site, chunked=True))
    assert report.failures == ()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "closed without an answer"),
        (Answer(status=503), "status 503"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{"), "the answer was cut off"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"), "the answer was cut off"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "the answer is not HTTP/1.1"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{"), "the answer is not JSON"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), "holds no V2 outputs"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"), "not a JSON object"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}{}"), "2 bytes follow the answer"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), "content-length is 'x'"),
        (Answer(raw=b"SSH-2.0-x\r\n\r\n"), "it begins with 'SSH-2.0-x'"),
        (Answer(delay_s=5), "no answer within 1 s"),
    ],
)
def test_one_lost_request_is_noticed(bad: Answer | None, reason: str) -> None:
    report = drill(lambda index, world: bad if index == 100 else fail_over(index, world))
    assert report.figures.lost == 1
    assert report.figures.wrong == 0
    assert f"1 of {PLAN.requests} requests were lost" in report.failures[0]
    assert reason in report.failures[0]


def test_one_lie_is_noticed() -> None:
    report = drill(lambda index, world: Answer(fail_over(index, world).site, wrong=index == 100))
    assert (report.figures.lost, report.figures.wrong) == (0, 1)
    assert f"1 of {PLAN.requests} answers were wrong (label" in report.failures[0]


def test_requests_that_wait_for_a_stalled_answer_show_it_in_their_latency() -> None:
    """The load is open: it goes on while answers are held back, and each answer's wait counts from its due time."""
    held = 0.5
    report = drill(lambda index, world: Answer(fail_over(index, world).site, delay_s=held if 90 <= index < 100 else 0))
    slow = [sample for sample in report.samples if sample.latency_s >= held]
    assert len(slow) == 10
    assert report.figures.requests == PLAN.requests
    assert slow[-1].scheduled_s - slow[0].scheduled_s < held
    assert report.failures == ()


def test_retries_that_the_router_made_are_counted() -> None:
    report = drill(lambda index, world: Answer(fail_over(index, world).site, attempts=2 if index in (70, 71) else 1))
    assert (report.figures.retried, report.figures.most_attempts) == (2, 2)


def test_a_site_that_goes_on_answering_fails_the_drill() -> None:
    report = drill(fail_over, World(dead_faults=True))
    assert len(report.failures) == 1
    assert "while it was broken: the fault had no effect" in report.failures[0]


def test_a_site_without_traffic_ends_the_drill_before_anything_is_broken() -> None:
    world = World()
    with (
        scripted_router(lambda index, world: Answer("gcp"), world) as router,
        pytest.raises(
            DrillError, match=r"aws answered none of the \d+ requests before the fault, gcp did: it is a standby"
        ),
    ):
        rehearse(PLAN, [entry(router.url)], SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    assert world.calls == []


def test_a_site_with_little_traffic_is_drilled() -> None:
    report = drill(lambda index, world: Answer("aws" if index == 3 else "gcp"))
    assert not any("before the fault" in failure for failure in report.failures)


def test_answers_without_a_site_say_nothing_of_a_standby() -> None:
    refuse_standby([Sample(0.0, 0.1, Outcome.LOST)], "aws")
    refuse_standby([], "aws")


def test_traffic_that_does_not_come_back_fails_the_drill() -> None:
    def never_back(index: int, world: World) -> Answer:
        return Answer("aws" if not world.calls else "gcp")

    report = drill(never_back)
    assert report.failures == ("traffic did not come back to aws",)


def test_an_entry_that_is_not_there_or_no_router_stops_before_anything_is_broken() -> None:
    world = World()
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(UnavailableError, match=f"the entry {url} does not answer: no connection"):
        rehearse(PLAN, [entry(url)], SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    for behaviour, problem in (
        (lambda *_: Answer(site=None), "it is no trihull router"),
        (lambda *_: Answer(wrong=True), "its answer is wrong"),
        (lambda *_: Answer(status=404), "its answer is lost: status 404"),
    ):
        with scripted_router(behaviour, world) as router, pytest.raises(DrillError, match=problem):
            rehearse(PLAN, [entry(router.url)], SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    with pytest.raises(UsageError, match="is no router's address"):
        rehearse(PLAN, [entry("127.0.0.1:80")], SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    assert world.calls == []


def test_a_fault_that_cannot_be_begun_is_reported_and_put_back() -> None:
    world = World(begin_error=EmulatorError("the emulators are gone"))
    with scripted_router(world=world) as router, pytest.raises(EmulatorError, match="the emulators are gone"):
        rehearse(PLAN, [entry(router.url)], SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    assert world.calls == [("begin", "aws"), ("end", "aws")]


def assert_put_back(number: signal.Signals, expected: type[BaseException]) -> None:
    """Send a signal while a site is broken: the drill ends with `expected`, and the site is whole."""
    world = World()
    plan = Plan(rate_per_s=50, before_s=0.2, outage_s=60, after_s=60)
    with (
        scripted_router(world=world) as router,
        once(lambda: world.broken == "aws", lambda: os.kill(os.getpid(), number)),
        pytest.raises(expected),
    ):
        rehearse(plan, [entry(router.url)], SPLIT, world, "aws", FaultKind.KILL, lambda *_: None)
    assert world.calls == [("begin", "aws"), ("end", "aws")]
    assert world.broken is None


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_an_interrupted_drill_puts_the_site_back(number: signal.Signals, expected: type[BaseException]) -> None:
    assert_put_back(number, expected)


@pytest.mark.usefixtures("uninterruptible")
def test_a_drill_in_a_scripts_background_which_ignores_sigint_ends_on_sigterm() -> None:
    assert_put_back(signal.SIGTERM, SystemExit)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_an_outage_is_ended_once_and_only_if_begun() -> None:
    world = World()
    with Outage(world, "aws", FaultKind.KILL):
        pass
    assert world.calls == []
    with Outage(world, "aws", FaultKind.KILL) as outage:
        outage.begin()
        outage.end()
    assert world.calls == [("begin", "aws"), ("end", "aws")]


def test_a_site_that_cannot_be_put_back_is_said_beside_what_went_wrong_before() -> None:
    class Gone(World):
        def end(self, site: str) -> None:
            raise EmulatorError("the emulators are gone")

    def drill_on_gone(error: Exception | None) -> None:
        with Outage(Gone(), "aws", FaultKind.KILL) as outage:
            outage.begin()
            if error is not None:
                raise error

    with pytest.raises(EmulatorError, match="the emulators are gone"):
        drill_on_gone(None)
    with pytest.raises(DrillError, match="answer was wrong; and aws could not be put back: the emulators are gone"):
        drill_on_gone(DrillError("an answer was wrong"))


def test_process_faults_kill_and_restart_freeze_and_thaw() -> None:
    processes: list[subprocess.Popen[bytes]] = []
    restarted: list[str] = []

    def start(site: str) -> None:
        restarted.append(site)
        processes.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))

    def state() -> str:
        return Path(f"/proc/{processes[-1].pid}/stat").read_text().rpartition(")")[2].split()[0]

    faults = ProcessFaults(lambda site: [processes[-1].pid] if processes else [], start)
    with pytest.raises(DrillError, match="site aws has no process"):
        faults.begin("aws", FaultKind.KILL)
    try:
        start("aws")
        faults.begin("aws", FaultKind.FREEZE)
        wait_until(lambda: state() == "T")
        faults.end("aws")
        wait_until(lambda: state() != "T")
        faults.begin("aws", FaultKind.KILL)
        assert processes[-1].wait(20) == -signal.SIGKILL
        faults.end("aws")
        assert processes[-1].poll() is None
        faults.end("aws")  # whole already: nothing to do
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
    assert restarted == ["aws", "aws"]


def test_sites_that_are_not_ready_are_named() -> None:
    ready = {"name": "serving-1", "pid": 1, "ready": True, "app": "serving"}
    waiting = {"name": "router-1", "pid": 2, "ready": False, "app": "router"}
    check_sites({"aws": {"pods": [ready]}, "gcp": {"pods": [ready]}}, ["aws", "gcp"])
    with pytest.raises(EmulatorError, match="site gcp has no emulated cluster"):
        check_sites({"aws": {"pods": [ready]}}, ["aws", "gcp"])
    with pytest.raises(EmulatorError, match="site gcp runs nothing"):
        check_sites({"aws": {"pods": [ready]}, "gcp": {"pods": []}}, ["aws", "gcp"])
    with pytest.raises(EmulatorError, match="site aws is not ready: router-1"):
        check_sites({"aws": {"pods": [ready, waiting]}}, ["aws"])
