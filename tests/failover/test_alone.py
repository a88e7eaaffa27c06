"""`trihull route --site`: a router in front of any servers, without an environment."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.failover.conftest import Sites
from tests.failover.load import Load, eventually
from tests.failover.rig import ask
from tests.failover.standin import StandIn
from tests.servers import free_ports, infer_request
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.envoy import Layout
from trihull_runtime.router.process import EnvoyProcess

TRIHULL = str(Path(sys.executable).with_name("trihull"))


class Alone:
    """A running `trihull route`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        port, admin = free_ports(2)
        self.url, self.admin_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        self.state = folder / "state"
        folder.mkdir(exist_ok=True)
        self.output = folder / "route.log"
        command = [TRIHULL, "route", *arguments]
        own = ["--port", f"{port}", "--admin-port", f"{admin}", "--state", str(self.state), "--timings", "lab"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen([*command, *own], stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def wait_ready(self) -> None:
        eventually(lambda: '"ready"' in self.output.read_text() or self.process.poll() is not None, "it is ready")
        assert self.process.poll() is None, self.output.read_text()

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(40)
        layout = Layout(self.state / "envoy", self.state / "logs", self.state / "envoy.sock", None)
        assert not EnvoyProcess(find_envoy(), layout, own_group=False).alive()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


def test_any_servers_are_routed_to_and_nothing_is_asked_of_their_releases(
    standins: dict[str, StandIn], folder: Path
) -> None:
    for site in standins.values():
        site.release = None  # as servers answer that are not trihull's
    router = Alone(folder, *(f"--site={name}={site.url}" for name, site in standins.items()))
    try:
        router.wait_ready()
        for model in ("digits", "some.Other_model-2"):
            status, headers, _ = ask(f"{router.url}/v2/models/{model}/infer", "POST", b"{}")
            assert (status, headers["x-trihull-site"]) == (200, "aws")
        with Load(router.url) as load:
            load.wait_site("aws")
            standins["aws"].down()
            load.wait_site("gcp")
            standins["gcp"].status = 503
            load.wait_site("azure")
        assert load.lost == []
        status, _, data = ask(f"{router.admin_url}/v1/status")
        assert status == 200
        assert list(json.loads(data)["models"]) == ["*"]
    finally:
        router.close()


def test_https_servers_are_verified_with_the_authority_that_is_named(sites: Sites, folder: Path) -> None:
    server = sites.servers[0]
    url = server.url.replace("127.0.0.1", "localhost")
    body = json.dumps(infer_request([[0.0] * 64])).encode()
    for number, (ca, expected) in enumerate(((sites.certificates[0].ca, 200), (sites.certificates[1].ca, 503))):
        router = Alone(folder / f"{number}", f"--site=aws={url}", f"--ca={ca}", f"--tls={sites.client}")
        try:
            router.wait_ready()
            infer = f"{router.url}/v2/models/digits/infer"
            assert ask(infer, "POST", body)[0] == expected
        finally:
            router.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what to route to"),
        (["--site=aws=http://127.0.0.1:1", "--fleet=x.json"], "say what to route to"),
        (["--site=aws"], "expected NAME=URL"),
        (["--site=AWS=http://127.0.0.1:1"], "does not match"),
        (["--site=aws=ftp://127.0.0.1:1"], "does not match"),
        (["--site=aws=http://127.0.0.1:1/v2"], "expected scheme://host:port"),
        (["--site=aws=http://127.0.0.1:1", "--site=aws=http://127.0.0.1:2"], "names 'aws' twice"),
        (["--site=aws=https://127.0.0.1:1", "--ca=/nowhere.pem"], "/nowhere.pem: cannot be read"),
        (["--fleet=x.json", "--ca=x.pem"], "--ca goes with --site"),
        (["--site=aws=http://127.0.0.1:1", "--admin-host=0.0.0.0"], "would take orders from anybody"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(folder: Path, arguments: list[str], words: str) -> None:
    command = [TRIHULL, "route", "--state", str(folder / "state"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (2, 64, 65)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "state" / "envoy.sock").exists()
