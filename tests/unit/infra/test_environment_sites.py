"""What an environment may ask of sites: who reaches them, what is there already, which machines there are."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.infra.written import refused, write
from trihull_infra.cloud import Cloud
from trihull_infra.environment import load
from trihull_infra.machines import MACHINES

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def spec() -> dict[str, Any]:
    value = yaml.safe_load((REPOSITORY / "stacks/environments/local.yaml").read_text())
    assert isinstance(value, dict)
    return value


def test_everybody_may_reach_the_api_servers_only_where_that_is_said(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec["api_server"] = {"open_to_everybody": True, "authorised_networks": ["0.0.0.0/0"]}
    assert load("local", write(tmp_path, spec)).api_server.authorised_networks == ("0.0.0.0/0",)


EVERYBODY = {
    "IPv4": ["0.0.0.0/0"],
    "IPv6": ["::/0"],
    "IPv6 beside a network of one's own": ["203.0.113.0/24", "::/0"],
    "IPv6 written out": ["0:0:0:0:0:0:0:0/0"],
    "IPv6 half written out": ["0::/0"],
    "a mask in place of a prefix": ["0.0.0.0/0.0.0.0"],
    "halves of IPv4": ["0.0.0.0/1", "128.0.0.0/1"],
    "halves of IPv4 with others between": ["128.0.0.0/1", "203.0.113.0/24", "::1/128", "0.0.0.0/1"],
    "halves of IPv6": ["::/1", "8000::/1"],
    "quarters": ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"],
    "one half": ["128.0.0.0/1"],
    "all of IPv4 but what is reserved": ["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"],
    "the whole internet of IPv6": ["2000::/3"],
    "the whole internet of IPv6 in halves": ["2000::/4", "3000::/4"],
}


@pytest.mark.parametrize("networks", EVERYBODY.values(), ids=EVERYBODY.keys())
def test_everybody_is_refused_in_every_spelling_and_taken_where_it_is_said(
    tmp_path: Path, spec: dict[str, Any], networks: list[str]
) -> None:
    spec["api_server"] = {"authorised_networks": networks}
    (problem,) = refused(tmp_path, spec)
    assert ": api_server.authorised_networks: expected networks of your own, found " in problem
    assert "everybody; if that is meant, say `open_to_everybody: true`" in problem
    spec["api_server"]["open_to_everybody"] = True
    assert len(load("local", write(tmp_path, spec)).api_server.authorised_networks) == len(networks)


@pytest.mark.parametrize(
    "networks", [["10.0.0.0/8", "11.0.0.0/8", "172.16.0.0/12"], ["fc00::/7", "2001:db8::/32"], []], ids=str
)
def test_wide_networks_that_somebody_has_are_not_everybody(
    tmp_path: Path, spec: dict[str, Any], networks: list[str]
) -> None:
    spec["api_server"] = {"authorised_networks": networks}
    assert load("local", write(tmp_path, spec)).api_server.authorised_networks == tuple(networks)


def test_networks_are_handed_on_in_the_one_spelling_that_every_cloud_takes(
    tmp_path: Path, spec: dict[str, Any]
) -> None:
    spec["api_server"] = {"authorised_networks": ["203.0.113.7", "198.51.100.0/255.255.255.0", "2001:DB8:0::/48"]}
    networks = load("local", write(tmp_path, spec)).api_server.authorised_networks
    assert networks == ("203.0.113.7/32", "198.51.100.0/24", "2001:db8::/48")
    spec["api_server"] = {"authorised_networks": ["203.0.113.7", "203.0.113.7/32"]}
    assert "expected different networks" in refused(tmp_path, spec)[0]


def test_several_mistakes_in_new_parts_are_told_at_once(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec |= {"keys": {"own": 1}, "retention": {"logs_days": 1}, "upgrades": {"hours": 1}}
    assert len(refused(tmp_path, spec)) == 3


def test_a_subnet_for_each_zone_is_asked_for(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec["clouds"]["aws"]["existing"] = {
        "network": {"id": "vpc-0123456789abcdef0", "private_subnets": [f"subnet-0123456789abcde{one}" for one in "123"]}
    }
    (problem,) = refused(tmp_path, spec)
    assert ": clouds.aws.existing: expected existing.network.private_subnets to be 2, one for each of zones" in problem


def test_a_machine_class_that_a_cloud_lacks_is_refused_with_its_pool(
    tmp_path: Path, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = dataclasses.replace(MACHINES["large"], types={**MACHINES["large"].types, Cloud.AZURE: ()})
    monkeypatch.setattr("trihull_infra.spec.pools.MACHINES", {**MACHINES, "large": lacking})
    spec["pools"]["serving"]["machine"] = "large"
    (problem,) = refused(tmp_path, spec)
    assert ": pools: " in problem
    assert "serving.machine: azure has no large" in problem


def test_an_environment_of_the_first_version_is_still_read(tmp_path: Path) -> None:
    kept = REPOSITORY / "tests/golden/state/0.1.0/full/local.yaml"
    (tmp_path / "local.yaml").write_bytes(kept.read_bytes())
    old = load("local", tmp_path)
    assert (old.keys.own, old.retention.logs_days, old.pools.system.nodes_max) == (True, 90, 3)
