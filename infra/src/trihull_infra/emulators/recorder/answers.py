"""What a cloud answers to a creation: ids, names, links and times, made so that the same request gives the same answer.

Everything that a cloud would draw at random comes from a seed that is kept with the resource, so an update or a
restarted daemon computes the same id again.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trihull_infra.emulators.recorder.facts import Facts, Property, Type


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a provider instance creates: its region or location, its configuration, and the site's folders."""

    site: str
    region: str
    registries: Path
    configuration: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Request:
    """One resource about to be answered for."""

    facts: Facts
    name: str  # the resource's name in the program
    inputs: Mapping[str, Any]
    seed: str
    created: str  # RFC 3339, fixed at creation
    place: Place

    def hex(self, label: str, length: int) -> str:
        """Return stable hexadecimal digits for this resource."""
        return hashlib.sha256(f"{self.seed}/{label}".encode()).hexdigest()[:length]

    def number(self, label: str, low: int, high: int) -> int:
        """Return a stable number with low <= n < high."""
        return low + int(self.hex(label, 12), 16) % (high - low)

    def uuid(self, label: str) -> str:
        """Return a stable UUID of version 4."""
        digits = self.hex(label, 32)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def text(self, key: str, default: str = "") -> str:
        """Return a string input."""
        value = self.inputs.get(key)
        return default if value is None else str(value)


@dataclasses.dataclass(frozen=True)
class Answer:
    """A resource's id, and the outputs that are not its inputs."""

    id: str
    outputs: Mapping[str, Any]


def complete(request: Request, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return all outputs: the computed ones over the inputs, and a neutral value for every other that must be there."""
    facts = request.facts
    result: dict[str, Any] = {}
    for name, prop in facts.outputs.items():
        value = outputs.get(name, request.inputs.get(name))
        filled = _fill(facts, prop, value, 0)
        if filled is not None:
            result[name] = filled
    return result


def _fill(facts: Facts, prop: Property, value: Any, depth: int) -> Any:
    if value is None:
        return _neutral(facts, prop.type, depth) if prop.required else None
    return _deepen(facts, prop.type, value, depth)


def _deepen(facts: Facts, kind: Type, value: Any, depth: int) -> Any:
    """Add, inside an object given by the program, the parts that only the cloud sets."""
    if kind.kind == "list" and isinstance(value, list) and kind.of:
        return [_deepen(facts, kind.of, item, depth) for item in value]
    if kind.kind != "object" or not isinstance(value, Mapping) or depth > 6:
        return value
    known = facts.objects.get(kind.name, {})
    filled = {name: _fill(facts, prop, value.get(name), depth + 1) for name, prop in known.items()}
    return {**value, **{name: item for name, item in filled.items() if item is not None}}


def _neutral(facts: Facts, kind: Type, depth: int) -> Any:
    if kind.kind == "object":
        known = facts.objects.get(kind.name, {})
        if depth > 4:
            return {}
        return {name: _neutral(facts, prop.type, depth + 1) for name, prop in known.items() if prop.required}
    return {"str": "", "enum": "", "int": 0, "float": 0, "bool": False, "list": [], "map": {}}.get(kind.kind)
