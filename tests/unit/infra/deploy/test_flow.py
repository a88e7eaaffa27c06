"""The order of a deploy and its refusals, with operations in the test's own process.

The same programs run on the real engine in tests/emulated/deploy.
"""

import json
import signal

import pytest

from tests.deployments import CERTIFICATE, CLOUDS, Project, named, steps
from tests.unit.infra.deploy.in_process import InProcess
from trihull_infra.cloud import Cloud
from trihull_infra.errors import SpecError
from trihull_runtime.artifacts.errors import RegistryError
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.transfer import Copied
from trihull_runtime.contract import EnvironmentReleases, Fleet
from trihull_runtime.errors import TrihullError

A, B = (f"sha256:{digit * 64}" for digit in "ab")
ONE = (Cloud.AWS,)


def test_up_brings_three_clouds_up_and_a_second_up_changes_nothing(
    project: Project, router: str, operations: InProcess
) -> None:
    report = project.flow().up(publish=False)
    assert report.failed == []
    order = [f"{cloud} {part}" for part in ("site", "serving", "routing") for cloud in CLOUDS]
    assert [task.title for task in operations.tasks] == [*order, "dns"]
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
    assert {page.command.split()[-2] for page in report.pages.values()} == {"deployment/trihull-router"}
    assert set(report.pages) == {"aws", "gcp", "azure"}
    aws = project.flow(clouds=(Cloud.AWS,))
    assert aws.sites()[Cloud.AWS].router_key == "[secret]"
    assert aws.sites(show_secrets=True)[Cloud.AWS].router_key == "key"
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


def test_a_site_that_fails_stops_no_other_and_stays_in_the_fleet(project: Project) -> None:
    assert project.flow().up(publish=False).failed == []
    before = Fleet.read(project.documents.fleet)
    project.release("b", accepted=(A,))
    project.switch("site", "gcp", "raise ValueError('no quota left')")
    report = project.flow().up(publish=False)
    assert [(step.cloud, step.project) for step in report.failed] == [("gcp", "site")]
    assert "no quota left" in report.failed[0].result.problem
    assert {step.project for step in report.steps if step.cloud is Cloud.GCP} == {"site"}
    assert {step.project for step in report.steps if step.cloud is Cloud.AZURE} >= {"site", "serving", "routing"}
    fleet = Fleet.read(project.documents.fleet)
    assert fleet.sites == before.sites
    assert fleet.models == {"digits": (B, A)}  # gcp serves the old one still
    project.switch("site", "gcp", None)
    again = project.flow().up(publish=False)
    assert again.failed == []
    assert Fleet.read(project.documents.fleet).models == {"digits": (B,)}
    assert EnvironmentReleases.read(project.documents.releases).accepted == {"digits": (B,)}
    routing = project.display.results["aws routing"]
    assert routing.outputs is not None
    assert json.loads(routing.outputs["fleet"])["models"] == {"digits": [B]}  # the routers were told


def test_a_serving_that_fails_keeps_older_releases_accepted(project: Project) -> None:
    project.release("b", accepted=(A,))
    project.switch("serving", "aws", "import trihull_infra.errors as e; raise e.SpecError('no such machine class')")
    report = project.flow(clouds=(Cloud.AWS, Cloud.GCP)).up(publish=False)
    assert [(step.cloud, step.project) for step in report.failed] == [("aws", "serving")]
    assert report.failed[0].result.problem.endswith("no such machine class")
    assert "Traceback" not in report.failed[0].result.problem
    fleet = Fleet.read(project.documents.fleet)
    assert [site.endpoint is not None for site in fleet.sites] == [False, True, False]
    assert EnvironmentReleases.read(project.documents.releases).accepted == {"digits": (B, A)}


def test_outputs_that_are_not_what_the_contract_asks_for_fail_that_cloud(project: Project) -> None:
    outputs = project.stacks / "site" / "outputs.json"
    outputs.write_text(json.dumps({**json.loads(outputs.read_text()), "registry": "https://wrong"}))
    report = project.flow(clouds=ONE).up(publish=False)
    assert [(step.cloud, step.project) for step in report.failed] == [("aws", "outputs")]
    assert "registry" in report.failed[0].result.problem
    assert steps(project) == {"aws site": True}


def test_preview_before_the_site_exists_says_so(project: Project) -> None:
    report = project.flow("preview", ONE).preview()
    assert report.failed == []
    assert [step.project for step in report.steps] == ["site"]
    assert report.changed == 2
    assert any("aws serving and routing are not previewed: its site lab-aws" in line for line in project.display.lines)
    assert not project.documents.fleet.exists()


def test_destroy_takes_everything_down_in_reverse(project: Project, operations: InProcess) -> None:
    assert project.flow(clouds=ONE).up(publish=False).failed == []
    report = project.flow("destroy", ONE).destroy(remove=True)
    assert report.failed == []
    assert [step.project for step in report.steps] == ["dns", "routing", "serving", "site"]
    assert all(step.result.changes == {"delete": 2} for step in report.steps)
    assert project.documents.read_routers() == {}
    assert [site.endpoint for site in Fleet.read(project.documents.fleet).sites] == [None, None, None]
    assert operations.stacks == {}
    again = project.flow("destroy", ONE).destroy(remove=True)
    assert again.failed == []


