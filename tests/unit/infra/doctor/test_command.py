"""`trihull doctor`: exit codes, what is told and in which form, and what is never told."""

import ast
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.unit.infra.doctor.conftest import REPOSITORY, WRITTEN
from trihull_infra.cloud import Cloud
from trihull_infra.doctor import aws, checks, findings, machine, reaching, seam
from trihull_infra.doctor.command import command
from trihull_infra.doctor.seam import Doctor
from trihull_infra.errors import SpecError
from trihull_runtime.errors import UsageError

SDKS = {"aws": "boto3", "gcp": "google.auth", "azure": "azure.identity"}
FUNCTIONS = [name for name in vars(Doctor) if not name.startswith("_")]


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "stacks/environments"
    folder.mkdir(parents=True)
    (folder / "longestname1.yaml").write_text(WRITTEN.read_text())
    (folder / "local.yaml").write_text((REPOSITORY / "stacks/environments/local.yaml").read_text())
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "home"))
    return tmp_path / "stacks"


def doctor(stacks: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--stacks", str(stacks)])


def test_local_looks_at_the_emulators_and_asks_no_cloud(stacks: Path) -> None:
    result = doctor(stacks, "local", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert (answer["version"], answer["environment"], answer["verdict"]) == (1, "local", "ok")
    assert {one["cloud"] for one in answer["findings"]} == {None}
    told = {one["check"]: one for one in answer["findings"]}
    assert told["emulators"]["status"] == "ok"
    assert told["releases"]["status"] == "warning"
    assert "trihull release local" in told["releases"]["do"]
    assert not {"credentials", "state"} & set(told)


def test_a_cloud_that_is_not_reached_fails_and_no_secret_is_told(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNEVERTOLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-never-told")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-never-told")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "passphrase-never-told")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # the discard port: nothing listens
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{stacks}")
    result = doctor(stacks, "longestname1", "--cloud", "aws")
    assert result.exit_code == 1
    assert "AWS is not reached" in result.output
    assert "would go wrong" in result.output
    assert "for the reason above" in result.output
    assert "azure" not in [line.strip() for line in result.output.splitlines()]
    assert "never-told" not in result.output
    assert "NEVERTOLD" not in result.output


def test_a_blackholed_cloud_does_not_hang(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(aws, "credentials", lambda _asked: never.wait())
    for name in ("apis", "quotas", "offers", "versions"):
        monkeypatch.setattr(aws, name, lambda _asked: [findings.ok("yes")])
    monkeypatch.setattr(aws, "cluster", lambda _asked: None)
    monkeypatch.setattr(aws, "host", lambda _asked: "http://127.0.0.1:9")
    # Of what else is asked of this cloud nothing takes time, however busy the machine is: a delay is told only once.
    monkeypatch.setattr(machine, "login", lambda _cloud: [findings.ok("yes")])
    monkeypatch.setattr(reaching, "clock", lambda _url: [findings.ok("yes")])
    result = doctor(stacks, "longestname1", "--cloud", "aws", "--timeout", "3", "--json")
    never.set()
    told = {one["check"]: one for one in json.loads(result.output)["findings"] if one["cloud"] == "aws"}
    assert "no answer within 3 s" in told["credentials"]["seen"]
    assert told["quotas"]["status"] == "ok"
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("nowhere",), SpecError, "no environment 'nowhere'"),
        (("placeholders",), SpecError, "account: expected a 12-digit account number"),
        (("local", "--cloud", "kubernetes"), UsageError, "no site on kubernetes"),
    ],
)
def test_what_is_asked_wrongly_is_refused_before_anything_is_asked(
    stacks: Path, arguments: tuple[str, ...], error: type[Exception], said: str
) -> None:
    dev = (REPOSITORY / "infra/src/trihull_infra/init/clouds/aws.yaml").read_text()
    (stacks / "environments/placeholders.yaml").write_text(dev.replace("name: dev", "name: placeholders"))
    result = doctor(stacks, *arguments)
    assert isinstance(result.exception, error)
    assert said in str(result.exception)
    assert result.exception.exit_code == (65 if error is SpecError else 64)  # type: ignore[attr-defined]


def test_a_folder_without_environments_is_refused(tmp_path: Path) -> None:
    result = doctor(tmp_path / "nothing", "local")
    assert isinstance(result.exception, UsageError)


def test_a_missing_sdk_says_what_to_install(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_cloud: Cloud) -> Doctor:
        raise ModuleNotFoundError("No module named 'boto3'", name="boto3")

    monkeypatch.setattr(seam, "load", missing)
    result = doctor(stacks, "longestname1", "--cloud", "aws", "--json")
    told = {one["check"]: one for one in json.loads(result.output)["findings"] if one["cloud"] == "aws"}
    assert told["credentials"]["do"] == "install trihull-infra[aws]"


@pytest.mark.parametrize("cloud", list(Cloud))
def test_every_cloud_s_doctor_has_the_same_functions_in_the_same_order(cloud: Cloud) -> None:
    tree = ast.parse((Path(checks.__file__).parent / f"{cloud}.py").read_text())
    public = [one for one in tree.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
    assert [one.name for one in public if one.name in FUNCTIONS] == FUNCTIONS
    assert all(ast.get_docstring(one) for one in public)


@pytest.mark.parametrize("cloud", SDKS)
def test_asking_one_cloud_imports_no_other_cloud_s_sdk(cloud: str) -> None:
    program = (
        "import sys; from trihull_infra.doctor import checks, seam; from trihull_infra.cloud import Cloud;"
        f"seam.load(Cloud('{cloud}')); print([name for name in {list(SDKS.values())} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == [SDKS[cloud]]


def test_every_finding_that_fails_says_what_to_do() -> None:
    sources = Path(checks.__file__).parent.glob("*.py")
    calls: list[Any] = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("failed", "warning")
    ]
    assert len(calls) > 60
    assert all(len(call.args) == 2 for call in calls)
