"""Every site and every router is compared, each by itself: one that answers otherwise than its release is found."""

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
from trihull_infra.answers.comparing import compare, tls_context
from trihull_infra.answers.targets import Credentials, targets
from trihull_infra.cloud import Cloud
from trihull_infra.deploy import context
from trihull_infra.deploy.context import Context, Documents
from trihull_infra.deploy.flow import Flow
from trihull_infra.environment import load
from trihull_infra.errors import SpecError
from trihull_runtime.contract import (
    Endpoint,
    EnvironmentReleases,
    Fleet,
    FleetSite,
    SiteOutputs,
    SiteRelease,
    SiteState,
)
from trihull_runtime.errors import InputError, LostError

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


def table(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()[1:]]


def test_every_site_answers_every_row_itself_and_every_router_says_who_did(world: World) -> None:
    result = world.run()
    assert result.exception is None, result.output
    assert table(result) == [[site, "7", "7", site, "7", "ok"] for site in SITES] + [
        ["router", "on", site, "7", "7", "aws", "7", "ok"] for site in ("aws", "azure", "gcp")
    ]
    for stand_in in (*world.sites.values(), *world.routers.values()):
        assert sorted(stand_in.asked) == list(range(7)), "each row once"


@pytest.mark.parametrize("site", SITES)
def test_one_site_that_serves_another_model_is_found_though_every_router_answers_rightly(
    world: World, site: str
) -> None:
    world.sites[site].wrong_rows = {5}
    result = world.run()
    assert isinstance(result.exception, LostError)
    assert result.exception.exit_code == 3
    assert f"1 of 6 do not answer as the released model does\n  {site}: 1 of 7 rows differ" in str(result.exception)
    assert [line for line in table(result) if line[-1] == "DIFFERS"] == [[site, "7", "6", site, "7", "DIFFERS"]]


def test_a_router_that_answers_wrongly_is_found(world: World) -> None:
    world.routers["gcp"].wrong_rows = {0, 1}
    result = world.run("--json")
    value = json.loads(result.stdout)
    assert value["equal"] is False
    assert [(each["name"], each["router"]) for each in value["targets"] if each["problem"]] == [("gcp", True)]
    assert "2 of 7 rows differ" in str(result.exception)


def test_a_site_that_says_another_release_is_found_though_its_answers_are_equal(world: World) -> None:
    world.sites["azure"].release = OTHER
    result = world.run()
    assert f"azure: it serves release {OTHER}, expected {RELEASE}" in str(result.exception)


def test_another_site_at_a_site_s_address_is_not_believed(world: World) -> None:
    world.sites["gcp"], world.sites["aws"] = (
        replace(world.sites["gcp"], url=world.sites["aws"].url),
        world.sites["aws"],
    )
    world.write()
    result = world.run("--site", "gcp")
    assert "gcp: https://127.0.0.1" in str(result.exception)
    assert "CERTIFICATE_VERIFY_FAILED" in str(result.exception)
    assert world.sites["aws"].asked == []


def test_lost_requests_and_a_site_that_is_down_are_problems_and_the_others_are_asked_all_the_same(
    world: World,
) -> None:
    world.sites["aws"].lost_rows = {3}
    world.sites["gcp"].url = "https://127.0.0.1:9"
    world.write()
    result = world.run()
    said = str(result.exception)
    assert "aws: 1 of 3 requests were lost: rows 3 to 5" in said
    assert "gcp: https://127.0.0.1:9: cannot be reached" in said
    assert [line[-1] for line in table(result)] == ["DIFFERS", "DIFFERS", "ok", "ok", "ok", "ok"]


def test_only_the_sites_that_are_named_are_asked(world: World) -> None:
    result = world.run("--site", "gcp")
    assert result.exception is None, result.output
    assert [line[0] for line in table(result)] == ["gcp", "router"]
    assert world.sites["aws"].asked == []


def test_a_router_that_does_not_say_who_answered_is_none_of_ours(world: World) -> None:
    world.routers["aws"].says = None
    assert "router on aws: it does not say which site answered" in str(world.run("--site", "aws").exception)


def test_sites_of_different_releases_are_compared_each_with_its_own_and_routers_cannot_be(world: World) -> None:
    world.release({"aws": RELEASE, "gcp": OTHER, "azure": RELEASE})
    world.sites["gcp"].release = OTHER
    result = world.run()
    assert [line[-1] for line in table(result)] == ["ok", "ok", "ok", "DIFFERS", "DIFFERS", "DIFFERS"]
    assert "router on aws: sites serve 2 releases" in str(result.exception)


def test_routers_that_want_a_key_are_left_out_by_name(world: World) -> None:
    path = world.stacks / "environments" / "local.yaml"
    path.write_text(path.read_text().replace("timings: lab}", "timings: lab, clients_secret: keys}"))
    result = world.run()
    assert result.exception is None, result.output
    assert "3 routers were not asked: they want a client's key" in result.stdout
    assert world.routers["aws"].asked == []


def test_what_cannot_be_asked_says_why(world: World) -> None:
    assert isinstance(world.run("--model", "faces").exception, SpecError)
    fleet = world.documents.read_fleet()
    assert fleet is not None
    releases = world.documents.read_releases()
    ours = replace(fleet, sites=(replace(fleet.sites[0], endpoint=None), fleet.sites[1]))
    found = targets(ours, releases, world.documents.folder, {}, {}, "digits")
    assert [each.problem for each in found] == [
        "it is not deployed; run `trihull up local`",
        "its site stack gives no client certificate to ask with",
    ]
    assert [compare(each, "digits", 3, 1.0).problem for each in found] == [each.problem for each in found]
    world.documents.fleet.unlink()
    assert "deploy the environment first" in str(world.run().exception)


def test_a_disabled_site_is_not_asked(world: World) -> None:
    world.state = SiteState.DISABLED
    world.write()
    result = world.run()
    assert [line[0] for line in table(result)] == ["router"] * 3


def test_the_key_is_on_disk_only_while_it_is_loaded(
    authorities: dict[str, Certificates], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = site_outputs("aws", authorities["aws"])
    assert tls_context(Credentials(made.ca_certificate, made.router_certificate, made.router_key))
    with pytest.raises(InputError):
        tls_context(Credentials(made.ca_certificate, made.router_certificate, "no key"))
    assert list(tmp_path.iterdir()) == []
