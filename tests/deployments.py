"""A stacks folder of small programs that need no plugin: components and outputs, for any `Operations` to run."""

import contextlib
import http.server
import json
import os
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trihull_infra import environment
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Context, Documents
from trihull_infra.deploy.flow import Flow
from trihull_infra.deploy.operations import Operations
from trihull_infra.deploy.stacks import Diagnostic, Result, Task
from trihull_runtime.contract import (
    EnvironmentReleases,
    Evaluation,
    Image,
    Release,
    ReleasedModel,
    ReleasedRouter,
    Signature,
    SiteRelease,
    Verdict,
)
from trihull_runtime.contract.manifest import DataType, Tensor

STACKS = Path(__file__).parents[1] / "stacks"
CLOUDS = (Cloud.AWS, Cloud.GCP, Cloud.AZURE)  # those of the environment `lab`
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

SITE = """
    import json, pathlib, pulumi
    stack = pulumi.get_stack()
    cloud = stack.split("-")[1]
    switch = pathlib.Path("switches") / cloud
    if switch.exists():
        exec(switch.read_text())
    pulumi.ComponentResource("trihull:test:Thing", f"thing-{cloud}")
    for key, value in json.loads(pathlib.Path("outputs.json").read_text()).items():
        if isinstance(value, str):
            value = value.replace("CLOUD", cloud)
        secret = key in ("kubeconfig", "router_key", "serving_key")
        pulumi.export(key, pulumi.Output.secret(value) if secret else value)
"""
SERVING = """
    import json, pathlib, pulumi
    cloud = pulumi.get_stack().split("-")[1]
    environment = pulumi.get_stack().split("-")[0]
    releases = json.loads(pathlib.Path(f"../environments/{environment}.releases.json").read_text())
    fleet = json.loads(pathlib.Path(f"../environments/{environment}.fleet.json").read_text())
    switch = pathlib.Path("switches") / cloud
    if switch.exists():
        exec(switch.read_text())
    authorities = [site["name"] for site in fleet["sites"] if site["ca_certificate"]]
    pulumi.ComponentResource("trihull:test:Serving", f"serving-{cloud}", {"authorities": authorities})
    pulumi.export("version", 1)
    number = 8000 + ["aws", "gcp", "azure"].index(cloud)
    endpoint = {"url": f"https://127.0.0.1:{number}", "server_name": f"serving.{cloud}.{environment}.trihull.internal"}
    pulumi.export("endpoint", endpoint)
    models = {
        name: {"version": "1", "release_digest": sites[cloud]["release_digest"]}
        for name, sites in releases["models"].items()
    }
    pulumi.export("models", models)
"""
ROUTING = """
    import json, pathlib, pulumi
    cloud = pulumi.get_stack().split("-")[1]
    environment = pulumi.get_stack().split("-")[0]
    fleet = json.loads(pathlib.Path(f"../environments/{environment}.fleet.json").read_text())
    pulumi.ComponentResource("trihull:test:Router", f"router-{cloud}", {"sites": len(fleet["sites"])})
    pulumi.export("fleet", json.dumps(fleet))
    pulumi.export("endpoint", {"url": pathlib.Path("url").read_text()})
"""

DNS = """
    import json, pathlib, pulumi
    switch = pathlib.Path("switches") / "dns"
    if switch.exists():
        exec(switch.read_text())
    environment = pulumi.get_stack()
    routers = json.loads(pathlib.Path(f"../environments/{environment}.routers.json").read_text())["routers"]
    pulumi.ComponentResource("trihull:test:Name", "name", {"routers": sorted(routers)})
    pulumi.export("sites", sorted(routers))
"""


