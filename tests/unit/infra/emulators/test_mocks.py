"""The recorder behind `set_mocks`: the site program runs without engine and daemon, and is answered as by its cloud."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.parity.tokens import PROVISIONED
from trihull_infra.cloud import Cloud

ROOT = Path(__file__).parents[4]
# A process of its own, for the SDK keeps its event loop and settings in globals; one for all that a cloud is asked,
# for importing a cloud's SDK takes most of the time.
PROGRAM = """
import asyncio, json, sys
import pulumi
from pulumi.runtime import settings
from trihull_infra import site
from trihull_infra.emulators.mocks import RecorderMocks
cloud = sys.argv[1]
answers = {}
for mode in ("preview", "up"):
    asyncio.set_event_loop(asyncio.new_event_loop())
    settings.reset_options()
    recorder = RecorderMocks(preview=mode == "preview", stack=f"local-{cloud}")
    pulumi.runtime.set_mocks(
        recorder, project="trihull-site", stack=f"local-{cloud}", preview=mode == "preview"
    )
    pulumi.runtime.test(site.run)()
    answers[mode] = [[one.type, one.name, one.id, sorted(one.outputs)] for one in recorder.registered]
print(json.dumps(answers))
"""
SITES = {
    Cloud.AWS: ("aws:eks/cluster:Cluster", {"endpoint", "arn", "certificateAuthority"}),
    Cloud.GCP: ("gcp:container/cluster:Cluster", {"endpoint", "masterAuth", "selfLink"}),
    Cloud.AZURE: ("azure-native:containerservice:ManagedCluster", {"fqdn", "oidcIssuerProfile", "name"}),
}


@pytest.fixture(scope="module", params=PROVISIONED)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return Cloud(request.param)


@pytest.fixture(scope="module")
def registered(cloud: Cloud) -> dict[str, list[list[Any]]]:
    """What the site program of a cloud registers, by mode: type, name, id and the names of outputs."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, cloud],
        cwd=ROOT / "stacks/site", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_the_site_program_is_answered_as_its_cloud_would(cloud: Cloud, registered: dict[str, list[list[Any]]]) -> None:
    token, outputs = SITES[cloud]
    found = registered["up"]
    clusters = [one for one in found if one[0] == token]
    assert len(clusters) == 1
    assert outputs <= set(clusters[0][3])
    assert all(one[2] for one in found if not one[0].startswith("trihull:"))


def test_a_preview_registers_the_same_resources(registered: dict[str, list[list[Any]]]) -> None:
    def names(found: list[list[Any]]) -> set[tuple[str, str]]:
        return {(one[0], one[1]) for one in found}

    assert names(registered["preview"]) == names(registered["up"])
    assert len(registered["up"]) > 50
