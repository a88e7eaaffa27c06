"""`trihull drill` on the command line, over a scripted router and stand-in emulators."""

import contextlib
import dataclasses
import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.infra.drill.scripted import (
    LABELS,
    PROBABILITIES,
    RELEASE,
    ROWS,
    Answer,
    Behaviour,
    World,
    fail_over,
    scripted_router,
)
from tests.unit.infra.drill.simulated import SimulatedLoop, simulated_loop
from trihull_infra.drill import rehearsal
from trihull_infra.drill.command import command
from trihull_infra.drill.faults import FaultKind
from trihull_infra.drill.ways import find_entries, find_entry, fleet_sites
from trihull_infra.emulators import client
from trihull_infra.errors import DrillError, EmulatorError, SpecError
from trihull_runtime.contract import ContractError, Endpoint, Fleet, FleetSite, SiteState
from trihull_runtime.errors import InputError, TrihullError, UsageError

ROOT = Path(__file__).parents[4]
READY = {"pods": [{"name": "serving-1", "pid": 1, "ready": True, "app": "serving"}]}
SHORT = ["--rate", "100", "--before", "1", "--outage", "1", "--after", "1"]


class Daemon:
    """Stands in for the emulators: its outages break the scripted world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.leases: list[float] = []
        self.workloads: list[str | None] = []

    def sites(self) -> dict[str, Any]:
        return {"aws": READY, "gcp": READY}

    def begin_outage(self, site: str, kind: str, ttl_s: float, workload: str | None = None) -> None:
        self.leases.append(ttl_s)
        self.workloads.append(workload)
        self.world.begin(site, FaultKind(kind))

    def end_outage(self, site: str) -> None:
        self.world.end(site)


def site(name: str, state: SiteState = SiteState.ACTIVE, deployed: bool = True) -> FleetSite:
    endpoint = Endpoint("https://127.0.0.1:1", "serving.test") if deployed else None
    return FleetSite(name, name, "r", "eu", endpoint, None, 0, 1, state=state)


def write_environment(stacks: Path, router_url: str, *sites: FleetSite) -> None:
    folder = stacks / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "stacks/environments/local.yaml", folder)
    fleet = Fleet(1, "local", {}, sites or (site("aws"), site("gcp")))
    fleet.write(folder / "local.fleet.json")
    routers = {"aws": "http://127.0.0.1:1", "gcp": router_url}
    (folder / "local.routers.json").write_text(json.dumps({"version": 1, "routers": routers}))


def write_rows(path: Path, **changes: Any) -> Path:
    value = {
        "version": 1,
        "model": "digits",
        "input": "image",
        "rows": ROWS,
        "targets": LABELS,
        "labels": LABELS,
        "probabilities": PROBABILITIES,
        **changes,
    }
    path.write_text(json.dumps(value))
    return path


@contextlib.contextmanager
def drilling_on_a_simulated_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedLoop]:
    """Make the command's drills run on a loop whose clock is simulated."""
    with simulated_loop() as loop, monkeypatch.context() as patch:
        patch.setattr(rehearsal, "rehearse", functools.partial(rehearsal.rehearse, loop_factory=lambda: loop))
        yield loop


def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour = fail_over, *more: str
) -> tuple[str, BaseException | None, Daemon]:
    world = World()
    daemon = Daemon(world)
    monkeypatch.setattr(client, "connect", lambda: daemon)
    with drilling_on_a_simulated_clock(monkeypatch) as loop, scripted_router(behaviour, world, loop) as router:
        write_environment(tmp_path / "stacks", router.url)
        rows = write_rows(tmp_path / "rows.json")
        arguments = ["local", "--stacks", str(tmp_path / "stacks"), "--rows", str(rows), *SHORT]
        result = CliRunner().invoke(command, [*arguments, "--report-dir", str(tmp_path / "report"), *more])
    return result.output, result.exception, daemon


