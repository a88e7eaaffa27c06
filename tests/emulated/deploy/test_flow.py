"""A whole deploy on the real engine, each stack in a process of its own, with programs that need no plugin.

The order of the steps and every refusal are tested without an engine, in tests/unit/infra/deploy/test_flow.py.
"""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.deployments import CERTIFICATE, CLOUDS, Project, named, steps, until
from tests.signals import once
from trihull_infra.cloud import Cloud
from trihull_runtime.contract import Fleet

pytestmark = pytest.mark.timeout(300)

A = f"sha256:{'a' * 64}"
ONE = (Cloud.AWS,)


def test_three_clouds_come_up_stay_as_they_are_and_go_down_in_reverse(project: Project, router: str) -> None:
    report = project.flow().up(publish=False)
    assert report.failed == []
    stacks = {f"{cloud} {part}" for cloud in CLOUDS for part in ("site", "serving", "routing")}
    assert set(steps(project)) == {*stacks, "dns"}
    assert [step.title for step in report.steps][-1] == "dns"
    assert report.steps[-1].to_value()["cloud"] is None
    assert named(project) == ["aws", "azure", "gcp"]
    fleet = Fleet.read(project.documents.fleet)
    assert [site.name for site in fleet.sites] == ["aws", "gcp", "azure"]
    assert [site.endpoint.port for site in fleet.sites if site.endpoint] == [8000, 8001, 8002]
    assert {site.ca_certificate for site in fleet.sites} == {CERTIFICATE}
    assert fleet.models == {"digits": (A,)}
    assert "key" not in project.documents.fleet.read_text()
    assert project.documents.read_routers() == dict.fromkeys(("aws", "gcp", "azure"), router)
    assert project.locks() == []
    before = project.documents.fleet.stat().st_mtime_ns
    again = project.flow().up(publish=False)
    assert (again.changed, again.failed) == (0, [])
    assert project.documents.fleet.stat().st_mtime_ns == before
    preview = project.flow("preview").preview()
    assert (preview.changed, preview.failed) == (0, [])
    assert len(preview.steps) == 10
    project.documents.fleet.unlink()
    assert project.flow("fleet").fleet().failed == []
    assert Fleet.read(project.documents.fleet) == fleet
    report = project.flow("destroy").destroy(remove=True)
    assert report.failed == []
    assert [step.project for step in report.steps] == ["dns", *["routing"] * 3, *["serving"] * 3, *["site"] * 3]
    assert all(step.result.changes == {"delete": 2} for step in report.steps)
    assert project.documents.read_routers() == {}
    assert [site.endpoint for site in Fleet.read(project.documents.fleet).sites] == [None, None, None]
    assert not list((project.root / "state").rglob("stacks/**/*.json"))
    again = project.flow("destroy", ONE).destroy(remove=True)
    assert again.failed == []


def test_a_stop_lets_the_engine_end_and_leaves_no_lock(project: Project) -> None:
    begun = project.root / "begun"
    code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch()\nfor _ in range(3000): time.sleep(0.1)"
    project.switch("site", "aws", code)
    with once(begun.exists, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        report = project.flow(clouds=ONE).up(publish=False)
    assert report.stopped == signal.SIGTERM
    assert [step.project for step in report.failed] == ["site"]
    assert project.display.results["aws site"].stopped
    assert project.locks() == []
    project.switch("site", "aws", None)
    assert project.flow(clouds=ONE).up(publish=False).failed == []


def lock(project: Project, pid: int) -> Path:
    folder = project.root / "state" / ".pulumi" / "locks" / "organization" / "trihull-site" / "lab-aws"
    folder.mkdir(parents=True, exist_ok=True)
    value = {"pid": pid, "username": "ada", "hostname": socket.gethostname(), "timestamp": "2026-11-23T00:00:00Z"}
    path = folder / "11111111-1111-1111-1111-111111111111.json"
    path.write_text(json.dumps(value))
    return path


def assert_broken(project: Project, pid: int) -> None:
    """Bring the stacks up over the lock of a dead process."""
    assert project.flow(clouds=ONE).up(publish=False).failed == []
    notice = f"breaking the lock of ada@{socket.gethostname()} (process {pid})"
    assert any(notice in line for line in project.display.lines)
    assert project.locks() == []
    assert steps(project)["aws site"]


@pytest.fixture
def dead() -> int:
    """The id of a process that is no more."""
    with subprocess.Popen(["/bin/sh", "-c", "exit 0"]) as process:
        process.wait()
    return process.pid


def test_a_lock_whose_process_lives_is_named_and_kept_and_broken_once_it_is_dead(project: Project, dead: int) -> None:
    assert project.flow("preview", ONE).preview().failed == []  # so that the stack exists
    path = lock(project, os.getpid())
    report = project.flow(clouds=ONE).up(publish=False)
    problem = report.failed[0].result.problem
    assert f"locked by ada@{socket.gethostname()} (process {os.getpid()})" in problem
    assert "pulumi cancel --stack lab-aws" in problem
    assert path.exists()
    lock(project, dead)
    assert_broken(project, dead)


def test_a_lock_of_a_dead_process_on_a_stack_that_was_never_made_is_broken(project: Project, dead: int) -> None:
    lock(project, dead)
    assert_broken(project, dead)


def test_a_stack_process_that_is_killed_is_reported_and_the_next_run_completes(project: Project) -> None:
    pid = project.root / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    project.switch("site", "aws", code)
    with once(lambda: pid.exists() and pid.read_text(), lambda: os.kill(int(pid.read_text()), signal.SIGKILL)):
        report = project.flow(clouds=(Cloud.AWS, Cloud.GCP)).up(publish=False)
    assert [(step.cloud, step.project) for step in report.failed] == [("aws", "site")]
    assert "ended without an answer" in report.failed[0].result.problem
    assert steps(project)["gcp routing"]
    project.switch("site", "aws", None)
    until(lambda: project.flow(clouds=ONE).up(publish=False).failed == [])
