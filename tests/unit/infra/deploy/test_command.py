"""The command line: what is refused, with which exit code, before anything is started."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.deployments import STACKS
from trihull_infra import engine
from trihull_infra.deploy.command import commands
from trihull_runtime.errors import TrihullError, UsageError


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("an engine was looked for")

    monkeypatch.setattr(engine, "ensure", refuse)


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    shutil.copytree(STACKS, tmp_path / "stacks", ignore=shutil.ignore_patterns("models", "local.*.json", "__pycache__"))
    return tmp_path / "stacks"


def run(name: str, *arguments: str) -> Result:
    command = {one.name: one for one in commands}[name]
    assert isinstance(command, click.Command)
    return CliRunner().invoke(command, list(arguments))


def error(result: Result) -> TrihullError:
    assert isinstance(result.exception, TrihullError), result.exception
    return result.exception


def test_the_commands_are_those_of_the_design() -> None:
    assert [command.name for command in commands] == ["up", "preview", "refresh", "destroy", "fleet", "release"]
    assert all(command.help for command in commands)


def test_importing_the_commands_leaves_pulumi_out() -> None:
    program = "import sys, trihull_infra.deploy.command; print('pulumi' in sys.modules, 'grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_an_unknown_environment_is_named_with_those_there_are(stacks: Path) -> None:
    raised = error(run("up", "nowhere", "--stacks", str(stacks)))
    assert raised.exit_code == 65
    assert "nowhere" in str(raised)
    assert "dev, local" in str(raised)


def test_an_unknown_cloud_is_refused_by_the_command_line(stacks: Path) -> None:
    result = run("up", "local", "--cloud", "oracle", "--stacks", str(stacks))
    assert result.exit_code == 2
    assert "oracle" in result.output


def test_a_cloud_that_the_environment_lacks_is_refused(stacks: Path) -> None:
    raised = error(run("up", "dev", "--cloud", "gcp", "--stacks", str(stacks)))
    assert raised.exit_code == 64
    assert "dev has no site on gcp; it has aws" in str(raised)


@pytest.mark.parametrize("name", ["up", "preview", "refresh", "destroy", "fleet"])
def test_a_folder_without_stacks_is_named(tmp_path: Path, name: str) -> None:
    raised = error(run(name, "local", "--stacks", str(tmp_path)))
    assert isinstance(raised, UsageError)
    assert f"{tmp_path} holds no environments/" in str(raised)


@pytest.mark.parametrize("name", ["up", "refresh", "destroy"])
def test_a_protected_environment_needs_yes(stacks: Path, name: str) -> None:
    path = stacks / "environments" / "dev.yaml"
    path.write_text(path.read_text().replace("protect: false", "protect: true"))
    raised = error(run(name, "dev", "--stacks", str(stacks)))
    assert raised.exit_code == 64
    assert f"`trihull {name} dev --yes`" in str(raised)


def test_a_shell_that_is_set_up_for_the_emulators_deploys_nothing_real(
    stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/home/pulumi-state")
    raised = error(run("up", "dev", "--stacks", str(stacks)))
    assert raised.exit_code == 64
    assert "open another shell" in str(raised)


def test_a_project_that_is_missing_is_named(stacks: Path) -> None:
    (stacks / "routing" / "Pulumi.yaml").unlink()
    raised = error(run("preview", "local", "--stacks", str(stacks)))
    assert raised.exit_code == 64
    assert f"{stacks}/routing/Pulumi.yaml is missing" in str(raised)


def test_releasing_nothing_is_refused(stacks: Path) -> None:
    assert error(run("release", "local", "--stacks", str(stacks))).exit_code == 64


def test_a_release_that_cannot_be_read_is_named(stacks: Path, tmp_path: Path) -> None:
    raised = error(run("release", "local", str(tmp_path), "--stacks", str(stacks)))
    assert raised.exit_code == 65
    assert str(tmp_path / "release.json") in str(raised)
    assert not (stacks / "environments" / "local.releases.json").exists()
