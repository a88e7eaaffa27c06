"""Bad input on the command line: one message that names what is wrong, the right exit code, nothing changed."""

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trihull_runtime import contract

ROOT = Path(__file__).parents[2]
TRIHULL = [sys.executable, "-c", "from trihull_runtime.cli import main; main()"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks", ignore=shutil.ignore_patterns("local.*.json", "__pycache__"))
    environments = tmp_path / "stacks/environments"
    text = (environments / "local.yaml").read_text()
    (environments / "oci.yaml").write_text(text.replace("name: local", "name: oci").replace("  gcp:", "  oci:"))
    (environments / "keyless.yaml").write_text(
        text.replace("name: local", "name: keyless").replace('    account: "123456789012"\n', "")
    )
    (environments / "typeless.yaml").write_text(
        text.replace("name: local", "name: typeless").replace("replicas_min: 2", "replicas_min: many")
    )
    (environments / "torn.yaml").write_text("version: 1\nname: [torn\n")
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / "model.yaml").write_text("name: [\n")
    (tmp_path / "fleet.json").write_text('{"version": 2}')
    return tmp_path


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


def trihull(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    home = {"TRIHULL_HOME": str(folder / "home"), "NO_COLOR": "1"}
    return subprocess.run(
        [*TRIHULL, *arguments],
        cwd=folder,
        env={**os.environ, **home, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder: Path) -> dict[Path, bytes]:
    """Every file but bytecode and locks, which hold nothing."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".lock", ".pyc"}]
    return {path: path.read_bytes() for path in found}


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        ("up nowhere", 65, "nowhere.yaml"),
        ("up oci", 65, "oci"),
        ("up keyless", 65, "account"),
        ("up typeless", 65, "replicas_min"),
        ("up torn", 65, "torn.yaml"),
        ("preview local --cloud oci", 64, "oci"),
        ("release local absent", 65, "absent/release.json"),
        ("package absent", 65, "absent"),
        ("package garbage", 65, "model.yaml"),
        ("serve garbage", 65, "manifest.json"),
        ("route --fleet absent.json --state state", 65, "absent.json"),
        ("route --fleet fleet.json --state state", 65, "version"),
        ("predict digits --url http://127.0.0.1:1 --rows absent.json", 65, "absent.json"),
        ("drill nowhere", 65, "nowhere"),
        ("emulators env", 69, "trihull emulators start"),
        ("bogus", 64, "bogus"),
        ("up", 64, "ENVIRONMENT"),
    ],
)
def test_bad_input_is_named_in_one_message_and_changes_nothing(
    folder: Path, command: str, code: int, named: str
) -> None:
    before = files(folder)
    result = trihull(folder, *command.split())
    assert result.returncode == code, result.stderr
    assert named in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert files(folder) == before


def test_every_mistake_of_an_environment_is_told_at_once(folder: Path) -> None:
    file = folder / "stacks/environments/typeless.yaml"
    file.write_text(file.read_text().replace("owner: local", "ovner: local"))
    result = trihull(folder, "up", "typeless")
    assert result.returncode == 65
    assert "replicas_min" in result.stderr
    assert "ovner" in result.stderr


def test_an_occupied_port_is_named(folder: Path, taken: str) -> None:
    fleet = contract.Fleet.read(ROOT / "tests/golden/contract/fleet.json")
    endpoint = contract.Endpoint("http://127.0.0.1:1", "serving.internal")
    only = dataclasses.replace(fleet.sites[0], endpoint=endpoint, ca_certificate=None)
    dataclasses.replace(fleet, sites=(only,), routing=contract.Routing()).write(folder / "fleet.json")
    result = trihull(folder, "route", "--fleet", "fleet.json", "--state", "state", "--port", taken)
    assert result.returncode == 69, result.stdout + result.stderr
    assert taken in result.stderr
    assert "Traceback" not in result.stderr


def test_no_engine_and_no_go_says_what_to_install(folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    environ = {"PATH": str(empty), "TRIHULL_CACHE": str(folder / "cache"), "HOME": str(folder)}
    result = subprocess.run(
        [sys.executable, "-m", "trihull_infra.engine"],
        env={**os.environ, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 69
    assert "Pulumi" in result.stderr
    assert "Go 1.25" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_half_built_engine_is_never_used(folder: Path) -> None:
    cache = folder / "cache"
    binary = cache / "engine" / "3.250.0-linux-amd64" / "bin" / "pulumi"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\necho v3.250.0\n")
    binary.chmod(0o755)
    empty = folder / "empty"
    empty.mkdir()
    result = subprocess.run(
        [sys.executable, "-m", "trihull_infra.engine"],
        env={**os.environ, "PATH": str(empty), "TRIHULL_CACHE": str(cache), "HOME": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 69
    assert str(binary) not in result.stdout
