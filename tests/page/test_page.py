"""The live page in a real browser, of a real router whose sites fail as they are told."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.failover.load import Load, eventually
from tests.failover.rig import Router, fleet_of
from tests.failover.standin import StandIn
from tests.page.browser import Tab
from trihull_runtime.router.pages import HEADERS, load_pages

PICTURES = Path(__file__).parents[2] / "build"


def card(site: str) -> str:
    return f".card[data-site={site}]"


def watch(tab: Tab, router: Router) -> None:
    """Open the page of a router and wait until it shows its sites."""
    tab.open(f"{router.admin_url}/")
    tab.wait("#verdict", "3 of 3 sites healthy")


def test_the_page_shows_every_site_and_its_traffic(tab: Tab, router: Router) -> None:
    watch(tab, router)
    assert [tab.text(f"{card(site)} .state") for site in ("aws", "gcp", "azure")] == ["healthy"] * 3
    facts = tab.text("#facts")
    pid = router.admin("GET", "/v1/status")[1]["envoy"]["pid"]
    assert "priority" in facts
    assert f"pid\n{pid}" in facts.replace("\n\n", "\n")
    assert tab.text("h1 span") == "local"
    assert tab.text(".model h2") == "digits"
    assert tab.text(".model .accepted").startswith("accepts sha256:aaaaaaaaaaaa")
    with Load(router.url, rate=40) as load:
        tab.wait(f"{card('aws')} .rates", lambda shown: "err/s" in shown and shown[:2].isdigit())
        tab.wait(".model tbody tr td:nth-child(5)", lambda shown: shown.isdigit() and int(shown) > 10)
        eventually(lambda: tab.evaluate("document.querySelectorAll('.chart .area').length") == 1, "an area of aws")
    assert not load.lost


def test_a_site_that_fails_is_shown_with_the_reason_and_the_list_can_be_narrowed(
    tab: Tab, router: Router, standins: dict[str, StandIn]
) -> None:
    watch(tab, router)
    standins["aws"].ready = False
    tab.wait(f"{card('aws')} .state", "unhealthy")
    tab.wait("#verdict", "2 of 3 sites healthy")
    tab.wait("#event-list", "site aws fails its health check")
    assert "reason" in tab.text(".event[data-level=warning]")
    assert tab.evaluate("document.title").startswith("! 2/3")
    times = tab.evaluate("[...document.querySelectorAll('.event time')].map((time) => time.title)")
    assert times == sorted(times, reverse=True)
    tab.choose("#filter-level", "warning")
    tab.wait("#event-list", lambda shown: "is ready" not in shown and "site aws fails" in shown)
    tab.choose("#filter-site", "azure")
    tab.wait("#event-none", "Nothing that matches")
    standins["aws"].ready = True
    tab.wait(f"{card('aws')} .state", lambda shown: shown == "healthy")


def test_when_no_site_is_healthy_the_page_says_that_envoy_fails_open(
    tab: Tab, router: Router, standins: dict[str, StandIn]
) -> None:
    watch(tab, router)
    for site in standins.values():
        site.ready = False
    tab.wait("#banners", "No healthy site for digits")
    tab.wait("#verdict", "0 of 3 sites healthy")


def test_sites_are_drained_and_undrained_after_a_question_and_the_last_one_is_not(tab: Tab, router: Router) -> None:
    watch(tab, router)
    tab.click(f"{card('aws')} button")
    tab.wait("#order-title", "Drain aws?")
    tab.click("#order-cancel")
    eventually(lambda: tab.evaluate("document.getElementById('order').open") is False, "cancelled")
    assert router.admin("GET", "/v1/status")[1]["overrides"] == {}
    for site in ("aws", "gcp"):
        tab.click(f"{card(site)} button")
        tab.click("#order-confirm")
        tab.wait(f"{card(site)} .state", "draining")
    assert set(router.admin("GET", "/v1/status")[1]["overrides"]) == {"aws", "gcp"}
    assert "by order" in tab.text(f"{card('aws')} .why")
    tab.click(f"{card('azure')} button")
    tab.click("#order-confirm")
    tab.wait("#order-error", "leaves no site that takes requests")
    tab.click("#order-cancel")
    tab.click(f"{card('gcp')} button")
    tab.wait("#order-title", "Undrain gcp?")
    tab.click("#order-confirm")
    tab.wait(f"{card('gcp')} .state", "healthy")


def test_a_keyboard_is_enough(tab: Tab, router: Router) -> None:
    watch(tab, router)
    tab.evaluate(f"document.querySelector({json.dumps(card('azure'))} + ' button').focus()")
    tab.press("Enter", 13, "\r")
    tab.wait("#order-title", "Drain azure?")
    tab.press("Escape", 27)
    eventually(lambda: tab.evaluate("document.getElementById('order').open") is False, "Escape cancels")
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == "Drain azure"
    assert router.admin("GET", "/v1/status")[1]["overrides"] == {}


def test_a_silent_control_process_is_said_and_so_is_its_return(tab: Tab, router: Router) -> None:
    watch(tab, router)
    router.kill()
    shown = tab.wait("#banners", "The control process does not answer since")
    assert "Envoy goes on routing" in shown
    assert tab.evaluate(f"document.querySelector({json.dumps(card('aws'))} + ' button').disabled") is True
    router.start()
    tab.wait("#banners", lambda shown: shown == "")
    tab.wait("#verdict", "3 of 3 sites healthy")


def test_a_refused_fleet_is_a_banner(tab: Tab, router: Router, standins: dict[str, StandIn]) -> None:
    watch(tab, router)
    value = {**fleet_of(standins).to_value(), "surprise": True}
    router.fleet_path.write_text(json.dumps(value))
    shown = tab.wait("#banners", "Fleet refused since")
    assert "surprise" in shown
    assert "stays in force" in shown


def test_nothing_leaves_the_page_s_origin_and_the_console_is_clean(tab: Tab, router: Router) -> None:
    watch(tab, router)
    tab.click(f"{card('aws')} button")
    tab.click("#order-confirm")
    tab.wait(f"{card('aws')} .state", "draining")
    assert {f"{router.admin_url}/{name}" for name in load_pages()} - set(tab.requested) == {
        f"{router.admin_url}/openapi.json"
    }
    assert [url for url in tab.requested if not url.startswith(f"{router.admin_url}/")] == []
    assert tab.complaints == []


def chart_text(tab: Tab) -> str:
    """Return the words in the chart."""
    return str(tab.evaluate("document.querySelector('.chart')?.textContent ?? ''"))


def shown_from(tab: Tab) -> float:
    """Return how far to the left the chart's areas begin, in the chart's units; its right end is now."""
    return float(tab.evaluate("Math.min(...[...document.querySelectorAll('.chart .area')].map((e) => e.getBBox().x))"))


def test_the_first_look_shows_what_was_before_the_page_was_opened(
    tab: Tab, router: Router, standins: dict[str, StandIn]
) -> None:
    with Load(router.url, rate=40) as load:
        eventually(lambda: len(router.admin("GET", "/v1/history")[1]["ages_s"]) > 3, "some samples")
        ages = router.admin("GET", "/v1/history")[1]["ages_s"]
        watch(tab, router)
        eventually(lambda: tab.evaluate("document.querySelectorAll('.chart .area').length") == 1, "an area of aws")
        points = tab.evaluate("document.querySelector('.chart .area').getAttribute('d').split('L').length / 2")
        assert points >= len(ages) - 1  # each but the first has a rate
        assert tab.text(f"{card('aws')} .rates")[0].isdigit()  # at once, not after five seconds
        assert "started" in chart_text(tab)
    assert not load.lost


def test_after_a_new_control_process_the_page_keeps_what_it_saw_and_goes_on(tab: Tab, router: Router) -> None:
    with Load(router.url, rate=40):
        watch(tab, router)
        eventually(lambda: tab.evaluate("document.querySelectorAll('.chart .area').length") == 1, "an area of aws")
        router.kill()
        tab.wait("#banners", "The control process does not answer since")
        router.start()
        tab.wait("#banners", lambda shown: shown == "")
        # A gap between what this page saw and what the new process counted.
        eventually(lambda: tab.evaluate("document.querySelectorAll('.chart .area').length") == 2, "two areas")


def test_an_hour_is_shown_when_it_is_chosen(tab: Tab) -> None:
    row = {"name": "aws", "health": "healthy", "priority": 0, "requests": 36000, "errors": 0}
    ages = [3600.0 - 2 * number for number in range(1800)]
    series = {"model": "digits", "site": "aws", "requests": [20 * n for n in range(1800)], "errors": [0] * 1800}
    history = {"age_s": 5000, "ages_s": ages, "series": [series]}
    with api_saying({"models": {"digits": {"sites": [row]}}}, {"events": []}, history) as url:
        tab.open(f"{url}/")
        eventually(lambda: "5 min" in chart_text(tab), "five minutes")
        near = "[...document.querySelectorAll('.chart .area')].length"
        eventually(lambda: tab.evaluate(near) == 1, "an area")
        path = "document.querySelector('.chart .area').getAttribute('d').split('L').length"
        assert 250 < tab.evaluate(path) < 360  # five minutes of samples two seconds apart, there and back
        tab.choose("#window", "60")
        eventually(lambda: "60 min" in chart_text(tab), "an hour")
        assert shown_from(tab) < 45
        assert 600 < tab.evaluate(path) < 2 * tab.evaluate("document.querySelector('.chart').clientWidth")
        assert tab.complaints == []


HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@contextlib.contextmanager
def api_saying(status: Any, events: Any, history: Any = MappingProxyType({})) -> Iterator[str]:
    """Serve the page's files over an API that says what it is told; gives its address."""
    pages = load_pages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            answers = {"v1/status": status, "v1/events": events, "v1/history": history}
            body = json.dumps(answers[name], default=dict).encode() if name in answers else pages[name].body
            self.send_response(200)
            for key, value in HEADERS:
                self.send_header(key.decode(), value.decode())
            self.send_header("content-type", "application/json" if name in answers else pages[name].content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # the parameter's name is inherited
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_hostile_names_and_texts_are_shown_as_text(tab: Tab) -> None:
    row = {"name": HOSTILE, "health": HOSTILE, "reason": HOSTILE, "class": HOSTILE, "priority": HOSTILE}
    event = {**dict.fromkeys(("time", "event", "message", "reason", "more"), HOSTILE), "level": "error"}
    status = {
        "environment": HOSTILE,
        "policy": HOSTILE,
        "config": {"version": HOSTILE, "refused": {"reason": HOSTILE, "source": HOSTILE}},
        "envoy": {"alive": True, "problem": HOSTILE},
        "models": {HOSTILE: {"accepted": [HOSTILE], "sites": [row]}},
        "excluded": {f"{HOSTILE} 2": HOSTILE},
        "overrides": {HOSTILE: HOSTILE},
        "warnings": [HOSTILE],
    }
    series = {"model": HOSTILE, "site": HOSTILE, "requests": [HOSTILE, 3, None], "errors": HOSTILE}
    history = {"age_s": HOSTILE, "ages_s": [HOSTILE, 2, 1, 0], "series": [series, None, 4]}
    with api_saying(status, {"events": [event]}, history) as url:
        tab.open(f"{url}/")
        for selector in ("h1 span", ".model h2", ".card h3", ".card .why", "#banners", ".message", ".reason", "tbody"):
            tab.wait(selector, HOSTILE)
        assert tab.evaluate("document.querySelectorAll('img, body script').length") == 0
        assert tab.evaluate("document.title") != "taken"
        assert tab.complaints == []


@pytest.mark.parametrize(
    "status", [{}, {"models": None, "config": 3, "envoy": []}, {"models": {"m": {"sites": [{}, 7]}}}]
)
@pytest.mark.parametrize("events", [{}, {"events": [{}, 3, None, {"time": 5, "level": "strange", "site": {"a": 1}}]}])
def test_missing_and_strange_fields_do_not_break_it(tab: Tab, status: Any, events: Any) -> None:
    with api_saying(status, events) as url:
        tab.open(f"{url}/")
        tab.wait("#verdict", "sites healthy")
        tab.wait("#updated", "as of")
        assert tab.text("#banners") == "" or "does not answer" not in tab.text("#banners")
        assert tab.complaints == []


def test_classes_ramps_damping_reasons_and_latency_are_shown_when_they_come(tab: Tab) -> None:
    row = {"health": "healthy", "priority": 0, "weight": 1, "share_percent": 30, "requests": 1, "errors": 0}
    rows = [
        {**row, "name": "aws", "limit_percent": 40, "latency_ms": 12.5},
        {**row, "name": "gcp", "health": "unhealthy", "suppressed": True, "reason": "gives wrong answers"},
    ]
    models = {"digits": {"accepted": [], "sites": rows}, "digits@eu": {"accepted": [], "sites": rows[:1]}}
    with api_saying({"models": models}, {"events": []}) as url:
        tab.open(f"{url}/")
        tab.wait("tbody", "limited to 40 %")
        assert "held back" in tab.text("tbody")
        assert "gives wrong answers" in tab.text(card("gcp"))
        assert "latency ms" in tab.text("thead")
        assert tab.text(".model + .model .tag") == "eu"


def test_the_page_fits_a_telephone_and_stands_still_when_asked(tab: Tab, router: Router) -> None:
    tab.size(400, 800)
    tab.prefer(prefers_reduced_motion="reduce")
    watch(tab, router)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    durations = "[...document.querySelectorAll('*')].map((element) => getComputedStyle(element).transitionDuration)"
    assert set(tab.evaluate(durations)) == {"0s"}
    assert tab.evaluate("document.getAnimations().length") == 0


def test_at_the_width_of_the_readme_s_picture_no_figure_and_no_name_of_a_site_breaks(tab: Tab, router: Router) -> None:
    tab.size(1200, 860)
    watch(tab, router)
    cells = "[...document.querySelectorAll('tbody td:nth-child(1), tbody td:nth-child(4)')]"
    assert max(tab.evaluate(f"{cells}.map((cell) => cell.clientHeight)")) < 40  # one line and its padding
    assert len(set(tab.evaluate("[...document.querySelectorAll('.card')].map((card) => card.offsetTop)"))) == 1
    assert tab.evaluate("document.querySelector('.left').scrollWidth <= document.querySelector('.left').clientWidth")


def test_pictures_of_an_outage(tab: Tab, router: Router, standins: dict[str, StandIn]) -> None:
    watch(tab, router)
    with Load(router.url, rate=60):
        tab.wait(f"{card('aws')} .rates", lambda shown: shown[:2].isdigit())
        standins["aws"].ready = False
        tab.wait(f"{card('aws')} .state", "unhealthy")
        tab.wait(f"{card('gcp')} .rates", lambda shown: shown[:2].isdigit())
        for scheme, width, name in (
            ("dark", 1400, "page"),
            ("light", 1400, "page-light"),
            ("dark", 400, "page-narrow"),
        ):
            tab.prefer(prefers_color_scheme=scheme)
            tab.size(width, 900)
            eventually(
                lambda: tab.evaluate("document.querySelector('.chart').clientWidth <= document.body.clientWidth - 50"),
                "the chart drawn anew",
            )
            tab.picture(PICTURES / f"{name}.png")
    assert (PICTURES / "page.png").stat().st_size > 0
