"""What the real engine plans for changes of an environment is what the golden tables say, and can be carried out."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.emulated.conftest import SETTING
from tests.parity.changes import CHANGES, GOLDEN, local
from tests.parity.tokens import CLUSTERS, PROVISIONED
from trihull_infra.cloud import Cloud

pytestmark = pytest.mark.timeout(420)

# Few, since each is an engine's run: one in place, one that makes pools, one that ends keys.
CARRIED_OUT = ("a tag", "half of serving on spot", "keys that the clouds manage")
OPERATIONS = {"create-replacement": "replace", "delete-replaced": "replace"}


@pytest.fixture
def written(checkout: Path) -> Iterator[Path]:
    """The environment file that the checkout's programs read; as it was, afterwards."""
    file = checkout / "stacks" / "environments" / "local.yaml"
    text = file.read_text()
    yield file
    file.write_text(text)


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


@pytest.mark.parametrize("cloud", PROVISIONED)
def test_the_engine_plans_what_the_golden_table_says(cloud: Cloud, shell: Any, written: Path) -> None:
    golden = json.loads((GOLDEN / f"{cloud}.json").read_text(encoding="utf-8"))
    setting = SETTING.format(project="site", stack=f"local-{cloud}")
    shell(setting + "pulumi up --yes")
    try:
        for name in CARRIED_OUT:
            environment = local()
            CHANGES[name](environment)
            written.write_text(yaml.safe_dump(environment, sort_keys=False))
            wanted = {" ".join(line.split(" ")[:3]) for line in golden[name]}
            assert planned(shell(setting + "pulumi preview --json 2>/dev/null")) == wanted, name
            shell(setting + "pulumi up --yes")
            shell(setting + "pulumi up --yes --expect-no-changes")
            written.write_text(yaml.safe_dump(local(), sort_keys=False))
            shell(setting + "pulumi up --yes")
    finally:
        shell(setting + "pulumi destroy --yes")


OVERRIDES: Mapping[Cloud, dict[str, Any]] = {
    Cloud.AWS: {CLUSTERS[Cloud.AWS]: {"zonalShiftConfig": {"enabled": True}}},
    Cloud.GCP: {CLUSTERS[Cloud.GCP]: {"description": "by hand"}},
    Cloud.AZURE: {CLUSTERS[Cloud.AZURE]: {"networkProfile": {"loadBalancerProfile": {"idleTimeoutInMinutes": 10}}}},
}


@pytest.mark.parametrize("cloud", PROVISIONED)
def test_the_escape_hatch_sets_arguments_and_stays_visible(cloud: Cloud, shell: Any, written: Path) -> None:
    setting = SETTING.format(project="site", stack=f"local-{cloud}")

    def override(changes: object) -> None:
        environment = local()
        environment["clouds"][cloud]["overrides"] = changes
        written.write_text(yaml.safe_dump(environment, sort_keys=False))

    override(OVERRIDES[cloud])
    said = shell(setting + "pulumi preview")
    line = f"{CLUSTERS[cloud]} cluster-cluster: {', '.join(OVERRIDES[cloud][CLUSTERS[cloud]])}"
    assert f"override (local.yaml: clouds.{cloud}.overrides): {line}" in said
    shell(setting + "pulumi up --yes")
    try:
        assert json.loads(shell(setting + "pulumi stack output overrides --json")) == [line]
        deployed = json.loads(shell(setting + "pulumi stack export"))["deployment"]["resources"]
        (cluster,) = [one for one in deployed if one["type"] == CLUSTERS[cloud]]
        (argument, value) = next(iter(OVERRIDES[cloud][CLUSTERS[cloud]].items()))
        held = cluster["inputs"][argument]
        assert held == value or value.items() <= held.items(), "merged with what the program says"

        override({CLUSTERS[cloud]: {"noSuchArgument": 1}})
        assert "noSuchArgument is not an argument" in shell(setting + "pulumi preview", 1)
        override({"cluster-clutser": {"name": "x"}})
        assert "no resource has the type or the logical name cluster-clutser" in shell(setting + "pulumi preview", 1)
    finally:
        written.write_text(yaml.safe_dump(local(), sort_keys=False))
        shell(setting + "pulumi destroy --yes")