def test_a_passed_drill_writes_its_report_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, error, daemon = run(tmp_path, monkeypatch)
    assert error is None, output
    assert "Drill on local: aws, kill" in output
    value = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (value["passed"], value["requests"], value["site"]) == (True, 300, "aws")
    assert (value["emulated"], value["policy"]) == (True, "priority")
    assert sum(value["releases"][RELEASE].values()) == 300
    assert f"release served         {RELEASE}" in output
    assert "<svg" in (tmp_path / "report" / "report.html").read_text()
    assert daemon.world.calls == [("begin", "aws"), ("end", "aws")]
    assert daemon.leases == [31.0]  # the outage and a margin: the site heals even if the drill dies


def test_json_is_the_report_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, error, _ = run(tmp_path, monkeypatch, fail_over, "--json", "--kind", "freeze")
    assert error is None, output
    assert json.loads(output) == json.loads((tmp_path / "report" / "report.json").read_text())
    assert json.loads(output)["kind"] == "freeze"


def test_a_lost_request_exits_3_with_the_report_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(index: int, world: World) -> Answer | None:
        return None if index == 150 else fail_over(index, world)

    _, error, _ = run(tmp_path, monkeypatch, losing)
    assert isinstance(error, DrillError)
    assert error.exit_code == 3
    assert "the drill on aws failed: 1 of 300 requests were lost" in str(error)
    assert json.loads((tmp_path / "report" / "report.json").read_text())["lost"] == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "problem"),
    [
        (["--site", "azure"], UsageError, "local has no active site 'azure'; choose with --site: aws, gcp"),
        (["--entry", "nowhere"], UsageError, "'nowhere' is no router's address"),
        (["--model", "faces"], InputError, "is of model 'digits', and the drill is on 'faces'"),
        (["--rows", "none.json"], InputError, "none.json: cannot be read"),
    ],
)
def test_a_drill_that_cannot_be_says_why_and_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kind: type[TrihullError], problem: str
) -> None:
    _, error, daemon = run(tmp_path, monkeypatch, fail_over, *arguments)
    assert isinstance(error, kind)
    assert problem in str(error)
    assert daemon.world.calls == []
    assert not (tmp_path / "report").exists()


def test_rows_without_answers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(ROWS))
    _, error, _ = run(tmp_path, monkeypatch, fail_over, "--rows", str(plain))
    assert isinstance(error, InputError)
    assert "a drill needs the bare model's answers" in str(error)


def test_emulators_that_do_not_run_and_sites_that_are_not_ready_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "home"))
    write_environment(tmp_path / "stacks", "http://127.0.0.1:1")
    rows = write_rows(tmp_path / "rows.json")
    arguments = ["local", "--stacks", str(tmp_path / "stacks"), "--rows", str(rows)]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, EmulatorError)
    monkeypatch.setattr(Daemon, "sites", lambda self: {"aws": READY, "gcp": {"pods": []}})
    monkeypatch.setattr(client, "connect", lambda: Daemon(World()))
    result = CliRunner().invoke(command, arguments)
    assert "site gcp runs nothing" in str(result.exception)


def test_the_entry_is_a_router_of_another_site(tmp_path: Path) -> None:
    write_environment(tmp_path, "http://127.0.0.1:2")
    assert find_entry(tmp_path, "local", "aws") == "http://127.0.0.1:2"
    assert find_entry(tmp_path, "local", "gcp") == "http://127.0.0.1:1"
    routers = tmp_path / "environments" / "local.routers.json"
    routers.write_text('{"version":1,"routers":{"aws":"http://127.0.0.1:1"}}')
    with pytest.raises(SpecError, match="names no router outside aws; give one with --entry"):
        find_entry(tmp_path, "local", "aws")
    for text in ('{"version":2,"routers":{}}', '{"version":1,"routers":{"aws":1}}', "[]"):
        routers.write_text(text)
        with pytest.raises(SpecError, match="expected version 1 and routers"):
            find_entry(tmp_path, "local", "aws")
    routers.write_text("{")
    with pytest.raises(SpecError, match="is not valid JSON"):
        find_entry(tmp_path, "local", "aws")
    routers.unlink()
    with pytest.raises(SpecError, match="run trihull up local, or give --entry"):
        find_entry(tmp_path, "local", "aws")


