"""What ships with trihull keeps up with what clouds offer: versions with support left, regions, rooms for pods."""

import datetime
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.infra.written import refused, write
from trihull_infra import allocatable, kubernetes_versions, regions
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment, load
from trihull_infra.init import writing
from trihull_infra.kubernetes_versions import LEFT_DAYS, days_left, default, newest, offered
from trihull_infra.machines import MACHINES, Actual

REPOSITORY = Path(__file__).parents[3]
ENVIRONMENTS = REPOSITORY / "stacks" / "environments"
TODAY = datetime.datetime.now(datetime.UTC).date()
PROVISIONED = (Cloud.AWS, Cloud.GCP, Cloud.AZURE)
REFRESH = (
    "look up newer versions and their dates (data/kubernetes.toml, data/images.toml), then raise kubernetes_version in "
    "stacks/environments/*.yaml"
)


@pytest.fixture
def spec() -> dict[str, Any]:
    value = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text())
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("name", sorted(path.stem for path in ENVIRONMENTS.glob("*.yaml")))
def test_an_environment_that_ships_has_support_left_on_each_of_its_clouds_today(name: str) -> None:
    environment = load(name, ENVIRONMENTS)
    days = days_left(environment.kubernetes_version, environment.clouds, TODAY)
    assert days >= LEFT_DAYS, f"{name}.yaml: {environment.kubernetes_version} has {days} days left: {REFRESH}"


@pytest.mark.parametrize("cloud", Cloud)
def test_a_new_project_begins_with_support_left_today(tmp_path: Path, cloud: Cloud) -> None:
    writing.write(tmp_path / "project", cloud)
    found = 0
    for file in sorted((tmp_path / "project/stacks/environments").glob("*.yaml*")):
        (version,) = re.findall(
            r'^kubernetes_version: "([0-9.]+)" ', file.read_text() + " ", re.MULTILINE
        ) or re.findall(r'^kubernetes_version: "([0-9.]+)"$', file.read_text(), re.MULTILINE)
        clouds = [cloud] if file.name == "dev.yaml" and cloud in PROVISIONED else PROVISIONED
        assert days_left(version, clouds, TODAY) >= LEFT_DAYS, f"{file.name}: {version}: {REFRESH}"
        found += 1
    assert found == 3


def test_docs_name_no_version_that_ends_soon() -> None:
    """`kubernetes_version: "1.34"` in a page is copied for as long as the page stands."""
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    named = [
        (page.name, version)
        for page in pages
        for version in re.findall(r'kubernetes_version: *"?(1\.[0-9]{2})\b', page.read_text())
    ]
    assert [(page, version) for page, version in named if days_left(version, PROVISIONED, TODAY) < LEFT_DAYS] == []


def at(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("clouds", "today", "version"),
    [
        ((Cloud.AWS,), "2026-11-29", "1.36"),
        ((Cloud.GCP,), "2026-11-29", "1.36"),
        (PROVISIONED, "2026-11-29", "1.36"),
        ((Cloud.AZURE,), "2026-11-29", "1.36"),  # 1.37 has no images of agents yet
        (PROVISIONED, "2025-12-01", "1.36"),
        ((Cloud.KUBERNETES,), "2026-11-29", "1.36"),
        (PROVISIONED, "2030-01-01", "1.36"),  # the table has grown too old: its newest, and the tests above fail
    ],
)
def test_the_default_is_the_newest_that_every_cloud_offers(clouds: Sequence[Cloud], today: str, version: str) -> None:
    assert default(clouds, at(today)) == version


def test_a_version_with_too_little_left_is_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def until(text: str) -> dict[Cloud, kubernetes_versions.Support]:
        return dict.fromkeys(PROVISIONED, kubernetes_versions.Support(at(text), None))

    table = {"1.34": until("2027-06-01"), "1.35": until("2027-09-01"), "1.36": until("2027-03-01")}
    monkeypatch.setattr(kubernetes_versions, "VERSIONS", table)
    assert default(PROVISIONED, at("2026-11-29")) == "1.36"
    assert default(PROVISIONED, at("2026-12-01")) == "1.36"  # 90 days are enough
    assert default(PROVISIONED, at("2026-12-02")) == "1.35"
    assert days_left("1.36", PROVISIONED, at("2026-12-02")) == 89


def test_versions_are_ordered_as_numbers() -> None:
    assert kubernetes_versions.ordered(["1.100", "1.99", "1.9"]) == ["1.9", "1.99", "1.100"]
    assert offered([Cloud.AWS])[-1] == newest(Cloud.AWS)
    assert set(offered(PROVISIONED)) <= set(offered([Cloud.GCP]))


