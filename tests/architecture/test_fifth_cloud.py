"""A new cloud is one file and one line: the package with a fifth runs its programs, and nothing else was touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "infra/src/trihull_infra"
TINY = Path(__file__).with_name("tiny.py.txt")
SITE = {
    "region": "hill",
    "zones": ["hill-a", "hill-b"],
    "residency": "eu",
    "administrators": ["me"],
    "customer": "somebody",
    "priority": 4,
}
# Runs in an interpreter of its own, where the package is the one with five clouds.
PROGRAM = """
import json, os, sys
from pathlib import Path
from tests.parity import conftest, mocks
import trihull_infra
from trihull_infra import addresses, capabilities, domain, environment, provider, specs
from trihull_infra.cloud import Cloud
from trihull_infra.deploy import command
from trihull_runtime.contract import ServingOutputs, SiteOutputs

root = Path(sys.argv[1])
assert Path(trihull_infra.__file__).is_relative_to(root), trihull_infra.__file__
folder = root / "stacks" / "environments"
conftest.write_documents(folder, "local")
conftest.write_release(root / "stacks" / "release")
loaded = environment.load("local", folder)
exports, kinds, parents = {}, {}, []
for preview in (False, True):
    for project, program in conftest.PROGRAMS.items():
        (root / "stacks" / project).mkdir(exist_ok=True)
        os.chdir(root / "stacks" / project)
        known = {"organization/trihull-site/local-tiny": mocks.opened(exports.get("site", {}))}
        recording = mocks.run(
            program, project=f"trihull-{project}", stack="local-tiny", preview=preview, references=known
        )
        kinds[project, preview] = sorted((one.type, one.name) for one in recording.resources)
        if not preview:
            exports[project] = recording.exports
        if project == "site" and not preview:
            described = provider.load(Cloud.TINY).describe(recording.registered)
            parents = [one.parent for one in recording.resources if one.type.startswith("tiny:")]
site = SiteOutputs.from_value(mocks.opened(exports["site"]))
serving = ServingOutputs.from_value(mocks.opened(exports["serving"]))
(choice,) = [option for option in command.up.params if option.name == "clouds"]
print(json.dumps({
    "clouds": loaded.clouds,
    "offered": list(choice.type.choices),
    "site": [site.cloud, site.region, site.registry, site.bucket, len(site.node_pools)],
    "identities": {name: dict(needs) for name, needs in site.identities.items()},
    "url": serving.endpoint.url,
    "router": exports["routing"]["endpoint"]["url"],
    "alike": all(kinds[project, False] == kinds[project, True] for project in conftest.PROGRAMS),
    "components": sorted({type for type, _ in kinds["site", False] if type.startswith("trihull:")}),
    "parents": sorted({parent.split("::")[2].rpartition("$")[2] for parent in parents}),
    "labels": dict(described.labels),
    "network": addresses.plan(Cloud.TINY, 2).network,
    "capabilities": capabilities.capabilities(Cloud.TINY) == capabilities.Capabilities(),
    "provisions": specs.provisions(Cloud.TINY),
    "sdks": sorted(name for name in sys.modules if name in ("pulumi_aws", "pulumi_gcp", "pulumi_azure_native")),
}))
"""


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of five clouds, and an environment of one site on the fifth."""
    root = tmp_path_factory.mktemp("five")
    package = root / "trihull_infra"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    with (package / "cloud.py").open("a") as enum:
        enum.write('    TINY = "tiny"\n')
    shutil.copy(TINY, package / "providers" / "tiny.py")
    environments = root / "stacks" / "environments"
    environments.mkdir(parents=True)
    local = (ROOT / "stacks/environments/local.yaml").read_text()
    before, rest = local.split("\nclouds:\n")
    after = rest[rest.index("\napi_server:") : rest.index("\ndns:")]
    (environments / "local.yaml").write_text(f"{before}\nclouds: {json.dumps({'tiny': SITE})}\n{after}\n")
    return root


def in_five(root: Path, program: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(root), str(ROOT)))
    return subprocess.run(
        [sys.executable, "-c", program, str(root)],
        env={**os.environ, "PYTHONPATH": path}, cwd=root, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(five: Path) -> dict[str, Any]:
    done = in_five(five, PROGRAM)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_one_file_and_one_line_are_all_that_was_touched(five: Path) -> None:
    before = {path.relative_to(SOURCE): path.read_bytes() for path in SOURCE.rglob("*") if path.suffix != ".pyc"
              and path.is_file()}  # fmt: skip
    package = five / "trihull_infra"
    after = {path.relative_to(package): path.read_bytes() for path in package.rglob("*") if path.suffix != ".pyc"
             and path.is_file()}  # fmt: skip
    assert {str(name) for name in after if after[name] != before.get(name)} == {"cloud.py", "providers/tiny.py"}
    assert set(before) <= set(after)
    assert after[Path("cloud.py")].removeprefix(before[Path("cloud.py")]).count(b"\n") == 1


def test_a_fifth_cloud_gives_a_site_that_serves_and_routes(found: dict[str, Any]) -> None:
    assert found["clouds"] == ["tiny"]
    assert found["site"] == ["tiny", "hill", "tiny.example/trihull-local-registry", "s3://trihull-local-bucket", 2]
    assert found["identities"] == {"serving": {"annotations.tiny/id": "trihull-local-identity"}, "router": {}}
    assert found["url"] == "https://192.0.2.7:8080"
    assert found["router"] == "http://192.0.2.7:8080"
    assert found["alike"], "preview and update register the same"


def test_a_fifth_cloud_is_one_like_the_others(found: dict[str, Any]) -> None:
    files = ("network", "keys", "logs", "cluster", "pools", "registry", "bucket", "identity", "certificates")
    components = sorted(f"trihull:{file}:{file.capitalize()}" for file in files)
    assert found["components"] == components
    assert found["parents"] == [one for one in components if "certificates" not in one]
    assert {"application", "environment", "owner"} == set(found["labels"])
    assert found["network"] == "10.20.0.0/16"
    assert found["provisions"]
    assert found["capabilities"], "what it declares nothing of, it has like the others"
    assert "tiny" in found["offered"], "`trihull up --cloud tiny`"
    assert found["sdks"] == []


def test_a_fifth_cloud_s_mistakes_are_told_with_their_keys(five: Path) -> None:
    path = five / "stacks" / "environments" / "wrong.yaml"
    text = (five / "stacks" / "environments" / "local.yaml").read_text().replace("name: local", "name: wrong")
    path.write_text(text.replace('"customer": "somebody"', '"customer": "Somebody"')
                    + "dns: {cloud: tiny, zone: z, name: models.example.com}\n")  # fmt: skip
    program = (
        "import sys; from pathlib import Path; from trihull_infra import environment\n"
        "environment.load('wrong', Path(sys.argv[1]) / 'stacks' / 'environments')"
    )
    done = in_five(five, program)
    assert 'clouds.tiny.customer: expected a customer\'s name, found "Somebody"' in done.stderr
    assert "dns.cloud: expected a cloud that can host a zone, aws, gcp, azure, found tiny" in done.stderr
