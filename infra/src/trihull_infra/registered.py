"""Reading what a program registered: find resources by type, and values in their inputs, without knowing the order.

Inputs are by the engine's names (camel case), as mocks and the recorder report them. A value that is not known yet
(preview) or is not there reads as None.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trihull_infra import naming
from trihull_infra.machines import MACHINES, Machine
from trihull_infra.properties import PoolProperties


@dataclass(frozen=True)
class Registered:
    """A resource as a program registered it: type token, logical name, inputs by the names of the engine."""

    type: str
    name: str
    inputs: Mapping[str, Any]

    def get(self, *path: str | int) -> Any:
        """Return the value at `path` in the inputs, None when any step is missing."""
        value: Any = self.inputs
        for part in path:
            if isinstance(part, int):
                value = value[part] if isinstance(value, Sequence) and len(value) > part else None
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        return value


def of_type(registered: Sequence[Registered], token: str) -> list[Registered]:
    """Return the resources of a type, in the order of registration."""
    return [one for one in registered if one.type == token]


def the(registered: Sequence[Registered], token: str) -> Registered:
    """Return the first resource of a type; one without inputs when there is none: every question has an answer."""
    found = of_type(registered, token)
    return found[0] if found else Registered(token, "", {})


def machine_of(instance_type: str) -> Machine:
    """Return the machine class of an instance type; raises KeyError for one that no class names."""
    for machine in MACHINES.values():
        if any(instance_type in types for types in machine.types.values()):
            return machine
    raise KeyError(instance_type)


@dataclass(frozen=True)
class Half:
    """A node pool as a cloud has it: one half of a pool of ours; `taints` are their keys."""

    instance_type: str
    nodes_min: int
    nodes_max: int
    spot: bool
    labels: Mapping[str, str]
    taints: Collection[str]


def pools_of(halves: Sequence[Half]) -> tuple[PoolProperties, ...]:
    """Put the halves of each pool together, in the order of the pools' names."""
    names = sorted({half.labels.get(naming.POOL_LABEL, "") for half in halves})
    return tuple(
        _pool(name, [half for half in halves if half.labels.get(naming.POOL_LABEL, "") == name]) for name in names
    )


def _pool(name: str, halves: Sequence[Half]) -> PoolProperties:
    machine = machine_of(halves[0].instance_type)
    spot = sum(half.nodes_max for half in halves if half.spot)
    steady = sum(half.nodes_max for half in halves if not half.spot)
    return PoolProperties(
        name=name,
        vcpus=machine.vcpus,
        memory_gib=machine.memory_gib,
        architecture=machine.architecture,
        accelerator=machine.accelerator.class_name if machine.accelerator else None,
        nodes_min=sum(half.nodes_min for half in halves),
        nodes_max=steady + spot,
        on_demand_nodes_max=steady,
        spot_nodes_max=spot,
        labelled=bool(name) and all(_labelled(half, machine) for half in halves),
        tainted=all(_tainted(half, name, machine) for half in halves),
    )


def _labelled(half: Half, machine: Machine) -> bool:
    accelerator = machine.accelerator
    wanted = {naming.SPOT_LABEL: "true"} if half.spot else {}
    wanted |= {naming.ACCELERATOR_LABEL: accelerator.class_name} if accelerator else {}
    return wanted.items() <= dict(half.labels).items()


def _tainted(half: Half, name: str, machine: Machine) -> bool:
    """Whether what does not belong on these nodes is kept off."""
    wanted = {naming.SPOT_LABEL} if half.spot else set()
    wanted |= {naming.ACCELERATOR_LABEL} if machine.accelerator else set()
    return wanted <= set(half.taints) and (name != naming.SYSTEM_POOL or bool(half.taints))


def labels_of_all(registered: Sequence[Registered], keys: Sequence[str]) -> dict[str, str]:
    """Return the labels that every resource with labels (under any of `keys`) has alike."""
    found = [one.inputs[key] for one in registered for key in keys if isinstance(one.inputs.get(key), Mapping)]
    if not found:
        return {}
    return {key: value for key, value in found[0].items() if all(each.get(key) == value for each in found)}


def serving_account(text: object) -> tuple[str, ...]:
    """Return the ServiceAccount (`namespace/name`) that a binding names, nothing when it names another."""
    return (f"{naming.NAMESPACE}/{naming.SERVING}",) if naming.SERVING in str(text) else ()