def test_the_name_keeps_the_routers_of_a_cloud_that_failed(project: Project) -> None:
    assert project.flow().up(publish=False).failed == []
    project.switch("site", "aws", "raise ValueError('no answer from its control plane')")
    report = project.flow().up(publish=False)
    assert [step.title for step in report.failed] == ["aws site"]
    assert named(project) == ["aws", "azure", "gcp"]


def test_a_name_that_fails_stops_no_cloud_and_no_destroy(project: Project) -> None:
    project.switch("dns", "dns", "raise ValueError('the zone is not ours')")
    report = project.flow().up(publish=False)
    assert [step.title for step in report.failed] == ["dns"]
    assert all(steps(project)[f"{cloud} routing"] for cloud in CLOUDS)
    destroyed = project.flow("destroy", ONE).destroy(remove=True)
    assert [step.title for step in destroyed.failed] == ["dns"]
    assert steps(project)["aws site"]
    assert set(project.documents.read_routers()) == {"gcp", "azure"}


def test_a_cloud_that_goes_is_taken_out_of_the_name_first(project: Project, operations: InProcess) -> None:
    assert project.flow().up(publish=False).failed == []
    report = project.flow("destroy", ONE).destroy(remove=True)
    assert [step.title for step in report.steps] == ["dns", "aws routing", "aws serving", "aws site"]
    assert named(project) == ["azure", "gcp"]
    assert project.flow("refresh", (Cloud.GCP,)).refresh(clear_pending=False).failed == []
    rest = project.flow("destroy").destroy(remove=True)
    assert rest.failed == []
    assert rest.steps[0].title == "dns"
    assert rest.steps[0].result.changes == {"delete": 2}
    assert operations.stacks == {}


def test_an_environment_without_a_name_has_no_dns_stack(project: Project) -> None:
    path = project.documents.folder / "lab.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("dns:")))
    assert project.flow(clouds=ONE).up(publish=False).failed == []
    assert project.flow("refresh", ONE).refresh(clear_pending=False).failed == []
    assert project.flow("destroy", ONE).destroy(remove=True).failed == []
    assert "dns" not in project.display.results


@pytest.mark.parametrize("spoil", ["releases", "cloud", "layout", "router", "swapped"])
def test_what_cannot_be_brought_up_is_refused_before_anything_is_changed(project: Project, spoil: str) -> None:
    path = project.documents.releases
    value = json.loads(path.read_text())
    if spoil == "releases":
        path.unlink()
    elif spoil == "cloud":
        del value["models"]["digits"]["gcp"]
    elif spoil == "layout":
        (project.root / "release-a" / "image" / "index.json").unlink()
    elif spoil == "router":
        del value["router"]
    else:
        release = project.root / "release-a" / "release.json"
        release.write_text(release.read_text().replace(A, B))
    if spoil in ("cloud", "router"):
        path.write_text(json.dumps(value))
    with pytest.raises(TrihullError) as caught:
        project.flow().up(publish=False)
    assert isinstance(caught.value, SpecError) or spoil == "swapped"
    assert project.display.results == {}
    assert not project.documents.fleet.exists()


def test_images_are_published_to_the_site_before_serving(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[str, str, str]] = []

    def copy(source: LayoutRegistry, target: LayoutRegistry, digest: str, **_: object) -> Copied:
        assert "aws serving" not in project.display.results
        copied.append((source.folder.resolve().parent.name, target.folder.name, digest))
        return Copied(0, 0, 0)

    monkeypatch.setattr("trihull_runtime.artifacts.registry.transfer.copy", copy)
    assert project.flow(clouds=ONE).up(publish=True).failed == []
    assert copied == [("release-a", "aws", A), ("release-a", "aws", A)]


def test_a_registry_that_fails_fails_its_site_with_what_it_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = project.stacks / "site" / "outputs.json"
    outputs.write_text(json.dumps({**json.loads(outputs.read_text()), "registry": "registry.example.com/images"}))

    def copy(source: LayoutRegistry, target: DistributionRegistry, digest: str, **_: object) -> Copied:
        raise RegistryError(f"{target.name}: it is full")

    monkeypatch.setattr("trihull_runtime.artifacts.registry.transfer.copy", copy)
    report = project.flow(clouds=ONE).up(publish=True)
    assert [(step.cloud, step.project) for step in report.failed] == [("aws", "publish")]
    assert report.failed[0].result.problem == "registry.example.com/images: it is full"
    assert steps(project) == {"aws site": True}


def test_a_stop_lets_what_runs_end_and_begins_nothing_more(project: Project, operations: InProcess) -> None:
    project.switch("site", "aws", f"import signal; signal.raise_signal({signal.SIGTERM.value})")
    before = signal.getsignal(signal.SIGTERM)
    report = project.flow(clouds=(Cloud.AWS, Cloud.GCP)).up(publish=True)
    assert signal.getsignal(signal.SIGTERM) == before
    assert report.stopped == signal.SIGTERM
    assert {step.title for step in report.failed} == {"aws site", "gcp site"}
    assert all(step.result.stopped for step in report.failed)
    assert [task.title for task in operations.tasks] == ["aws site", "gcp site"]
    assert any("stopping: what runs is finished first" in line for line in project.display.lines)
    assert not project.documents.fleet.exists()
    project.switch("site", "aws", None)
    assert project.flow().up(publish=False).failed == []