def test_what_is_newer_than_the_tables_is_taken_where_it_is_repeated(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec["kubernetes_version"], aws = "1.38", spec["clouds"]["aws"]
    aws |= {"region": "eu-central-9", "zones": ["eu-central-9a", "eu-central-9b"]}
    version, region = refused(tmp_path, spec)
    assert ": kubernetes_version: " in version
    assert 'unlisted: ["1.38"]' in version
    assert ": clouds.aws.region: " in region
    assert "`unlisted: [eu-central-9]` in clouds.aws" in region
    for site in spec["clouds"].values():
        site["unlisted"] = ["1.38"]
    aws["unlisted"].append("eu-central-9")
    found = load("local", write(tmp_path, spec))
    assert (found.kubernetes_version, found.site(Cloud.AWS).region) == ("1.38", "eu-central-9")
    aws["region"] = "eu-central-8"  # repeated is another: still a misspelling
    aws["zones"] = ["eu-central-8a", "eu-central-8b"]
    assert ": clouds.aws.region: " in refused(tmp_path, spec)[0]


def test_a_cluster_that_is_there_already_is_anywhere_and_of_any_version(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec |= {"name": "edge", "kubernetes_version": "1.29", "clouds": {"kubernetes": {
        "region": "cellar", "residency": "eu", "context": "c", "registry": "registry.example.com/m", "bucket": "s3://m",
    }}}  # fmt: skip
    del spec["dns"]
    assert load("edge", write(tmp_path, spec, "edge")).kubernetes_version == "1.29"


def test_other_accounts_belong_to_environments_of_other_names(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec["clouds"]["aws"]["account"] = "210987654321"
    (problem,) = refused(tmp_path, spec)
    assert 'touches no other, found "210987654321"; a real account belongs in an environment of another name' in problem
    spec["name"] = "dev"
    assert load("dev", write(tmp_path, spec, "dev")).site(Cloud.AWS).account == "210987654321"


def test_regions_of_aws_are_those_that_its_sdk_knows() -> None:
    endpoints = json.loads((files("botocore") / "data" / "endpoints.json").read_text())
    assert set(regions.REGIONS[Cloud.AWS]) == {one for part in endpoints["partitions"] for one in part["regions"]}


@pytest.mark.parametrize("cloud", PROVISIONED)
def test_regions_are_named_as_environments_name_them(cloud: Cloud) -> None:
    pattern = Environment.model_json_schema()["$defs"]["AwsSpec"]["properties"]["region"]["pattern"]
    assert len(regions.REGIONS[cloud]) == len(set(regions.REGIONS[cloud])) > 30
    assert all(re.fullmatch(pattern, region) for region in regions.REGIONS[cloud])


@pytest.mark.parametrize(
    ("cloud", "vcpus", "memory_gib", "cpu", "memory_mib"),
    [
        # Google's page, "Plan GKE Standard node sizes": 25 % of 4 GiB, 20 % of 4, and so on; 100 MiB for eviction.
        (Cloud.GCP, 2, 8, 1930, 8192 - 1024 - 819.2 - 100),
        (Cloud.GCP, 16, 64, 15890, 65536 - (1024 + 819.2 + 819.2 + 0.06 * 48 * 1024) - 100),
        (Cloud.AWS, 2, 8, 1930, 8192 - 255 - 100),
        (Cloud.AZURE, 2, 8, 1900, 8192 - 620 - 100),
        (Cloud.AZURE, 8, 32, 7820, 32768 - 620 - 100),
        (Cloud.AZURE, 1, 2, 940, 2048 - 512 - 100),
        (Cloud.KUBERNETES, 2, 8, 2000, 8192),
    ],
)
def test_a_node_keeps_what_its_cloud_says(
    cloud: Cloud, vcpus: int, memory_gib: float, cpu: int, memory_mib: float
) -> None:
    found = allocatable.of(cloud, Actual(vcpus, memory_gib, 0, 0))
    assert (found.cpu_millicores, found.memory_mib) == (cpu, int(memory_mib))


@pytest.mark.parametrize("cloud", PROVISIONED)
def test_every_machine_has_room_for_the_defaults(cloud: Cloud) -> None:
    for machine in MACHINES.values():
        if cloud in machine.actual:
            room = allocatable.of(cloud, machine.actual[cloud])
            assert room.cpu_millicores > 250
            assert room.memory_mib > 512


@pytest.mark.parametrize(
    ("serving", "key", "least"),
    [
        ({"cpu": 2}, "cpu", "1900m, which is what a node of pool serving has for pods on azure (machine small with 2"),
        (
            {"memory": "7Gi"},
            "memory",
            "6248Mi, which is what a node of pool serving has for pods on gcp (machine small",
        ),
        ({"pool": "accelerator", "accelerators": 2}, "accelerators", "1, which is what a node of pool accelerator has"),
        ({"pool": "accelerator", "cpu": 5}, "cpu", "3860m, which is what a node of pool accelerator has"),
    ],
)
def test_a_replica_that_no_node_has_room_for_is_refused(
    tmp_path: Path, spec: dict[str, Any], serving: dict[str, Any], key: str, least: str
) -> None:
    spec["pools"]["accelerator"] = {"machine": "t4", "nodes_min": 0, "nodes_max": 2, "spot_share": 0}
    spec["clouds"]["azure"]["device_plugin"] = "external"
    spec["serving"] |= serving
    (problem,) = refused(tmp_path, spec)
    assert f": serving.{key}: expected at most {least}" in problem
    assert "would wait for ever" in problem
    line = int(problem.removeprefix(f"{tmp_path / 'local.yaml'}:").partition(":")[0])
    assert f"{key}: {serving[key]}" in (tmp_path / "local.yaml").read_text().splitlines()[line - 1]


def test_what_is_too_large_in_two_ways_is_told_twice(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec["serving"] |= {"cpu": 3, "memory": "9Gi"}
    assert [one.split(": ")[1] for one in refused(tmp_path, spec)] == ["serving.cpu", "serving.memory"]


def test_a_replica_that_fills_a_node_is_taken(tmp_path: Path, spec: dict[str, Any]) -> None:
    spec["serving"] |= {"cpu": "1900m", "memory": "6248Mi"}
    assert load("local", write(tmp_path, spec)).serving.cpu == "1900m"
    spec["pools"]["serving"]["machine"], spec["serving"]["cpu"] = "medium", 3.5
    assert load("local", write(tmp_path, spec)).serving.cpu == "3500m"
