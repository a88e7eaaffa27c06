"""One `cloud` fixture over every cloud; each program is run once for each environment, cloud and mode."""

import contextlib
import functools
import json
import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests import forking
from tests.forking import Ask
from tests.parity import mocks
from tests.parity.mocks import Recording
from trihull_infra import dns, environment, routing, serving, site
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Documents
from trihull_infra.environment import Environment

REPOSITORY = Path(__file__).parents[2]
WRITTEN = Path(__file__).parent / "environments"
RELEASE = f"sha256:{'a' * 64}"
IMAGE = f"sha256:{'b' * 64}"
ROUTER = f"sha256:{'c' * 64}"
PROGRAMS: dict[str, Callable[[], None]] = {"site": site.run, "serving": serving.run, "routing": routing.run}

ENVIRONMENTS = ("local", "longestname1", "given")
EXTERNAL = "external"  # as longestname1, but that the platform runs a device plugin already
# What the environments know as a cluster that is there already.
ON_PREMISES = """
    kubernetes:
      region: basement
      residency: eu
      context: on-premises
      kubeconfig: ../kubeconfig.yaml
      registry: registry.example.com/models
      bucket: s3://evidence
      priority: 3
"""
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {"name": name, "cluster": {"server": f"https://{name}.example", "certificate-authority-data": "TUlJQg=="}}
        for name in ("on-premises", "other")
    ],
    "users": [
        {"name": name, "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}}}
        for name in ("on-premises", "other")
    ],
    "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in ("on-premises", "other")],
    "current-context": "other",
}
ADDRESSES = {"aws": "http://192.0.2.1:8080", "gcp": "http://192.0.2.2:8080", "azure": "http://192.0.2.3:8080"}
NAMES = {**ADDRESSES, "aws": "https://lb.example.net", "gcp": "https://192.0.2.2", "azure": "https://192.0.2.3"}
DNS = {
    Cloud.AWS: "{cloud: aws, zone: Z0123456789LOCAL, name: models.example.com}",
    Cloud.GCP: "{cloud: gcp, zone: example-com, name: models.example.com}",
    Cloud.AZURE: "{cloud: azure, zone: example.com, resource_group: names, name: models.example.com, ttl_s: 20}",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the SDKs warn of their own deprecations while they are imported; ours stay errors."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_.*"))


class Run(Protocol):
    """Gives what a program registered; the third argument is whether it is a preview."""

    def __call__(self, project: str, stack: str, preview: bool = False) -> Recording: ...


@pytest.fixture(params=list(Cloud))
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return Cloud(request.param)


