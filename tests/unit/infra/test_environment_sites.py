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