class Recording:
    """A display that only remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.results: dict[str, Result] = {}

    def started(self, task: Task) -> None:
        self.lines.append(f"{task.title} started")

    def step(self, task: Task, phase: str, operation: str, token: str, urn: str) -> None:
        self.lines.append(f"{task.title} {phase} {operation} {token}")

    def said(self, task: Task, diagnostic: Diagnostic) -> None:
        self.lines.append(f"{task.title} {diagnostic.severity}: {diagnostic}")

    def finished(self, task: Task, result: Result) -> None:
        self.results[task.title] = result

    def note(self, text: str) -> None:
        self.lines.append(text)

    def tick(self) -> None:
        pass


@dataclass
class Project:
    """A stacks folder with an environment of three clouds, `lab`, and a state of its own."""

    root: Path
    engine: Path
    operations: Operations
    display: Recording = field(default_factory=Recording)

    @property
    def stacks(self) -> Path:
        return self.root / "stacks"

    @property
    def documents(self) -> Documents:
        return Documents(self.stacks / "environments", "lab")

    @property
    def variables(self) -> dict[str, str]:
        ours = {
            "PULUMI_BACKEND_URL": f"file://{self.root / 'state'}",
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        return {**os.environ, **ours}

    def write(self, project: str, program: str) -> None:
        folder = self.stacks / project
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "switches").mkdir(exist_ok=True)
        (folder / "Pulumi.yaml").write_text(f"name: trihull-{project}\nruntime: python\n")
        (folder / "__main__.py").write_text(textwrap.dedent(program))

    def switch(self, project: str, cloud: str, code: str | None) -> None:
        """Make the program of one cloud run `code` first; None takes that back."""
        path = self.stacks / project / "switches" / cloud
        path.unlink(missing_ok=True)
        if code is not None:
            path.write_text(code)

    def release(self, digit: str, accepted: tuple[str, ...] = ()) -> EnvironmentReleases:
        """Write a release whose digests are all `digit`, and the document that says every site shall serve it."""
        digest = f"sha256:{digit * 64}"
        folder = self.root / f"release-{digit}"
        tensor = Tensor("x", DataType.FP32, (-1, 64))
        release = Release(
            version=1,
            model=ReleasedModel("digits", "1", Signature((tensor,), (tensor,))),
            release_digest=digest,
            image=Image(digest, ("linux/amd64",), "image"),
            evaluation=Evaluation({"accuracy": 0.97}, (), Verdict.PASSED),
            attestations=(),
        )
        release.write(folder / "release.json")
        (folder / "image").mkdir(exist_ok=True)
        (folder / "image" / "index.json").write_text("{}")
        site = SiteRelease(digest, digest, f"../../release-{digit}/release.json")
        releases = EnvironmentReleases(
            version=1,
            environment="lab",
            models={"digits": dict.fromkeys(("aws", "gcp", "azure"), site)},
            accepted={"digits": (digest, *accepted)},
            router=ReleasedRouter(digest, f"../../release-{digit}/image"),
        )
        releases.write(self.documents.releases)
        return releases

    def context(self) -> Context:
        spec = environment.load("lab", self.documents.folder)
        return Context(spec, self.stacks, self.documents, self.engine, self.variables, None)

    def flow(self, action: str = "up", clouds: tuple[Cloud, ...] = CLOUDS) -> Flow:
        return Flow(self.context(), clouds, self.display, action, self.operations)

    def locks(self) -> list[Path]:
        return list((self.root / "state").rglob("locks/**/*.json"))


class _Router(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/routerz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@contextlib.contextmanager
def accepting_router() -> Iterator[str]:
    """A router that accepts: its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Router) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make_project(root: Path, engine: Path, router: str, operations: Operations) -> Project:
    """Write the stacks folder of `lab`, with a release; its routers all answer at `router`."""
    project = Project(root, engine, operations)
    (root / "state").mkdir()
    for name, program in (("site", SITE), ("serving", SERVING), ("routing", ROUTING), ("dns", DNS)):
        project.write(name, program)
    project.documents.folder.mkdir()
    local = (STACKS / "environments" / "local.yaml").read_text()
    (project.documents.folder / "lab.yaml").write_text(local.replace("name: local", "name: lab"))
    outputs = {
        "version": 1,
        "environment": "lab",
        "cloud": "CLOUD",
        "region": "somewhere",
        "residency": "eu",
        "cluster_name": "trihull-lab",
        "kubernetes_version": "1.34",
        "kubeconfig": "{}",
        "registry": f"oci-layout://{root}/registries/CLOUD",
        "bucket": "file:///bucket",
        "identities": {},
        "ca_certificate": CERTIFICATE,
        "router_certificate": CERTIFICATE,
        "router_key": "key",
        "serving_certificate": CERTIFICATE,
        "serving_key": "key",
        "node_pools": [],
    }
    (project.stacks / "site" / "outputs.json").write_text(json.dumps(outputs))
    (project.stacks / "routing" / "url").write_text(router)
    project.release("a")
    return project


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {seconds} s"
        time.sleep(0.02)


def steps(project: Project) -> dict[str, bool]:
    """The stacks that ran, in the order in which they first ended, and whether they are as they were asked for."""
    return {title: result.ok for title, result in project.display.results.items()}


def named(project: Project) -> object:
    """The routers that the environment's name led to when it was last brought up."""
    outputs = project.display.results["dns"].outputs
    assert outputs is not None
    return outputs["sites"]
