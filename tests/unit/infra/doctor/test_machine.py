"""This machine, and what lies beside an environment."""

import datetime
from pathlib import Path

import pytest

from tests.parity.conftest import write_documents, write_release
from tests.unit.infra.doctor.conftest import Asking, only, statuses
from tests.unit.infra.doctor.test_reaching import certificate
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Documents
from trihull_infra.doctor import documents, local, machine
from trihull_infra.doctor.findings import Status
from trihull_infra.environment import Environment

ENGINE = """#!/bin/sh
case "$1" in
version) echo v3.250.0 ;;
whoami) {whoami} ;;
esac
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of our own."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_a_login_program_is_asked_for_its_version(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tools, "kubelogin", "#!/bin/sh\necho git hash: v0.1.4/abc\n")
    found = only(machine.login(Cloud.AZURE))
    assert (found.status, "v0.1.4" in found.seen) == (Status.OK, True)
    monkeypatch.setenv("PATH", "/nowhere")
    missing = only(machine.login(Cloud.AZURE))
    assert (missing.status, missing.do) == (Status.FAILED, "install kubelogin")
    assert only(machine.login(Cloud.KUBERNETES)).status is Status.NOT_ASKED


def test_a_program_that_hangs_is_given_up(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "TOOL_S", 0.2)
    program(tools, "git", "#!/bin/sh\nexec sleep 60\n")
    assert only(machine.git()).status is Status.WARNING


@pytest.mark.parametrize(
    ("whoami", "status", "said"),
    [
        ('echo \'{"url": "s3://state"}\'', Status.OK, "s3://state"),
        ("echo error: PULUMI_ACCESS_TOKEN must be set >&2; exit 3", Status.FAILED, "PULUMI_ACCESS_TOKEN"),
        ("exec sleep 60", Status.FAILED, "does not answer"),
        ('echo \'{"url": "https://me:hunter2@state.example"}\'', Status.OK, "https://***state.example"),
    ],
)
def test_the_place_of_the_state_is_told(
    tools: Path, monkeypatch: pytest.MonkeyPatch, whoami: str, status: Status, said: str
) -> None:
    program(tools, "pulumi", ENGINE.format(whoami=whoami))
    if "sleep" in whoami:
        monkeypatch.setattr(machine, "TOOL_S", 0.3)
    found = only(machine.state())
    assert (found.status, said in found.seen, "hunter2" in found.seen) == (status, True, False)


def test_the_engine_is_named_and_its_absence_is_no_failure(
    tools: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))
    assert only(machine.the_engine()).status is Status.WARNING
    assert only(machine.state()).status is Status.NOT_ASKED
    program(tools, "pulumi", ENGINE.format(whoami="true"))
    assert only(machine.the_engine()).seen == "Pulumi 3.250.0, from path"


def test_plugins_that_are_not_here_are_fetched_later(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tools / "home"))
    found = only(machine.plugins([Cloud.AWS]))
    assert (found.status, "aws " in found.seen, "gcp" in found.seen) == (Status.WARNING, True, False)
    for name in ("aws", "kubernetes", "tls"):
        program(tools, f"pulumi-resource-{name}", "#!/bin/sh\n")
    assert only(machine.plugins([Cloud.AWS])).status is Status.OK


def test_a_passphrase_that_is_missing_is_found_by_the_stacks_settings(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    stacks, clouds = tmp_path / "stacks", [Cloud.AWS]
    assert only(machine.secrets(environment, stacks, clouds)).status is Status.WARNING
    settings = stacks / "site" / "Pulumi.longestname1-aws.yaml"
    settings.parent.mkdir()
    settings.write_text("encryptionsalt: v1:abc=\n")
    assert only(machine.secrets(environment, stacks, clouds)).status is Status.FAILED
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert "guards nothing" in only(machine.secrets(environment, stacks, clouds)).seen
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "open sesame")
    found = only(machine.secrets(environment, stacks, clouds))
    assert (found.status, "open sesame" in found.seen) == (Status.OK, False)
    settings.write_text("secretsprovider: awskms://alias/state\n")
    assert "awskms://alias/state" in only(machine.secrets(environment, stacks, clouds)).seen


def test_what_shall_be_served_must_be_here(asked: Asking) -> None:
    beside = Documents(asked.folder, "longestname1")
    assert only(documents.releases(beside)).status is Status.WARNING
    assert only(documents.fleet(beside)).status is Status.NOT_ASKED
    write_documents(asked.folder, "longestname1")
    assert only(documents.releases(beside)).status is Status.FAILED
    write_release(asked.folder.parent / "release")
    assert only(documents.releases(beside)).seen == "digits"
    assert only(documents.fleet(beside)).seen == "no site has an endpoint yet"
    beside.releases.write_text("{}")
    beside.fleet.write_text("{}")
    assert only(documents.releases(beside)).status is Status.FAILED
    assert only(documents.fleet(beside)).status is Status.FAILED


@pytest.mark.parametrize(("days", "status"), [(-200, Status.OK), (-50, Status.WARNING), (30, Status.FAILED)])
def test_authorities_are_warned_of_before_they_end(
    asked: Asking, monkeypatch: pytest.MonkeyPatch, days: int, status: Status
) -> None:
    beside = Documents(asked.folder, "longestname1")
    now = datetime.datetime.now(datetime.UTC)
    assert only(documents.certificates(beside, now)).status is Status.NOT_ASKED
    pem = certificate("a")[0].decode()
    monkeypatch.setattr("tests.parity.mocks.PEM", pem)
    write_documents(asked.folder, "longestname1")
    text = beside.fleet.read_text()
    for cloud in Cloud:
        text = text.replace(f"MIIB{cloud}", "MIIB")
    beside.fleet.write_text(text)
    found = documents.certificates(beside, now + datetime.timedelta(days=1 + days))
    assert len(found) == len(Cloud)
    assert set(statuses(found)) == {status}


@pytest.mark.parametrize(
    ("support", "today", "status"),
    [
        ("standard", datetime.date(2026, 1, 1), Status.OK),
        ("standard", datetime.date(2026, 7, 1), Status.WARNING),
        ("standard", datetime.date(2026, 9, 1), Status.WARNING),
        ("extended", datetime.date(2026, 9, 1), Status.OK),
    ],
)
def test_the_end_of_support_is_warned_of(asked: Asking, support: str, today: datetime.date, status: Status) -> None:
    environment = asked(Cloud.AWS, upgrades={"support": support}).environment  # 1.33
    found = documents.support(environment, [Cloud.AWS, Cloud.KUBERNETES], today)
    assert statuses(found) == [status, Status.NOT_ASKED]
    assert ("2027-07-29" if support == "extended" else "2026-07-29") in found[0].seen


def test_emulated_clouds_need_packages_and_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clouds = [Cloud.AWS, Cloud.GCP, Cloud.AZURE]
    assert only(local.packages(clouds)).status is Status.OK
    monkeypatch.setattr(local, "find_spec", lambda _name: None)
    assert only(local.packages(clouds)).do == "install trihull-infra[aws,azure,emulators,gcp]"
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "new" / "home"))
    assert only(local.home()).status is Status.OK
    found = only(local.daemon())
    assert (found.status, "trihull up local" in found.seen) == (Status.OK, True)
    assert not (tmp_path / "new").exists()  # asking makes nothing
