"""Envoy's logs become conditions, and events that say why."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runtime.router.fleets import ADDRESSES, fleet, site
from trihull_runtime.contract import Policy
from trihull_runtime.router.conditions import Conditions, Finding, Verdict
from trihull_runtime.router.envoy import Layout
from trihull_runtime.router.events import Events
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.timings import WAN
from trihull_runtime.router.watching import Watcher, attempt_of, why_ejected

PLAN = make_plan(
    fleet(site("aws", url="http://192.0.2.1:80"), site("gcp", url="http://one.example.org:80")),
    Policy.PRIORITY,
    ADDRESSES,
)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder, folder, folder / "envoy.sock", None)
        self.conditions, self.events = Conditions(WAN), Events(io.StringIO())
        self.watcher = Watcher(self.layout, self.conditions, self.events, lambda: PLAN)
        self.now = 0.0

    def log(self, path: Path, **entry: Any) -> None:
        with path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def failed(self, status: int, at: float, **more: Any) -> None:
        self.log(self.layout.attempts_log, time=f"{at:.3f}", site="aws", status=status, flags="-", **more)

    def checked(self, site: str, event: str, address: str = "192.0.2.1", **what: Any) -> None:
        host = {"socket_address": {"address": address, "port_value": 80}}
        locality = {"zone": site}
        self.log(self.layout.health_log, cluster_name="sites", locality=locality, host=host, **{event: what})

    def judged(self, action: str, kind: str = "CONSECUTIVE_5XX", address: str = "192.0.2.1:80") -> None:
        entry = {"cluster_name": "model-digits", "upstream_url": address, "action": action, "type": kind}
        self.log(self.layout.outlier_log, **entry, enforced=True)

    def look(self) -> None:
        self.watcher.take(self.watcher.read(), self.now)

    def messages(self, event: str) -> list[str]:
        return [entry["message"] for entry in self.events.recent if entry["event"] == event]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_an_ejection_says_what_it_came_from(rig: Rig) -> None:
    for at in (100.0, 100.1, 100.4):
        rig.failed(503, at)
    rig.judged("EJECT")
    rig.look()
    assert rig.messages("site_ejected") == ["site aws is ejected for a while: 3 x 503 in 0.4 s"]
    assert not rig.conditions.health(0)["aws"].of("digits").up
    rig.judged("UNEJECT")
    rig.look()
    assert rig.conditions.health(0)["aws"].of("digits").up


def test_reasons_are_told_in_words() -> None:
    def attempt(status: int, flags: str, failure: str = "") -> Any:
        line = {"time": "1.0", "site": "aws", "status": status, "flags": flags, "failure": failure}
        return attempt_of(json.dumps(line).encode())

    assert attempt(0, "UT").kind == "timeout"
    assert attempt(0, "UF").kind == "no connection"
    assert attempt(0, "UF", "TLS_error:|268435581:certificate verify failed").kind == "certificate"
    assert attempt(502, "-").kind == "502"
    assert why_ejected("CONSECUTIVE_5XX", [], 3) == "3 failed answers in a row"
    assert why_ejected("CONSECUTIVE_5XX", [attempt(503, "-")], 3) == "3 x 503 in a row"


def test_events_give_their_reason_in_words_and_envoy_s_own_beside_it(rig: Rig) -> None:
    for kind in ("ACTIVE", "NETWORK"):
        rig.checked("gcp", "health_check_failure_event", failure_type=kind)
    rig.judged("EJECT")
    rig.look()
    told = [(each["event"], each["reason"], each["envoy_reason"]) for each in rig.events.recent]
    assert told == [
        ("site_unhealthy", "a bad answer", "ACTIVE"),
        ("site_unhealthy", "no connection", "NETWORK"),
        ("site_ejected", "3 failed answers in a row", "CONSECUTIVE_5XX"),
    ]


def test_a_site_of_two_addresses_is_down_when_both_are(rig: Rig) -> None:
    rig.checked("gcp", "eject_unhealthy_event", "192.0.2.3", failure_type="NETWORK")
    rig.look()
    assert "gcp" not in rig.conditions.health(0)
    rig.checked("gcp", "eject_unhealthy_event", "192.0.2.4", failure_type="NETWORK_TIMEOUT")
    rig.look()
    assert rig.conditions.health(0)["gcp"].reason == "it fails its health check: no answer in time"
    rig.checked("gcp", "add_healthy_event", "192.0.2.3")
    rig.look()
    assert rig.conditions.health(0)["gcp"].up


def test_one_of_two_addresses_ejected_leaves_the_site(rig: Rig) -> None:
    rig.judged("EJECT", address="192.0.2.3:80")
    rig.look()
    assert "gcp" not in rig.conditions.health(0)
    assert rig.messages("site_ejected")


def test_other_clusters_checks_are_of_the_same_sites(rig: Rig) -> None:
    rig.log(rig.layout.health_log, cluster_name="model-digits", eject_unhealthy_event={}, locality={"zone": "aws"})
    rig.look()
    assert not rig.events.recent


def test_a_site_that_asks_for_a_pause_gets_one(rig: Rig) -> None:
    rig.failed(429, 1.0, retry_after="7")
    rig.look()
    assert rig.conditions.health(6)["aws"].reason == "it answered 429 and asked for 7 s"
    assert rig.conditions.health(8)["aws"].up


def test_truncated_answers_are_counted_and_end_in_a_pause(rig: Rig) -> None:
    for at in (1.0, 1.1, 1.2):
        rig.log(rig.layout.attempts_log, time=f"{at}", site="aws", status=200, flags="UPE")
    rig.look()
    assert rig.watcher.truncated["aws"] == 3
    assert not rig.conditions.health(1)["aws"].up
    assert rig.messages("site_cut_short")


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"site": null}', b'{"site": "aws"}', b'{"site": "aws", "time": "x"}']
)
def test_lines_that_say_nothing_are_passed_over(line: bytes) -> None:
    assert attempt_of(line) is None


def test_findings_are_counted_and_told_once(rig: Rig) -> None:
    for _ in range(3):
        rig.watcher.found(Finding("aws", "digits", Verdict.WRONG, "it says 4"), 0)
    assert rig.messages("site_wrong") == ["model digits at aws gets no requests: it says 4"]
    assert rig.watcher.findings["digits", "aws", "wrong"] == 3
    for _ in range(3):
        rig.watcher.found(Finding("aws", "digits", Verdict.RIGHT), 1)
    assert rig.messages("site_trusted") == ["model digits at aws answers rightly again"]


def test_a_running_envoy_is_asked_what_it_knows(rig: Rig) -> None:
    host = {
        "address": {"socket_address": {"address": "192.0.2.1", "port_value": 80}},
        "locality": {"zone": "aws"},
        "health_status": {"failed_active_health_check": True},
    }
    page = {"cluster_statuses": [{"name": "sites", "host_statuses": [host]}, {"name": "x", "host_statuses": [host]}]}
    rig.watcher.begin_with(page, 0)
    assert not rig.conditions.health(0)["aws"].up
    rig.checked("aws", "add_healthy_event")
    rig.look()
    assert rig.conditions.health(0)["aws"].up
