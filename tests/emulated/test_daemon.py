"""One daemon per home: found, started once, stopped with all it started, back after it was killed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulated.conftest import Make
from trihull_infra.emulators import client
from trihull_infra.emulators.client import Daemon
from trihull_infra.emulators.home import Home
from trihull_infra.errors import EmulatorError

DEADLINE_S = 60.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for each test, with no daemon yet."""
    monkeypatch.setenv("TRIHULL_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    client.stop()


@pytest.fixture
def daemon(home: Path) -> Daemon:
    return client.start()


def trihull(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from trihull_runtime.cli import main; main()", "emulators", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_without_a_daemon_commands_say_how_to_start_it(home: Path) -> None:
    for command in ("status", "env"):
        found = trihull(command)
        assert found.returncode == 69
        assert "are not running; start them: trihull emulators start" in found.stderr
    assert trihull("stop").stdout == "emulators were not running\n"


def test_two_starts_at_once_give_one_daemon(home: Path) -> None:
    found: list[Daemon] = []
    threads = [threading.Thread(target=lambda: found.append(client.start())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({daemon.pid for daemon in found}) == 1
    second = subprocess.run([sys.executable, "-m", "trihull_infra.emulators.daemon"], timeout=60, check=False)
    assert second.returncode == 75, "a second daemon of the same home refuses"
    assert client.connect().pid == found[0].pid


def test_the_command_line_starts_shows_and_stops(home: Path) -> None:
    assert trihull("start").stdout.startswith("emulators ready: pid ")
    shown = json.loads(trihull("status", "--json").stdout)
    assert shown["pid"] == client.connect().pid
    assert shown["packages"].keys() == {"aws", "gcp", "azure-native", "kubernetes", "tls"}
    assert shown["capabilities"]["aws:eks/cluster:Cluster"] == "real: moto, local cluster"
    assert "emulators: pid" in trihull("status").stdout
    exported = trihull("env").stdout
    lines = subprocess.run(
        ["/bin/sh", "-c", f'{exported}\nprintf %s "$PATH"'], capture_output=True, text=True, check=True
    )
    assert lines.stdout.split(os.pathsep)[0] == str(home / "emulators" / "bin")
    assert f"export PULUMI_BACKEND_URL={shlex.quote(f'file://{home}/pulumi-state')}" in exported
    assert "AWS_" not in exported
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in trihull("env", "--aws").stdout
    assert trihull("stop").stdout == "emulators stopped\n"
    assert not Home.default().running()
    assert not (home / "emulators" / "daemon.json").exists()


def test_the_address_is_for_this_user_and_the_token_is_asked_for(home: Path) -> None:
    daemon = client.start()
    assert (home / "emulators" / "daemon.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{daemon.address.port}/status", timeout=10)
    assert refused.value.code == 401
    refused.value.close()


def test_bad_requests_are_refused_by_name(home: Path) -> None:
    daemon = client.start()
    with pytest.raises(EmulatorError, match="site 'mars' has no emulated cluster"):
        daemon.begin_outage("mars", "kill", 1)
    with pytest.raises(EmulatorError, match="expected kill or freeze"):
        daemon.begin_outage("aws", "flood", 1)
    with pytest.raises(EmulatorError, match="ttl_s is 0"):
        daemon.begin_outage("aws", "kill", 0)
    with pytest.raises(EmulatorError, match="'work' is nothing of an outage; expected kind, ttl_s and workload"):
        daemon._call("PUT", "/sites/aws/outage", {"kind": "kill", "ttl_s": 1, "work": "trihull-router"})
    with pytest.raises(EmulatorError, match="workload is 7; expected a Deployment's name"):
        daemon.begin_outage("aws", "kill", 1, 7)  # type: ignore[arg-type]  # what the API is for others than Python
    with pytest.raises(EmulatorError, match="'create' is no delay"):
        daemon.set_delays({"create": 1})


def test_a_stale_address_deceives_nobody(home: Path) -> None:
    folder = home / "emulators"
    folder.mkdir(parents=True)
    stale = {"pid": os.getpid(), "port": 1, "token": "x", "epoch": "y"}  # a pid that lives, and is no daemon
    (folder / "daemon.json").write_text(json.dumps(stale))
    with pytest.raises(EmulatorError, match="are not running"):
        client.connect()
    assert client.start().pid != os.getpid()


def test_a_killed_daemon_comes_back_with_everything(home: Path, stack: Make) -> None:
    site = stack("local-aws", "aws_site", bucket="one-bucket")
    site.up()
    before = client.connect()
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: not Home.default().running())
    after = client.start()
    assert (after.pid, after.epoch) != (before.pid, "")
    assert after.epoch == before.epoch
    assert set(site.refresh()) == {"same"}
    assert set(site.up()) == {"same"}


def test_a_plugin_without_a_daemon_says_what_to_do(home: Path) -> None:
    client.start()
    client.stop()
    shim = home / "emulators" / "bin" / "pulumi-resource-aws"
    found = subprocess.run([shim, "127.0.0.1:1"], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 69
    assert "start them: trihull emulators start" in found.stderr


def test_a_stop_does_not_wait_until_moto_is_ready() -> None:
    program = """
import threading
from unittest import mock
from trihull_infra.emulators.aws.moto import Moto
made, imported = Moto(), []

def stop(service):
    imported.append(service)
    closing = threading.Thread(target=made.close)
    closing.start()
    assert made._closing.wait(60)

with mock.patch("moto.backends.get_backend", stop):
    made._start()
print(imported, made.endpoint)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert found.stdout == "['s3'] None\n", found.stderr


def plugin(home: Path) -> "subprocess.Popen[str]":
    shim = home / "emulators" / "bin" / "pulumi-resource-gcp"
    process = subprocess.Popen([shim], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    return process


@pytest.mark.parametrize("how", ["input closed", "terminated", "killed"])
def test_a_plugin_instance_ends_with_its_engine(home: Path, how: str) -> None:
    daemon = client.start()
    process = plugin(home)
    assert daemon.status()["plugins"] == ["gcp"]
    assert process.stdin is not None
    if how == "input closed":
        process.stdin.close()
    elif how == "terminated":
        process.terminate()
    else:
        process.kill()
    process.wait(timeout=DEADLINE_S)
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.close()
    until(lambda: daemon.status()["plugins"] == [])


def test_an_unknown_package_is_refused(home: Path) -> None:
    daemon = client.start()
    with pytest.raises(EmulatorError, match="package 'oci' is not emulated"):
        daemon._call("POST", "/plugins/oci", {"pid": 1})
