"""Sites and routers that answer as their release does, or as a test makes them, behind mutual TLS."""

import contextlib
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.servers import Certificates, make_certificates
from trihull_infra.answers import command as commands
from trihull_infra.cloud import Cloud
from trihull_infra.deploy import context
from trihull_infra.deploy.context import Context, Documents
from trihull_infra.deploy.flow import Flow
from trihull_infra.environment import load
from trihull_runtime.contract import (
    Endpoint,
    EnvironmentReleases,
    Fleet,
    FleetSite,
    SiteOutputs,
    SiteRelease,
    SiteState,
)

STACKS = Path(__file__).parents[4] / "stacks"
SITES = ("aws", "gcp", "azure")
ROWS = [[float(number), 0.5] for number in range(7)]
LABELS = [number % 3 for number in range(7)]
PROBABILITIES = [[1.0 if label == column else 0.0 for column in range(3)] for label in LABELS]
RELEASE = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


@dataclass
class StandIn:
    """Answers as the released model does, unless it is told to serve another one."""

    name: str
    url: str = ""
    release: str = RELEASE
    wrong_rows: set[int] = field(default_factory=set)
    lost_rows: set[int] = field(default_factory=set)
    says: str | None = None  # a router's word on who answered
    asked: list[int] = field(default_factory=list)

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if not body:
            described = [{"name": "image", "datatype": "FP32", "shape": [-1, 2]}]
            return 200, {"name": "digits", "inputs": described, "parameters": {"release_digest": self.release}}
        numbers = [int(value) for value in json.loads(body)["inputs"][0]["data"][::2]]
        self.asked += numbers
        if self.lost_rows.intersection(numbers):
            return 503, {"error": "gone"}
        labels = [(LABELS[number] + (number in self.wrong_rows)) % 3 for number in numbers]
        probabilities = [value for number in numbers for value in PROBABILITIES[number]]
        return 200, {
            "outputs": [
                {"name": "label", "shape": [len(numbers)], "datatype": "INT64", "data": labels},
                {"name": "probabilities", "shape": [len(numbers), 3], "datatype": "FP32", "data": probabilities},
            ]
        }


@contextlib.contextmanager
def serving(stand_in: StandIn, certificates: Certificates | None) -> Iterator[StandIn]:
    """Serve over mutual TLS of a site's own authority, or plainly as a router does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment

        def do_GET(self) -> None:
            self._reply(b"")

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers["content-length"])))

        def _reply(self, body: bytes) -> None:
            status, value = stand_in.answer(body)
            data = json.dumps(value).encode()
            self.send_response(status)
            if stand_in.says is not None:
                self.send_header("x-trihull-site", stand_in.says)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # the parameter's name is inherited
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that refuses our certificate

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificates is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates.server / "tls.crt", certificates.server / "tls.key")
        tls.load_verify_locations(certificates.ca)
        tls.verify_mode = ssl.CERT_REQUIRED
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    stand_in.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class World:
    """An environment `local` whose sites and routers are stand-ins; its documents are on disk."""

    stacks: Path
    sites: dict[str, StandIn]
    routers: dict[str, StandIn]
    certificates: dict[str, Certificates]
    state: SiteState = SiteState.ACTIVE

    @property
    def documents(self) -> Documents:
        return Documents(self.stacks / "environments", "local")

    def outputs(self) -> dict[Cloud, SiteOutputs]:
        return {Cloud(name): site_outputs(name, made) for name, made in self.certificates.items()}

    def write(self) -> None:
        """Write the documents as a deploy does."""
        Fleet(
            version=1,
            environment="local",
            models={"digits": (RELEASE,)},
            sites=tuple(
                FleetSite(
                    name=name,
                    cloud=name,
                    region="r",
                    residency="eu",
                    endpoint=Endpoint(site.url, f"serving.{name}.local.trihull.internal"),
                    ca_certificate=self.certificates[name].ca.read_text(),
                    priority=0,
                    weight=1,
                    state=self.state,
                )
                for name, site in self.sites.items()
            ),
        ).write(self.documents.fleet)
        self.documents.write_routers({name: router.url for name, router in self.routers.items()})
        self.release(dict.fromkeys(SITES, RELEASE))

    def release(self, digests: dict[str, str]) -> None:
        """Write which release each site shall serve."""
        served = {
            site: SiteRelease(digest, digest, f"../../release-{digest[7:9]}/release.json")
            for site, digest in digests.items()
        }
        EnvironmentReleases(
            version=1,
            environment="local",
            models={"digits": served},
            accepted={"digits": tuple(sorted(set(digests.values())))},
        ).write(self.documents.releases)
        for digest in digests.values():
            folder = self.stacks.parent / f"release-{digest[7:9]}"
            folder.mkdir(exist_ok=True)
            value = {
                "version": 1,
                "model": "digits",
                "input": "image",
                "rows": ROWS,
                "targets": LABELS,
                "labels": LABELS,
                "probabilities": PROBABILITIES,
            }
            (folder / "test_split.json").write_text(json.dumps(value))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(commands.command, ["local", "--stacks", str(self.stacks), "--batch", "3", *arguments])


def site_outputs(name: str, made: Certificates) -> SiteOutputs:
    certificate, key = ((made.client / file).read_text() for file in ("tls.crt", "tls.key"))
    return SiteOutputs(
        version=1,
        environment="local",
        cloud=name,
        region="r",
        residency="eu",
        cluster_name="c",
        kubernetes_version="1.34",
        kubeconfig="{}",
        registry="localhost:1/x",
        bucket="s3://x",
        identities={},
        ca_certificate=made.ca.read_text(),
        router_certificate=certificate,
        router_key=key,
        serving_certificate=certificate,
        serving_key=key,
        node_pools=(),
    )


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Certificates]:
    """An authority for each site."""
    folder = tmp_path_factory.mktemp("authorities")
    return {name: make_certificates(folder / name, f"serving.{name}.local.trihull.internal") for name in SITES}


@pytest.fixture
def world(tmp_path: Path, authorities: dict[str, Certificates], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    stacks = tmp_path / "stacks"
    (stacks / "environments").mkdir(parents=True)
    shutil.copy(STACKS / "environments" / "local.yaml", stacks / "environments")
    with contextlib.ExitStack() as stack:
        sites = {name: stack.enter_context(serving(StandIn(name), authorities[name])) for name in SITES}
        routers = {name: stack.enter_context(serving(StandIn(name, says="aws"), None)) for name in SITES}
        made = World(stacks, sites, routers, authorities)
        made.write()

        def opened(name: str, folder: Path, report: Any) -> Context:
            return Context(load(name, folder / "environments"), folder, made.documents, Path("pulumi"), {}, None)

        monkeypatch.setattr(context, "open_context", opened)

        def given(flow: Flow, show_secrets: bool = False) -> dict[Cloud, SiteOutputs]:
            found = {cloud: outputs for cloud, outputs in made.outputs().items() if cloud in flow.clouds}
            if show_secrets:
                return found
            return {cloud: replace(outputs, router_key="[secret]") for cloud, outputs in found.items()}

        monkeypatch.setattr(Flow, "sites", given)
        yield made
