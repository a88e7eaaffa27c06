"""Machine classes: the same size on every cloud, or a floor that every cloud keeps, from a dated table with sources."""

import datetime
import functools
import gzip
import importlib.resources
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from trihull_infra.cloud import Cloud
from trihull_infra.machines import DATA, MACHINES, Accelerator, Actual, Architecture, Machine, read
from trihull_infra.registered import machine_of

CLOUDS = (Cloud.AWS, Cloud.GCP, Cloud.AZURE)  # those that have machine types
PLAIN = ["small", "medium", "large", "xlarge"]
ARM = [f"{name}-arm" for name in PLAIN]
ACCELERATED = ["t4", "mid-24", "a100-80", "h100"]
TABLE = tomllib.loads(DATA.read_text())


@functools.cache
def _instance_types() -> dict[str, Any]:
    """Return EC2's answers of DescribeInstanceTypes by type, as moto has them."""
    packed = (importlib.resources.files("moto") / "ec2/resources/instance_types.json.gz").read_bytes()
    answers: dict[str, Any] = json.loads(gzip.decompress(packed))
    return answers


def _of_ec2(name: str) -> Actual:
    answer = _instance_types()[name]
    gpus = answer.get("GpuInfo", {}).get("Gpus", [])
    return Actual(
        vcpus=answer["VCpuInfo"]["DefaultVCpus"],
        memory_gib=answer["MemoryInfo"]["SizeInMiB"] / 1024,
        accelerators=sum(gpu["Count"] for gpu in gpus),
        accelerator_memory_gib=min((gpu["MemoryInfo"]["SizeInMiB"] / 1024 for gpu in gpus), default=0.0),
    )


def _floor(machine: Machine) -> Actual:
    device = machine.accelerator or Accelerator("", 0.0, 0)
    return Actual(machine.vcpus, machine.memory_gib, device.count, device.memory_gib)


def _keeps(found: Actual, floor: Actual) -> bool:
    return (
        found.vcpus >= floor.vcpus
        and found.memory_gib >= floor.memory_gib
        and found.accelerators >= floor.accelerators
        and found.accelerator_memory_gib >= floor.accelerator_memory_gib
    )


def test_the_classes_are_those_that_the_documentation_names() -> None:
    assert set(MACHINES) == {*PLAIN, *ARM, *ACCELERATED}
    assert {name for name, one in MACHINES.items() if one.architecture is Architecture.ARM64} == set(ARM)
    assert {name for name, one in MACHINES.items() if one.accelerator} == set(ACCELERATED)
    assert all(one.name == name for name, one in MACHINES.items())


def test_the_first_classes_have_the_types_that_they_always_had() -> None:
    assert {cloud: MACHINES["small"].types[cloud] for cloud in CLOUDS} == {
        Cloud.AWS: ("m7i.large", "m7a.large", "m6i.large"),
        Cloud.GCP: ("n2-standard-2",),
        Cloud.AZURE: ("Standard_D2s_v5",),
    }
    assert [MACHINES[name].types[Cloud.AWS][0] for name in ("medium", "large")] == ["m7i.xlarge", "m7i.2xlarge"]


def test_every_cloud_is_asked_for_its_types_and_answers_with_a_tuple() -> None:
    for machine in MACHINES.values():
        assert set(machine.types) == set(Cloud)
        assert all(isinstance(machine.types[cloud], tuple) for cloud in Cloud)


def test_gcp_and_azure_take_one_type_for_a_pool() -> None:
    assert all(len(machine.types[cloud]) <= 1 for machine in MACHINES.values() for cloud in (Cloud.GCP, Cloud.AZURE))


def test_classes_go_from_small_to_large() -> None:
    sizes = [(machine.vcpus, machine.memory_gib) for machine in MACHINES.values()]
    assert sizes == sorted(sizes)


def test_an_instance_type_belongs_to_one_class() -> None:
    types = [name for machine in MACHINES.values() for cloud in Cloud for name in machine.types[cloud]]
    assert len(set(types)) == len(types)
    for machine in MACHINES.values():
        assert all(machine_of(name) is machine for cloud in Cloud for name in machine.types[cloud])


def test_what_a_cloud_has_is_known_of_each_cloud_with_types_and_of_no_other() -> None:
    for machine in MACHINES.values():
        assert set(machine.actual) == {cloud for cloud in Cloud if machine.types[cloud]}
        assert set(machine.products) <= set(machine.actual)
        assert set(machine.accelerator_types) <= set(machine.actual)


@pytest.mark.parametrize("name", [*PLAIN, *ARM])
def test_a_class_without_an_accelerator_is_exactly_its_size_on_every_cloud(name: str) -> None:
    machine = MACHINES[name]
    assert all(found == _floor(machine) for found in machine.actual.values())
    assert machine.memory_gib == 4 * machine.vcpus
    assert not machine.products
    assert not machine.accelerator_types


@pytest.mark.parametrize("name", PLAIN)
def test_a_size_on_arm_equals_the_size_of_the_same_name(name: str) -> None:
    assert _floor(MACHINES[name]) == _floor(MACHINES[f"{name}-arm"])


