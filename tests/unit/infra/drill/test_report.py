"""The report's JSON, its page and its picture."""

import dataclasses
import html.parser
import io
import json
from pathlib import Path

from rich.console import Console

from tests.unit.infra.drill.test_measures import GOOD, OUTAGE
from trihull_infra.drill.faults import FaultKind
from trihull_infra.drill.picture import page, svg
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.rehearsal import Recording
from trihull_infra.drill.report import Report, Setting, make_report, milliseconds, span
from trihull_infra.drill.samples import Outcome, Sample
from trihull_infra.drill.showing import progress, show

EVIL = '<script>alert("&")</script>'


def report(*more: Sample, environment: str = "local", setting: Setting | None = None) -> Report:
    recording = Recording((*GOOD, *more), OUTAGE, 0.002)
    plan = Plan(10, 5, 10, 15)
    url = "http://127.0.0.1:9"
    return make_report(recording, plan, environment, "digits", "aws", FaultKind.KILL, url, "today", setting=setting)


def served(site: str | None, release: str, count: int) -> list[Sample]:
    return [Sample(20 + number / 100, 0.01, Outcome.RIGHT, site, 1, release=release) for number in range(count)]


class Page(html.parser.HTMLParser):
    """Collects tags and what they point at; checks that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_json_has_every_figure_under_its_own_name() -> None:
    value = json.loads(report().to_json())
    assert value["passed"] is True
    assert (value["requests"], value["lost"], value["wrong"]) == (300, 0, 0)
    assert value["moved_after_s"] == 0.01
    assert value["came_back_after_s"] == 3.01
    assert value["before"]["p50_s"] == value["during"]["p99_s"] == 0.01
    assert value["plan"]["rate_per_s"] == 10
    assert value["outage"]["asked_s"] == 5.0


def test_the_report_says_on_what_it_was_run_in_every_form() -> None:
    one, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    samples = [*served("gcp", one, 2), *served("aws", other, 1), *served("azure", other, 3)]
    drilled = report(*samples, setting=Setting(emulated=True, policy="weighted"))
    value = drilled.to_value()
    assert (value["emulated"], value["policy"]) == (True, "weighted")
    assert value["releases"] == {other: {"azure": 3, "aws": 1}, one: {"gcp": 2}}
    text = page(drilled)
    assert '<span class="tag">emulated clouds</span></h1>' in text
    assert "<dt>policy</dt><dd>weighted</dd>" in text
    assert f"<dt>release served</dt><dd>{other} (azure 3, aws 1)</dd>" in text
    assert f"<dd>{one} (gcp 2)</dd>" in text
    assert Page(text).open == []
    output = io.StringIO()
    show(Console(file=output, width=120), drilled, Path("report.html"))
    for expected in ("emulated on one machine; no real cloud took part", "weighted", one, other):
        assert expected in output.getvalue()


def test_real_clouds_are_not_called_emulated_and_what_is_not_known_is_not_made_up() -> None:
    real = page(report(setting=Setting(emulated=False, policy="priority")))
    assert "emulated" not in real
    assert "<dt>clouds</dt><dd>real</dd>" in real
    unknown = report()
    value = unknown.to_value()
    assert (value["emulated"], value["policy"], value["releases"]) == (None, None, {})
    assert "no answer named one" in page(unknown)
    assert "<dt>clouds" not in page(unknown)


def test_what_a_site_calls_its_release_is_escaped() -> None:
    assert "<script" not in page(report(*served("aws", EVIL, 1), setting=Setting(emulated=True, policy=EVIL)))


def test_the_page_is_whole_in_itself() -> None:
    parsed = Page(page(report()))
    assert parsed.open == []
    assert parsed.links == []
    assert "script" not in parsed.tags
    assert parsed.tags.count("svg") == 1
    text = page(report())
    assert "prefers-color-scheme: dark" in text
    assert "Passed" in text
    assert "@import" not in text
    assert "url(" not in text


def test_whatever_a_router_says_is_escaped() -> None:
    lost = Sample(7.0, 0.5, Outcome.LOST, EVIL, 3, EVIL)
    text = page(report(lost, environment=EVIL))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "Failed" in text
    assert Page(text).open == []


def test_lost_requests_are_crosses_and_each_site_has_its_dots() -> None:
    assert 'class="lost"' not in svg(report())
    drawn = svg(report(Sample(7.0, 0.5, Outcome.LOST, None, None, "gone"), Sample(8.0, 0.1, Outcome.WRONG, "gcp", 1)))
    assert drawn.count("l8 8m-8 0l8 -8") == 2
    assert drawn.count("a1.9 1.9 0 1 0 3.8 0") == 50 + 120  # aws before and after
    assert 'aria-label="Latency of every request' in drawn


def test_a_drill_without_any_answer_can_be_drawn() -> None:
    empty = make_report(
        Recording((), OUTAGE, 0.0), Plan(), "local", "digits", "aws", FaultKind.FREEZE, "http://127.0.0.1:9", "today"
    )
    assert Page(page(empty)).open == []
    assert empty.failures == ("no request was sent",)


def test_more_sites_than_colours_can_be_drawn() -> None:
    more = [Sample(20 + index / 10, 0.01, Outcome.RIGHT, f"site-{index}", 1) for index in range(9)]
    assert Page(page(report(*more))).open == []


def test_figures_are_written_for_people() -> None:
    assert [milliseconds(value) for value in (None, 0.0041, 1.204)] == ["none", "4.1 ms", "1,204 ms"]
    assert [span(value) for value in (None, 0.416)] == ["never", "0.42 s"]


def test_the_table_names_phases_figures_and_the_file() -> None:
    output = io.StringIO()
    show(Console(file=output, width=120), report(), Path("build/drill/report.html"))
    text = output.getvalue()
    for expected in (
        "before",
        "during",
        "after",
        "gcp 100",
        "traffic moved after",
        "0.01 s",
        "build/drill/report.html",
    ):
        assert expected in text


def test_progress_is_a_line_per_phase_off_a_terminal_and_nothing_when_silent() -> None:
    good = Sample(0.0, 0.01, Outcome.RIGHT, "aws", 1)
    bad = dataclasses.replace(good, outcome=Outcome.LOST)
    for silent, expected in ((False, 2), (True, 0)):
        output = io.StringIO()
        with progress(Console(file=output, width=100), 30, "aws: kill", silent=silent) as on_sample:
            on_sample(0.1, "before", good)
            on_sample(0.2, "before", bad)
            on_sample(5.1, "outage", good)
        assert output.getvalue().count("\n") == expected
    output = io.StringIO()
    with progress(Console(file=output, width=100, force_terminal=True), 30, "aws: kill", silent=False) as on_sample:
        on_sample(0.1, "before", good)
    assert "answered by aws" in output.getvalue()