@pytest.fixture(params=ENVIRONMENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["update", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `stacks/`, with the documents that programs read."""
    root = tmp_path_factory.mktemp("stacks")
    environments = root / "environments"
    environments.mkdir()
    local = (REPOSITORY / "stacks/environments/local.yaml").read_text()
    assert "\nclouds:\n" in local
    given = textwrap.indent(textwrap.dedent(ON_PREMISES).strip("\n"), "  ")
    (environments / "local.yaml").write_text(local.replace("\nclouds:\n", f"\nclouds:\n{given}\n"))
    for name in ENVIRONMENTS[1:]:
        (environments / f"{name}.yaml").write_text((WRITTEN / f"{name}.yaml").read_text())
    full = (WRITTEN / "longestname1.yaml").read_text().replace("name: longestname1", f"name: {EXTERNAL}")
    text, replaced = re.subn(r"\n    device_plugin: .*", "\n    device_plugin: external", full)
    assert replaced == 1
    (environments / f"{EXTERNAL}.yaml").write_text(text)
    (root / "kubeconfig.yaml").write_text(json.dumps(KUBECONFIG))
    for project in PROGRAMS:
        (root / project).mkdir()
    write_release(root / "release")
    for name in (*ENVIRONMENTS, EXTERNAL):
        write_documents(environments, name)
    return root


def write_release(folder: Path, **changes: object) -> None:
    """Write a `release.json`."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 64]}
    folder.mkdir(exist_ok=True)
    release = {
        "version": 1,
        "model": {"name": "digits", "version": "1.2", "signature": {"inputs": [tensor], "outputs": [tensor]}},
        "release_digest": RELEASE,
        "image": {"index_digest": IMAGE, "platforms": ["linux/amd64"], "layout": "image"},
        "evaluation": {"metrics": {}, "gates": [], "verdict": "passed"},
        "attestations": [],
    }
    (folder / "release.json").write_text(json.dumps({**release, **changes}))


def write_documents(folder: Path, name: str) -> None:
    """Write releases and fleet of an environment."""
    release = {"release_digest": RELEASE, "index_digest": IMAGE, "path": "../release/release.json"}
    releases = {
        "version": 1,
        "environment": name,
        "models": {"digits": {str(cloud): release for cloud in Cloud}},
        "accepted": {"digits": [RELEASE]},
        "router": {"index_digest": ROUTER, "layout": "../router/image"},
    }
    sites = [
        {
            "name": str(cloud),
            "cloud": str(cloud),
            "region": "r",
            "residency": "eu",
            "endpoint": None,
            "ca_certificate": mocks.PEM.replace("MIIB", f"MIIB{cloud}"),
            "priority": 0,
            "weight": 1,
        }
        for cloud in Cloud
    ]
    fleet = {"version": 1, "environment": name, "models": {"digits": [RELEASE]}, "sites": sites}
    (folder / f"{name}.releases.json").write_text(json.dumps(releases))
    (folder / f"{name}.fleet.json").write_text(json.dumps(fleet))


@pytest.fixture(scope="session")
def run(projects: Path) -> Iterator[Run]:
    before = Path.cwd()

    @functools.cache
    def once(project: str, stack: str, preview: bool = False) -> Recording:
        references = {}
        if project != "site":
            references[f"organization/trihull-site/{stack}"] = mocks.opened(once("site", stack).exports)
        os.chdir(projects / project)
        try:
            return mocks.run(
                PROGRAMS[project],
                project=f"trihull-{project}",
                stack=stack,
                preview=preview,
                references=references,
            )
        finally:
            os.chdir(before)

    yield once
    once.cache_clear()


class RunDns(Protocol):
    """Gives what the program of the environment's name registered, with the zone on `cloud`."""

    def __call__(self, cloud: Cloud, routers: Mapping[str, str] = ADDRESSES, preview: bool = False) -> Recording: ...


@pytest.fixture(scope="session")
def run_dns(tmp_path_factory: pytest.TempPathFactory) -> RunDns:
    @functools.cache
    def recorded(cloud: Cloud, routers: tuple[tuple[str, str], ...], preview: bool) -> Recording:
        root = tmp_path_factory.mktemp("dns")
        environments = root / "environments"
        environments.mkdir()
        (root / "dns").mkdir()
        # By priority azure comes first, and aws before gcp as the clouds are listed.
        text = (
            (WRITTEN / "longestname1.yaml")
            .read_text()
            .replace("    subscription:", "    priority: 0\n    subscription:")
        )
        for key in ("account", "project"):
            text = text.replace(f"    {key}:", f"    priority: 1\n    {key}:")
        (environments / "longestname1.yaml").write_text(f"{text}dns: {DNS[cloud]}\n")
        Documents(environments, "longestname1").write_routers(dict(routers))
        with contextlib.chdir(root / "dns"):
            return mocks.run(dns.run, project="trihull-dns", stack="longestname1", preview=preview)

    def once(cloud: Cloud, routers: Mapping[str, str] = ADDRESSES, preview: bool = False) -> Recording:
        return recorded(cloud, tuple(routers.items()), preview)

    return once


@pytest.fixture(scope="session")
def imports() -> Iterator[Ask]:
    """Ask what `imports.py` answers."""
    with forking.server("tests.parity.imports") as ask:
        yield ask


@pytest.fixture
def spec(projects: Path, name: str) -> Environment:
    return environment.load(name, projects / "environments")
