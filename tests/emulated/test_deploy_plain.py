"""Plain Pulumi, without any command of trihull's but `emulators env`: the commands that README shows, word for word.

Only the language host is the tests' own: it comes with the official release of Pulumi, which a test machine may lack.
"""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.emulated.clouds import BY_NIGHT
from tests.emulated.conftest import SETTING
from tests.parity.tokens import PROVISIONED
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Documents
from trihull_infra.emulators.client import Daemon

pytestmark = pytest.mark.timeout(420)


def left_in_moto(daemon: Daemon) -> dict[str, list[Any]]:
    """What AWS's emulator still holds, asked through boto3."""

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name="eu-central-1",
            endpoint_url=daemon.status()["moto"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return {
        "buckets": client("s3").list_buckets()["Buckets"],
        "clusters": client("eks").list_clusters()["clusters"],
        "repositories": client("ecr").describe_repositories()["repositories"],
        "roles": client("iam").list_roles()["Roles"],
        "log groups": client("logs").describe_log_groups()["logGroups"],
    }


@pytest.mark.parametrize("cloud", BY_NIGHT)
def test_a_site_comes_up_stays_as_it_is_and_goes_with_plain_pulumi(
    cloud: Cloud, shell: Any, daemon: Daemon, checkout: Path
) -> None:
    setting = SETTING.format(project="site", stack=f"local-{cloud}")
    settings = {path: path.read_text() for path in (checkout / "stacks").rglob("Pulumi*.yaml")}
    assert "created" in shell(setting + "pulumi up --yes")
    if cloud is Cloud.AWS:
        there = left_in_moto(daemon)
        assert all(there.values()), there
    unchanged = [f"pulumi {command} --yes --expect-no-changes" for command in ("up", "refresh", "up")]
    shell(setting + " && ".join(unchanged))
    outputs = shell(setting + "pulumi stack output --json")
    assert '"kubeconfig": "[secret]"' in outputs
    assert "PRIVATE KEY" not in outputs
    shell(setting + "pulumi destroy --yes")
    assert daemon.status()["resources"] == {}
    assert daemon.sites() == {}
    if cloud is Cloud.AWS:
        assert not any(left_in_moto(daemon).values()), left_in_moto(daemon)
    assert {path: path.read_text() for path in settings} == settings  # a run changes no file of a checkout


def test_a_name_comes_up_and_goes_with_plain_pulumi(shell: Any, daemon: Daemon, checkout: Path) -> None:
    setting = SETTING.format(project="dns", stack="local")
    settings = {path: path.read_text() for path in (checkout / "stacks").rglob("Pulumi*.yaml")}
    assert "names no router of local; bring them up with `trihull up local`" in shell(setting + "pulumi preview", 1)
    routers = {str(cloud): f"http://127.0.0.1:{port}" for port, cloud in enumerate(PROVISIONED, start=8080)}
    Documents(checkout / "stacks" / "environments", "local").write_routers(routers)
    assert "created" in shell(setting + "pulumi up --yes")
    shell(setting + "pulumi up --yes --expect-no-changes")
    outputs = json.loads(shell(setting + "pulumi stack output --json"))
    assert outputs["name"] == "models.local.trihull.internal"
    assert [site["site"] for site in outputs["sites"]] == list(PROVISIONED)
    shell(setting + "pulumi destroy --yes")
    assert daemon.status()["resources"] == {}
    assert {path: path.read_text() for path in settings} == settings