def test_only_active_deployed_sites_take_part(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="deploy the environment first"):
        fleet_sites(tmp_path, "local", "aws")
    others = (site("gcp", SiteState.DISABLED), site("azure", deployed=False))
    write_environment(tmp_path, "http://127.0.0.1:2", site("aws"), site("edge"), *others)
    assert fleet_sites(tmp_path, "local", "aws") == ["aws", "edge"]
    write_environment(tmp_path, "http://127.0.0.1:2", site("aws"), *others)
    with pytest.raises(UsageError, match="aws is the only site of local"):
        fleet_sites(tmp_path, "local", "aws")
    (tmp_path / "environments" / "local.fleet.json").write_text("{}")
    with pytest.raises(ContractError):
        fleet_sites(tmp_path, "local", "aws")


def run_router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Behaviour, *more: str) -> Any:
    """Lose the router of aws, over two scripted routers."""
    world = World()
    daemon = Daemon(world)
    monkeypatch.setattr(client, "connect", lambda: daemon)
    stacks = tmp_path / "stacks"
    with (
        drilling_on_a_simulated_clock(monkeypatch) as loop,
        scripted_router(first, world, loop) as aws,
        scripted_router(lambda *_: Answer("aws"), world, loop) as gcp,
    ):
        write_environment(stacks, gcp.url)
        write_routers(stacks, aws=aws.url, gcp=gcp.url)
        shutil.copy(ROOT / "stacks/environments/local.yaml", stacks / "environments")
        rows = write_rows(tmp_path / "rows.json")
        arguments = ["local", "--loss", "router", "--stacks", str(stacks), "--rows", str(rows), *SHORT]
        result = CliRunner().invoke(command, [*arguments, "--report-dir", str(tmp_path / "report"), *more])
    return result, daemon


def write_routers(stacks: Path, **routers: str) -> None:
    (stacks / "environments/local.routers.json").write_text(json.dumps({"version": 1, "routers": routers}))


def dying(index: int, world: World) -> Answer | None:
    return None if world.broken else Answer("aws")


def test_the_loss_of_a_router_breaks_that_workload_and_reports_it_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, daemon = run_router(tmp_path, monkeypatch, dying, "--after", "2")
    assert result.exception is None, result.output
    assert "Drill on local: the router of aws, kill" in result.output
    assert "60 s, computed from its settings" in " ".join(result.output.split())
    assert daemon.workloads == ["trihull-router"]
    value = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (value["loss"], value["passed"], value["plan"]["timeout_s"]) == ("router", True, 1.0)
    assert value["dns"]["name"] == "models.local.trihull.internal"


def test_a_router_that_is_not_left_in_time_exits_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run_router(tmp_path, monkeypatch, lambda *_: Answer("aws"))
    assert isinstance(result.exception, DrillError)
    assert result.exception.exit_code == 3
    assert "the drill on the router of aws failed: the router of aws answered" in str(result.exception)


def test_an_entry_has_no_place_in_the_loss_of_a_router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, daemon = run_router(tmp_path, monkeypatch, dying, "--entry", "http://127.0.0.1:1")
    assert isinstance(result.exception, UsageError)
    assert daemon.world.calls == []


def test_callers_know_the_lost_router_first_and_the_others_by_priority(tmp_path: Path) -> None:
    sites = [dataclasses.replace(site(name), priority=number) for name, number in (("gcp", 3), ("azure", 1))]
    write_environment(tmp_path, "http://127.0.0.1:2", site("aws"), site("edge"), *sites)
    urls = {name: f"http://127.0.0.1:{number}" for number, name in enumerate(("aws", "gcp", "azure", "edge"), start=1)}
    write_routers(tmp_path, **urls)
    assert [each.router for each in find_entries(tmp_path, "local", "gcp")] == ["gcp", "aws", "edge", "azure"]
    assert find_entries(tmp_path, "local", "aws")[0].address.url == urls["aws"]
    write_routers(tmp_path, gcp=urls["gcp"])
    with pytest.raises(SpecError, match="names no router of aws, so there is none to lose"):
        find_entries(tmp_path, "local", "aws")
    with pytest.raises(SpecError, match="the router of gcp is the only one"):
        find_entries(tmp_path, "local", "gcp")
