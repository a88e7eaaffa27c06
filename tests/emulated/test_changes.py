"""What the real engine plans for changes of an environment is what the golden tables say, and can be carried out."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.emulated.clouds import BY_NIGHT, by_night
from tests.emulated.conftest import Pulumi
from tests.parity.changes import CHANGES, GOLDEN, local
from tests.parity.tokens import CLUSTERS
from trihull_infra.cloud import Cloud

pytestmark = pytest.mark.timeout(420)

# Few, since each is an engine's run: one in place, one that makes pools, one that ends keys.
MAKES_POOLS = "half of serving on spot"
CARRIED_OUT = ("a tag", MAKES_POOLS, "keys that the clouds manage")
OPERATIONS = {"create-replacement": "replace", "delete-replaced": "replace"}


class Site:
    """A deployed site, and the environment file that its program reads."""

    def __init__(self, cloud: Cloud, file: Path, pulumi: Pulumi) -> None:
        self.cloud, self._file, self._pulumi = cloud, file, pulumi

    def write(self, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
        """Write the environment that changes begin from, changed."""
        environment = local()
        change(environment)
        self._file.write_text(yaml.safe_dump(environment, sort_keys=False))

    def pulumi(self, *arguments: str, code: int = 0) -> str:
        return self._pulumi("site", f"local-{self.cloud}", *arguments, code=code)


@pytest.fixture(scope="module", params=BY_NIGHT)
def deployed(request: pytest.FixtureRequest, checkout: Path, pulumi: Pulumi) -> Iterator[Site]:
    """A cloud's site, brought up once for all tests of it."""
    file = checkout / "stacks" / "environments" / "local.yaml"
    text = file.read_text()
    site = Site(Cloud(request.param), file, pulumi)
    site.pulumi("stack", "select", "--create")
    site.write()
    site.pulumi("up", "--yes")
    yield site
    site.write()
    site.pulumi("destroy", "--yes")
    file.write_text(text)


@pytest.fixture
def site(deployed: Site) -> Iterator[Site]:
    """The site, as it was afterwards whatever the test did to it."""
    yield deployed
    deployed.write()
    deployed.pulumi("up", "--yes")


def planned(said: str) -> set[str]:
    """Return `operation type name` of a preview's steps, the engine's words for a replacement made one."""
    steps = json.loads(said[said.index("{") :])["steps"]
    found = set()
    for step in steps:
        _, _, token, name = step["urn"].split("::", 3)
        token = token.rpartition("$")[2]
        operation = OPERATIONS.get(step["op"], step["op"])
        if operation not in ("same", "read") and not token.startswith(("pulumi:", "trihull:")):
            found.add(f"{operation} {token} {name}")
    return found


def goldens(cloud: Cloud, name: str) -> set[str]:
    golden = json.loads((GOLDEN / f"{cloud}.json").read_text(encoding="utf-8"))
    return {" ".join(line.split(" ")[:3]) for line in golden[name]}


@pytest.mark.parametrize("name", CARRIED_OUT)
def test_the_engine_plans_what_the_golden_table_says(deployed: Site, name: str) -> None:
    deployed.write(CHANGES[name])
    try:
        assert planned(deployed.pulumi("preview", "--json")) == goldens(deployed.cloud, name)
    finally:
        deployed.write()


@pytest.mark.parametrize("name", [MAKES_POOLS, *by_night(name for name in CARRIED_OUT if name != MAKES_POOLS)])
def test_what_is_planned_can_be_carried_out(site: Site, name: str) -> None:
    site.write(CHANGES[name])
    site.pulumi("up", "--yes")
    site.pulumi("up", "--yes", "--expect-no-changes")
    site.write()
    site.pulumi("up", "--yes")


OVERRIDES: Mapping[Cloud, dict[str, Any]] = {
    Cloud.AWS: {CLUSTERS[Cloud.AWS]: {"zonalShiftConfig": {"enabled": True}}},
    Cloud.GCP: {CLUSTERS[Cloud.GCP]: {"description": "by hand"}},
    Cloud.AZURE: {CLUSTERS[Cloud.AZURE]: {"networkProfile": {"loadBalancerProfile": {"idleTimeoutInMinutes": 10}}}},
}


def test_the_escape_hatch_sets_arguments_and_stays_visible(site: Site) -> None:
    cloud = site.cloud

    def override(changes: object) -> None:
        site.write(lambda environment: environment["clouds"][cloud].update(overrides=changes))

    override(OVERRIDES[cloud])
    said = site.pulumi("preview")
    line = f"{CLUSTERS[cloud]} cluster-cluster: {', '.join(OVERRIDES[cloud][CLUSTERS[cloud]])}"
    assert f"override (local.yaml: clouds.{cloud}.overrides): {line}" in said
    site.pulumi("up", "--yes")
    assert json.loads(site.pulumi("stack", "output", "overrides", "--json")) == [line]
    deployed = json.loads(site.pulumi("stack", "export"))["deployment"]["resources"]
    (cluster,) = [one for one in deployed if one["type"] == CLUSTERS[cloud]]
    (argument, value) = next(iter(OVERRIDES[cloud][CLUSTERS[cloud]].items()))
    held = cluster["inputs"][argument]
    assert held == value or value.items() <= held.items(), "merged with what the program says"

    override({CLUSTERS[cloud]: {"noSuchArgument": 1}})
    assert "noSuchArgument is not an argument" in site.pulumi("preview", code=1)
    override({"cluster-clutser": {"name": "x"}})
    assert "no resource has the type or the logical name cluster-clutser" in site.pulumi("preview", code=1)
