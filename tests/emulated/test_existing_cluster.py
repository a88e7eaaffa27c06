"""A cluster that somebody has: the emulated one of another site, used through a kubeconfig and nothing else.

The commands are the product's own, in processes of their own, on the real engine.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.emulated.conftest import Stack
from tests.forking import Ask
from trihull_infra.emulators import client
from trihull_infra.emulators.client import Daemon
from trihull_runtime.contract import Fleet, Release

pytestmark = pytest.mark.timeout(420)

ROOT = Path(__file__).parents[2]
TRIHULL = [sys.executable, "-c", "from trihull_runtime.cli import main; main()"]
TOKEN = "a-token-of-the-clusters-owner"
SITE = {
    "region": "basement",
    "residency": "eu",
    "context": "mine",
    "kubeconfig": "../../kube/config",
    "bucket": "s3://evidence",
    "nodes": {},
    "load_balancer": {"metallb.io/address-pool": "models"},
}


@dataclass
class Project:
    """A folder with stacks whose environment `local` has one site, on the cluster that is there already."""

    folder: Path
    environ: dict[str, str]
    theirs: Stack
    said: str = ""

    def trihull(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [*TRIHULL, *arguments],
            cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=400,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}"
        self.said += done.stdout
        return done.stdout

    def document(self, name: str) -> Any:
        return json.loads((self.folder / "stacks/environments" / name).read_text())

    def environment(self, **changes: object) -> None:
        """Write the environment: what local asks for, on the one site; `changes` are of that."""
        spec = yaml.safe_load((ROOT / "stacks/environments/local.yaml").read_text())
        del spec["dns"]
        site = {**SITE, "registry": f"oci-layout://{self.folder / 'registry'}", **changes}
        spec.update(clouds={"kubernetes": site}, serving={"replicas_min": 1, "replicas_max": 2})
        (self.folder / "stacks/environments/local.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def kubeconfig(server: str, authority: str) -> dict[str, Any]:
    """What somebody has on a machine: several clusters, and not the one at hand as the current one."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "edge", "cluster": {"server": server, "certificate-authority": "ca.crt"}},
            {
                "name": "production",
                "cluster": {"server": "https://203.0.113.9", "certificate-authority-data": authority},
            },
        ],
        "users": [{"name": "owner", "user": {"token": TOKEN}}],
        "contexts": [
            {"name": "mine", "context": {"cluster": "edge", "user": "owner"}},
            {"name": "production", "context": {"cluster": "production", "user": "owner"}},
        ],
        "current-context": "production",
    }


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, home: Path, daemon: Daemon, engine_folder: Path, operations: Ask
) -> Iterator[Project]:
    assert daemon.pid
    folder = tmp_path_factory.mktemp("project")
    (folder / "theirs").mkdir()
    environment = client.environment(engine_folder)
    theirs = Stack("local-gcp", "gcp_site", environment, folder / "theirs", operations, {"bucket": "theirs"})
    theirs.up()
    made = Project(folder, {**os.environ, "TRIHULL_HOME": str(home), "NO_COLOR": "1"}, theirs)
    (folder / "kube").mkdir()
    authority = theirs.outputs["ca"]
    (folder / "kube/ca.crt").write_bytes(base64.b64decode(authority))
    (folder / "kube/config").write_text(yaml.safe_dump(kubeconfig(theirs.outputs["server"], authority)))
    ignore = shutil.ignore_patterns("__pycache__", "local.*.json", "Pulumi.*.yaml")
    shutil.copytree(ROOT / "stacks", folder / "stacks", ignore=ignore)
    made.environment()
    made.trihull("package", "stacks/models/digits")
    made.trihull("package", "--router")
    made.trihull("release", "local", "build/releases/digits", "--router", "build/releases/router")
    made.trihull("up", "local")
    yield made
    theirs.destroy()


def test_a_request_is_answered_by_the_cluster_that_was_there(project: Project) -> None:
    url = project.document("local.routers.json")["routers"]["kubernetes"]
    rows = "build/releases/digits/test_split.json"
    project.trihull("predict", "--url", url, "digits", "--rows", rows, "--check")
    (site,) = Fleet.read(project.folder / "stacks/environments/local.fleet.json").sites
    assert (site.name, site.region, site.residency) == ("kubernetes", "basement", "eu")
    assert site.endpoint is not None
    assert site.endpoint.server_name == "serving.kubernetes.local.trihull.internal"


def test_the_pods_are_the_other_sites_cluster_s(project: Project, daemon: Daemon) -> None:
    sites = daemon.sites()
    assert set(sites) == {"gcp"}, "nothing of a cluster was made"
    assert {pod["name"].rsplit("-", 2)[0] for pod in sites["gcp"]["pods"]} == {"trihull-serving", "trihull-router"}


def test_a_second_deploy_changes_nothing(project: Project) -> None:
    project.trihull("preview", "local", "--expect-no-changes")
    project.trihull("refresh", "local")
    project.trihull("preview", "local", "--expect-no-changes")


def test_images_are_published_to_the_registry_that_the_environment_names(project: Project) -> None:
    answer = json.loads(project.trihull("publish", "build/releases/digits", "--to", "local", "--json"))
    (target,) = answer["targets"]
    assert (target["target"], target["sent"], target["problem"]) == ("kubernetes", 0, ""), "`up` has sent it all"
    assert target["registry"] == f"oci-layout://{project.folder / 'registry'}"
    digest = Release.read(project.folder / "build/releases/digits/release.json").image.index_digest
    project.trihull("verify", f"{target['registry']}@{digest}")


def test_a_context_that_is_gone_is_told_with_those_that_are_there(project: Project) -> None:
    project.environment(context="gone")
    said = project.trihull("preview", "local", code=1)
    project.environment()
    assert "local.yaml: clouds.kubernetes.context: " in said
    assert "has no context 'gone'; contexts there: mine, production" in said


def test_the_cluster_of_somebody_else_is_never_touched(project: Project) -> None:
    project.environment(context="production")
    said = project.trihull("up", "local", code=1)
    project.environment()
    assert "https://203.0.113.9 is not an emulated cluster" in said
    project.trihull("up", "local")


def test_what_goes_leaves_the_cluster_as_it_was(project: Project, daemon: Daemon) -> None:
    project.trihull("destroy", "local", "--remove")
    assert daemon.sites()["gcp"]["pods"] == []
    assert project.theirs.preview() == {"same": len(project.theirs.resources())}


def test_nothing_that_was_said_or_kept_holds_the_token(project: Project, home: Path) -> None:
    assert len(project.said) > 1000
    assert TOKEN not in project.said
    states = [path for path in home.rglob("*.json*") if path.is_file()]
    assert states
    assert not [path for path in states if TOKEN.encode() in path.read_bytes()]
