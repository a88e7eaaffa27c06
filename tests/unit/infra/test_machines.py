"""Machine classes: the same size on every cloud, from a dated table with sources."""

import datetime
import tomllib

from trihull_infra.cloud import Cloud
from trihull_infra.machines import DATA, MACHINES
from trihull_infra.registered import machine_of


def test_every_class_has_a_type_on_every_cloud() -> None:
    assert list(MACHINES) == ["small", "medium", "large"]
    for machine in MACHINES.values():
        assert set(machine.types) == set(Cloud)
        assert all(machine.types[cloud] for cloud in Cloud)


def test_classes_go_from_small_to_large() -> None:
    sizes = [(machine.vcpus, machine.memory_gib) for machine in MACHINES.values()]
    assert sizes == sorted(sizes)


def test_an_instance_type_belongs_to_one_class() -> None:
    types = [name for machine in MACHINES.values() for cloud in Cloud for name in machine.types[cloud]]
    assert len(set(types)) == len(types)
    for machine in MACHINES.values():
        assert all(machine_of(name) is machine for cloud in Cloud for name in machine.types[cloud])


def test_the_table_is_dated_and_names_its_sources() -> None:
    text = DATA.read_text()
    assert datetime.date.fromisoformat(tomllib.loads(text)["date"]) >= datetime.date(2026, 11, 1)
    assert "Sources" in text
