"""Checks run side by side; neither one that hangs nor one that breaks takes the others with it."""

import threading
import time

from trihull_infra.cloud import Cloud
from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Result, Status
from trihull_infra.doctor.running import Check, run, told_once


def test_a_check_that_hangs_is_reported_and_holds_up_nothing() -> None:
    never = threading.Event()

    def hangs() -> list[findings.Finding]:
        never.wait()
        return []

    began = time.monotonic()
    found = run([Check("hangs", Cloud.AWS, hangs), Check("answers", None, lambda: [findings.ok("yes")])], limit_s=0.3)
    assert time.monotonic() - began < 10
    never.set()
    assert [(one.check, one.cloud, one.finding.status) for one in found] == [
        ("hangs", Cloud.AWS, Status.FAILED),
        ("answers", None, Status.OK),
    ]
    assert "no answer within 0.3 s" in found[0].finding.seen
    assert "network" in found[0].finding.do


def test_checks_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def waits() -> list[findings.Finding]:
        both.wait()
        return [findings.ok("met")]

    assert [one.finding.seen for one in run([Check("a", None, waits), Check("b", None, waits)])] == ["met", "met"]


def test_an_exception_becomes_a_finding_in_the_clouds_words() -> None:
    def breaks() -> list[findings.Finding]:
        raise ConnectionError("gone")

    said = Check("said", Cloud.GCP, breaks, lambda error: findings.warning(f"heard: {error}", "wait"))
    unsaid = Check("unsaid", None, breaks)
    found = [one.finding for one in run([said, unsaid])]
    assert found[0] == findings.warning("heard: gone", "wait")
    assert (found[1].status, found[1].seen) == (Status.FAILED, "ConnectionError: gone")


def test_the_same_trouble_of_a_cloud_is_told_once() -> None:
    trouble = findings.failed("no credentials", "log in")
    results = [Result(name, cloud, trouble) for cloud in (Cloud.AWS, Cloud.GCP) for name in ("credentials", "quotas")]
    found = [one.finding.status for one in told_once(results)]
    assert found == [Status.FAILED, Status.NOT_ASKED, Status.FAILED, Status.NOT_ASKED]
