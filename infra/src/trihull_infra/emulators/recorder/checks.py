"""What a cloud's API would refuse: unknown arguments, missing ones, wrong types, values outside an allow-list."""

from collections.abc import Iterator, Mapping
from typing import Any

from trihull_infra.emulators.plugins.provider import Failure
from trihull_infra.emulators.plugins.values import UNKNOWN
from trihull_infra.emulators.recorder import allowed
from trihull_infra.emulators.recorder.facts import Facts, Property, Type

SCALARS = {"str": str, "bool": bool}


def check(facts: Facts, inputs: Mapping[str, Any]) -> list[Failure]:
    """Return everything wrong with a resource's inputs, each with the path of the property."""
    return list(_object(facts, facts.inputs, inputs, "", facts.token))


def _object(
    facts: Facts, known: Mapping[str, Property], values: Mapping[str, Any], path: str, owner: str
) -> Iterator[Failure]:
    for key, value in values.items():
        below = f"{path}.{key}" if path else key
        if key.startswith("__"):
            continue  # the engine's and the SDK's own marks
        if key not in known:
            near = ", ".join(sorted(known)[:40]) or "none"
            yield Failure(below, f"{below} is not an argument of {owner}; known arguments: {near}")
        elif value is not None:
            yield from _value(facts, known[key].type, value, below)
    for name, prop in known.items():
        if prop.required and values.get(name) is None:
            below = f"{path}.{name}" if path else name
            yield Failure(below, f"{below} is missing; {owner} requires it", missing=True)


def _value(facts: Facts, kind: Type, value: Any, path: str) -> Iterator[Failure]:
    if value is UNKNOWN or value is None or kind.kind == "any":
        return
    if kind.kind == "list":
        if not isinstance(value, list):
            yield Failure(path, f"{path} must be a list, not {_said(value)}")
            return
        for index, item in enumerate(value):
            yield from _value(facts, kind.of or kind, item, f"{path}[{index}]")
    elif kind.kind == "map":
        if not isinstance(value, Mapping):
            yield Failure(path, f"{path} must be a map, not {_said(value)}")
            return
        for key, item in value.items():
            yield from _value(facts, kind.of or kind, item, f'{path}["{key}"]')
    elif kind.kind == "object":
        if not isinstance(value, Mapping):
            yield Failure(path, f"{path} must be an object, not {_said(value)}")
            return
        yield from _object(
            facts,
            facts.objects[kind.name],
            value,
            path,
            f"{path} ({kind.name.rpartition(':')[2].removesuffix('Args')})",
        )
    elif kind.kind == "enum":
        listed = facts.enums[kind.name]
        if _listed_in_full(facts, kind) and str(value) not in listed:
            yield Failure(path, f"{path} is {value!r}; allowed values: {', '.join(listed)}")
    elif not _fits(kind.kind, value):
        yield Failure(path, f"{path} must be {_words(kind.kind)}, not {_said(value)}")
    elif (closed := allowed.values(facts.token, path)) is not None and str(value) not in closed:
        yield Failure(path, f"{path} is {value!r}; allowed values: {', '.join(closed)}")


def _listed_in_full(facts: Facts, kind: Type) -> bool:
    """AWS's open lists (machine types above all) lag behind the cloud; azure-native's are the API's own."""
    return not kind.also or facts.token.startswith("azure-native:")


def _fits(kind: str, value: Any) -> bool:
    if kind == "str":
        return isinstance(value, str | bool | int | float)  # providers take 5 for "5", and the engine's config is text
    if kind == "bool":
        return isinstance(value, bool) or value in ("true", "false")
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(kind: str) -> str:
    return {"str": "a string", "bool": "true or false", "int": "a whole number", "float": "a number"}[kind]


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else repr(value)