@pytest.mark.parametrize("name", ACCELERATED)
def test_every_cloud_keeps_the_floor_of_a_class_with_an_accelerator(name: str) -> None:
    machine = MACHINES[name]
    assert machine.accelerator is not None
    assert machine.accelerator.class_name == name
    assert all(_keeps(found, _floor(machine)) for found in machine.actual.values())


@pytest.mark.parametrize("name", ACCELERATED)
def test_a_floor_is_as_high_as_the_clouds_allow(name: str) -> None:
    machine = MACHINES[name]
    assert machine.vcpus == min(found.vcpus for found in machine.actual.values())
    assert machine.memory_gib == min(found.memory_gib for found in machine.actual.values())


@pytest.mark.parametrize("name", ACCELERATED)
def test_an_accelerator_has_a_name_for_people_wherever_it_is_available(name: str) -> None:
    machine = MACHINES[name]
    assert set(machine.products) == set(machine.actual)
    assert all(machine.products.values())
    assert (Cloud.GCP in machine.accelerator_types) == bool(machine.types[Cloud.GCP])


def test_a_node_may_have_more_devices_than_its_class_promises() -> None:
    machine = MACHINES["a100-80"]
    assert machine.accelerator == Accelerator("a100-80", 80.0, 1)
    assert machine.actual[Cloud.AWS] == Actual(96, 1152.0, 8, 80.0)
    assert machine.actual[Cloud.GCP] == Actual(12, 170.0, 1, 80.0)


@pytest.mark.parametrize("name", MACHINES)
def test_ec2_gives_every_type_the_architecture_of_its_class(name: str) -> None:
    machine = MACHINES[name]
    wanted = {Architecture.AMD64: "x86_64", Architecture.ARM64: "arm64"}[machine.architecture]
    for one in machine.types[Cloud.AWS]:
        assert _instance_types()[one]["ProcessorInfo"]["SupportedArchitectures"] == [wanted], one


@pytest.mark.parametrize("name", MACHINES)
def test_ec2_gives_every_type_the_size_of_its_class(name: str) -> None:
    machine = MACHINES[name]
    for one in machine.types[Cloud.AWS]:
        found = _of_ec2(one)
        assert _keeps(found, _floor(machine)) if machine.accelerator else found == _floor(machine), one


@pytest.mark.parametrize("name", ACCELERATED)
def test_ec2_gives_the_first_type_what_the_table_says_of_it(name: str) -> None:
    machine = MACHINES[name]
    found, said = _of_ec2(machine.types[Cloud.AWS][0]), machine.actual[Cloud.AWS]
    assert (found.vcpus, found.memory_gib, found.accelerators) == (said.vcpus, said.memory_gib, said.accelerators)
    assert found.accelerator_memory_gib == pytest.approx(said.accelerator_memory_gib, abs=0.01)


@pytest.mark.parametrize("name", MACHINES)
def test_ec2_sells_every_type_on_spot(name: str) -> None:
    for one in MACHINES[name].types[Cloud.AWS]:
        assert "spot" in _instance_types()[one]["SupportedUsageClasses"], one


@pytest.mark.parametrize("name", ACCELERATED)
def test_the_product_on_aws_is_the_device_that_ec2_names(name: str) -> None:
    machine = MACHINES[name]
    for one in machine.types[Cloud.AWS]:
        assert all(gpu["Manufacturer"] == "NVIDIA" for gpu in _instance_types()[one]["GpuInfo"]["Gpus"])
        assert all(gpu["Name"] in machine.products[Cloud.AWS] for gpu in _instance_types()[one]["GpuInfo"]["Gpus"])


ROW = """
version = 2
date = "2026-11-24"
[classes.one]
vcpus = 4
memory_gib = 15
architecture = "amd64"
accelerator = {class = "one", memory_gib = 16, count = 1}
[classes.one.types]
aws = ["first", "second"]
azure = []
[classes.one.actual]
aws = {memory_gib = 16}
"""


def test_a_cloud_without_types_does_not_have_the_class(tmp_path: Path) -> None:
    path = tmp_path / "machines.toml"
    path.write_text(ROW)
    machine = read(path)["one"]
    assert machine.types == {cloud: ("first", "second") if cloud is Cloud.AWS else () for cloud in Cloud}
    assert machine.actual == {Cloud.AWS: Actual(4, 16.0, 1, 16.0)}


def test_a_table_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "machines.toml"
    path.write_text(ROW.replace("version = 2", "version = 1"))
    with pytest.raises(ValueError, match="expected format version 2, found 1"):
        read(path)


def test_the_table_has_no_key_that_nobody_reads() -> None:
    known = {"vcpus", "memory_gib", "architecture", "accelerator", "types", "products", "actual", "accelerator_types"}
    for row in TABLE["classes"].values():
        assert set(row) <= known
        for said in row.get("actual", {}).values():
            assert set(said) <= {"vcpus", "memory_gib", "accelerators", "accelerator_memory_gib"}


def test_the_table_is_dated_and_names_its_sources() -> None:
    text = DATA.read_text()
    assert datetime.date.fromisoformat(TABLE["date"]) >= datetime.date(2026, 11, 1)
    assert "Sources" in text
    assert "Not looked up" in text
