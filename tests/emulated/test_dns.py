"""The environment's name through the real engine: made, unchanged, changed in place when a site goes, gone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.emulated.clouds import BY_NIGHT
from tests.emulated.conftest import REPOSITORY, Make, Stack
from trihull_infra.cloud import Cloud
from trihull_infra.deploy.context import Documents
from trihull_infra.emulators import client as emulators
from trihull_infra.emulators.client import Daemon

ROUTERS = {"aws": "http://192.0.2.1:8080", "gcp": "http://192.0.2.2:8080", "azure": "http://192.0.2.3:8080"}
DNS = {
    Cloud.AWS: "{cloud: aws, zone: Z0TRIHULLLOCAL, name: models.local.trihull.internal}",
    Cloud.GCP: "{cloud: gcp, zone: example-com, name: models.example.com}",
    Cloud.AZURE: "{cloud: azure, zone: example.com, resource_group: names, name: models.example.com}",
}


def without(cloud: str) -> dict[str, str]:
    return {name: url for name, url in ROUTERS.items() if name != cloud}


def write(folder: Path, cloud: Cloud, routers: Mapping[str, str]) -> None:
    text = (REPOSITORY / "stacks/environments/local.yaml").read_text()
    (folder / "local.yaml").write_text(re.sub(r"(?m)^dns: .*$", f"dns: {DNS[cloud]}", text))
    Documents(folder, "local").write_routers(routers)


def changed(changes: dict[str, int]) -> dict[str, int]:
    return {operation: count for operation, count in changes.items() if operation != "same"}


def make(stack: Make, folder: Path, cloud: Cloud) -> Stack:
    write(folder, cloud, ROUTERS)
    return stack("local", "environment_name", environments=str(folder))


@pytest.mark.parametrize("cloud", BY_NIGHT)
def test_a_name_is_made_and_changed_in_place(stack: Make, tmp_path: Path, cloud: Cloud) -> None:
    name = make(stack, tmp_path, cloud)
    assert changed(name.preview()) == changed(name.up())
    assert set(name.outputs["checks"]) == set(ROUTERS)
    assert changed(name.up()) == {}
    assert changed(name.refresh()) == {}
    write(tmp_path, cloud, without("aws"))
    operations = changed(name.up())
    assert set(operations) <= {"update", "delete"}, "a record that had to be made anew would collide with the old one"
    assert set(name.outputs["checks"]) == {"gcp", "azure"}
    assert changed(name.up()) == {}
    write(tmp_path, cloud, ROUTERS)
    assert set(changed(name.up())) <= {"update", "create"}
    assert set(changed(name.destroy())) == {"delete"}


def route53(daemon: Daemon) -> Any:
    return boto3.client(
        "route53",
        endpoint_url=daemon.status()["moto"],
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def pairs(client: Any) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return (name, role) -> (where it leads, the health check's host) of the records that are not the zone's own."""
    checks = {
        one["Id"]: one["HealthCheckConfig"].get("IPAddress") for one in client.list_health_checks()["HealthChecks"]
    }
    found = client.list_resource_record_sets(HostedZoneId="Z0TRIHULLLOCAL")["ResourceRecordSets"]
    return {
        (one["Name"].removesuffix(".local.trihull.internal."), one.get("Failover", "")): (
            one["ResourceRecords"][0]["Value"].removesuffix(".local.trihull.internal"),
            checks.get(one.get("HealthCheckId")),
        )
        for one in found
        if one["Type"] not in ("NS", "SOA")
    }


def test_route_53_holds_the_chain_and_nothing_after_destroy(stack: Make, tmp_path: Path, daemon: Daemon) -> None:
    name, client = make(stack, tmp_path, Cloud.AWS), route53(daemon)
    name.up()
    assert pairs(client) == {
        ("aws.models", ""): ("192.0.2.1", None),
        ("gcp.models", ""): ("192.0.2.2", None),
        ("azure.models", ""): ("192.0.2.3", None),
        ("models", "PRIMARY"): ("aws.models", "192.0.2.1"),
        ("models", "SECONDARY"): ("choice-2.models", None),
        ("choice-2.models", "PRIMARY"): ("gcp.models", "192.0.2.2"),
        ("choice-2.models", "SECONDARY"): ("azure.models", "192.0.2.3"),
    }
    config = client.get_health_check(HealthCheckId=name.outputs["checks"]["aws"])["HealthCheck"]["HealthCheckConfig"]
    assert (config["Type"], config["Port"], config["ResourcePath"]) == ("HTTP", 8080, "/routerz")
    assert (config["RequestInterval"], config["FailureThreshold"]) == (10, 3)
    write(tmp_path, Cloud.AWS, without("aws"))
    name.up()
    assert pairs(client) == {
        ("gcp.models", ""): ("192.0.2.2", None),
        ("azure.models", ""): ("192.0.2.3", None),
        ("models", "PRIMARY"): ("gcp.models", "192.0.2.2"),
        ("models", "SECONDARY"): ("azure.models", "192.0.2.3"),
    }
    name.destroy()
    assert pairs(client) == {}
    assert client.list_health_checks()["HealthChecks"] == []


def test_a_restarted_daemon_holds_the_same_records_and_checks(stack: Make, tmp_path: Path, daemon: Daemon) -> None:
    name = make(stack, tmp_path, Cloud.AWS)
    name.up()
    before = pairs(route53(daemon))
    emulators.stop()
    again = emulators.start()
    assert pairs(route53(again)) == before
    assert changed(name.refresh()) == {}
    assert changed(name.up()) == {}
