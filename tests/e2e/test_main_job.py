"""The main job as a newcomer sees it: `make demo`'s commands in a folder of their own, and nothing left afterwards."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trihull_runtime import contract

ROOT = Path(__file__).parents[2]
TRIHULL = [sys.executable, "-c", "from trihull_runtime.cli import main; main()"]


@dataclass(frozen=True)
class Project:
    """A folder with stacks of its own, its emulated clouds, and what the demo printed there."""

    folder: Path
    environ: dict[str, str]
    output: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False, timeout=600
        )

    def trihull(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*TRIHULL, *arguments)

    def document(self, name: str) -> Any:
        return json.loads((self.folder / "stacks/environments" / name).read_text())


def processes_of(home: Path) -> list[str]:
    """Command lines of the processes that know this home: by their environment or their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile, or is not ours
            continue
        if str(home).encode() in known and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def running(pid: int) -> bool:
    """Whether a process is there, and more than an entry that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listening(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname or "", parts.port or 80)) == 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("main-job")
    shutil.copytree(ROOT / "stacks", folder / "stacks", ignore=shutil.ignore_patterns("local.*.json", "__pycache__"))
    environ = {**os.environ, "TRIHULL_HOME": str(folder / "home"), "NO_COLOR": "1"}
    demo = subprocess.run(
        [sys.executable, "-m", "trihull_infra.demo"],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=1500,
    )  # fmt: skip
    made = Project(folder, environ, demo.stdout)
    try:
        assert demo.returncode == 0, demo.stdout
        yield made
    finally:
        made.trihull("emulators", "stop")


@pytest.mark.timeout(1600)
def test_the_demo_announces_every_step_and_says_what_stays_up(project: Project) -> None:
    steps = (
        "package stacks/models/digits",
        "package --router",
        "release local",
        "up local",
        "answers local",
        "drill local",
    )
    for step in steps:
        assert f"▶ trihull {step}" in project.output
    for url in project.document("local.routers.json")["routers"].values():
        assert url in project.output
        assert listening(url)
    assert "make clean-demo" in project.output


@pytest.mark.timeout(300)
def test_the_demo_compared_every_row_of_every_site_and_said_who_answered(project: Project) -> None:
    lines = [line.split() for line in project.output.splitlines()]
    for site in ("aws", "gcp", "azure"):
        assert [site, "270", "270", site, "270", "ok"] in lines
        (router,) = [line for line in lines if line[:3] == ["router", "on", site] and line[-1] == "ok"]
        assert router[3:5] == ["270", "270"]
        assert router[5] in ("aws", "gcp", "azure")


@pytest.mark.timeout(300)
def test_the_live_page_is_where_the_demo_says_and_remembers_the_drill(project: Project) -> None:
    pages = dict(re.findall(r"live page of (\w+) +(http://127\.0\.0\.1:\d+/)$", project.output, re.MULTILINE))
    assert set(pages) == {"aws", "gcp", "azure"}
    for url in pages.values():
        with urllib.request.urlopen(url, timeout=20) as response:
            assert b"<title>trihull router</title>" in response.read()
    with urllib.request.urlopen(f"{pages['azure']}v1/history", timeout=20) as response:  # the drill entered here
        history = json.load(response)
    requests = {each["site"]: [count for count in each["requests"] if count] for each in history["series"]}
    assert max(requests["aws"]) > 500
    assert max(requests["gcp"]) > 500


@pytest.mark.timeout(300)
def test_three_sites_serve_one_accepted_release(project: Project) -> None:
    fleet = contract.Fleet.read(project.folder / "stacks/environments/local.fleet.json")
    release = contract.Release.read(project.folder / "build/releases/digits/release.json")
    assert [site.cloud for site in fleet.sites] == ["aws", "gcp", "azure"]
    assert all(site.endpoint is not None and site.endpoint.tls for site in fleet.sites)
    assert fleet.models == {"digits": (release.release_digest,)}


@pytest.mark.timeout(300)
def test_every_row_of_the_test_split_is_answered_as_by_the_bare_model(project: Project) -> None:
    split = json.loads((project.folder / "build/releases/digits/test_split.json").read_text())
    url = project.document("local.routers.json")["routers"]["gcp"]
    answers: list[int] = []
    for row in split["rows"]:
        tensor = {"name": split["input"], "datatype": "FP32", "shape": [1, len(row)], "data": row}
        request = urllib.request.Request(
            f"{url}/v2/models/digits/infer",
            json.dumps({"inputs": [tensor]}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            outputs = {output["name"]: output["data"] for output in json.load(response)["outputs"]}
        answers.append(outputs["label"][0])
    assert len(answers) == len(split["labels"]) == 270
    assert [str(answer) for answer in answers] == [str(label) for label in split["labels"]]


@pytest.mark.timeout(300)
def test_the_drill_lost_nothing_and_its_report_says_so(project: Project) -> None:
    report = json.loads((project.folder / "build/drill/report.json").read_text())
    assert report["lost"] == 0
    assert report["wrong"] == 0
    assert report["requests"] > 1000
    release = contract.Release.read(project.folder / "build/releases/digits/release.json")
    assert (report["emulated"], report["policy"], list(report["releases"])) == (
        True,
        "priority",
        [release.release_digest],
    )
    assert "<svg" in (project.folder / "build/drill/report.html").read_text()


@pytest.mark.timeout(300)
def test_every_sites_registry_has_the_release_with_evidence_that_holds(project: Project) -> None:
    published = project.trihull("publish", "build/releases/digits", "--to", "local", "--json")
    assert published.returncode == 0, published.stdout + published.stderr
    targets = json.loads(published.stdout)["targets"]
    assert {target["target"] for target in targets} == {"aws", "gcp", "azure"}
    assert {(target["sent"], target["problem"]) for target in targets} == {(0, "")}  # `up` has sent it all
    digest = contract.Release.read(project.folder / "build/releases/digits/release.json").image.index_digest
    router = json.loads((project.folder / "build/releases/router/router.json").read_text())["index_digest"]
    for target in targets:
        for image in (digest, router):
            verified = project.trihull("verify", f"{target['registry']}@{image}")
            assert verified.returncode == 0, verified.stdout + verified.stderr
            assert "BROKEN" not in verified.stdout


@pytest.mark.timeout(300)
def test_the_router_build_verifies_and_a_changed_layer_does_not(project: Project) -> None:
    verified = project.trihull("verify", "build/releases/router")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "BROKEN" not in verified.stdout
    broken = project.folder / "build/broken-router"
    shutil.copytree(project.folder / "build/releases/router", broken)
    largest = max((broken / "image/blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    verified = project.trihull("verify", "build/broken-router")
    assert verified.returncode == 3
    assert "BROKEN  digest" in verified.stdout


@pytest.mark.timeout(600)
def test_a_second_deploy_changes_nothing(project: Project) -> None:
    result = project.trihull("preview", "local", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.timeout(600)
def test_a_frozen_site_loses_nothing_either(project: Project) -> None:
    short = ("--before", "2", "--outage", "6", "--after", "8", "--report-dir", "build/freeze")
    result = project.trihull("drill", "local", "--site", "aws", "--kind", "freeze", *short)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((project.folder / "build/freeze/report.json").read_text())
    assert (report["lost"], report["wrong"]) == (0, 0)
    assert report["moved_after_s"] is not None
    assert report["came_back_after_s"] is not None


@pytest.mark.timeout(600)
def test_a_lost_router_costs_no_more_than_what_it_had_and_callers_come_back(project: Project) -> None:
    short = ("--before", "2", "--outage", "4", "--after", "6", "--rate", "50", "--report-dir", "build/router")
    result = project.trihull("drill", "local", "--loss", "router", "--site", "aws", *short)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((project.folder / "build/router/report.json").read_text())
    assert (report["loss"], report["routers"], report["wrong"]) == ("router", ["aws", "gcp", "azure"], 0)
    assert report["router"]["lost_otherwise"] == 0
    assert report["router"]["entered"]["during"]["gcp"] > 100
    assert report["during"]["sites"].get("aws", 0) > 100  # its serving went on, asked by the router of gcp
    assert report["dns"]["adds_s"] == 60  # docs/dns.md, a zone on AWS


@pytest.mark.timeout(600)
def test_taking_it_down_leaves_no_process_and_no_port(project: Project) -> None:
    urls = list(project.document("local.routers.json")["routers"].values())
    status = json.loads(project.trihull("emulators", "status", "--json").stdout)
    pods = [pod for site in status["sites"].values() for pod in site["pods"]]
    assert len(pods) == 9  # on each site two of serving and a router
    destroyed = project.trihull("destroy", "local")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    stopped = project.trihull("emulators", "stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    pids = [status["pid"], *(pod["pid"] for pod in pods)]
    until(lambda: not [pid for pid in pids if running(pid)])  # the system takes a moment to bury them
    assert processes_of(project.folder / "home") == []
    ports = [f"http://127.0.0.1:{port}" for pod in pods for port in pod["ports"].values()]
    assert not [url for url in [*urls, *ports] if listening(url)]
