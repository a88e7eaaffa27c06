"""Reading what a program registered: find resources by type, and values in their inputs, without knowing the order.

Inputs are by the engine's names (camel case), as mocks and the recorder report them. A value that is not known yet
(preview) or is not there reads as None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trihull_infra import naming
from trihull_infra.machines import MACHINES, Machine


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


def labels_of_all(registered: Sequence[Registered], keys: Sequence[str]) -> dict[str, str]:
    """Return the labels that every resource with labels (under any of `keys`) has alike."""
    found = [one.inputs[key] for one in registered for key in keys if isinstance(one.inputs.get(key), Mapping)]
    if not found:
        return {}
    return {key: value for key, value in found[0].items() if all(each.get(key) == value for each in found)}


def serving_account(text: object) -> tuple[str, ...]:
    """Return the ServiceAccount (`namespace/name`) that a binding names, nothing when it names another."""
    return (f"{naming.NAMESPACE}/{naming.SERVING}",) if naming.SERVING in str(text) else ()
