"""Reading YAML that people write: into a strict pydantic model, with every mistake told at once in our words.

Each mistake has its line, its key and what was expected there, which is what the fields' descriptions say. What was
found stands there as it is written, and how to write it where quotes, or their absence, are the whole mistake.
"""

import copy
import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import pydantic
import yaml

from trihull_infra.errors import SpecError

Model = TypeVar("Model", bound=pydantic.BaseModel)
Place = tuple[int | str, ...]
_LIKE: Final = 0.7  # from here on a name counts as a misspelling of another (difflib's ratio)


class ElsewhereError(ValueError):
    """Mistakes that a validator finds at other keys: keys from the model that holds the field -> what to say."""

    def __init__(self, problems: Mapping[tuple[str, ...], str]) -> None:
        """Hold `problems`, each a whole message without file, line and key."""
        super().__init__("; ".join(problems.values()))
        self.problems = dict(problems)


def read(path: Path, model: type[Model], called: Mapping[str, str]) -> Model:
    """Read a file as a model.

    Args:
        path: the file.
        model: what it must say; strict, unknown keys forbidden, its fields described as "expected <description>".
        called: keys whose values follow from what the file is called.

    Raises:
        SpecError: the file cannot be read, is no YAML, or is not what the model asks for.
    """
    root, value = _parse(path)
    if not isinstance(value, dict):
        raise SpecError(f"{path}: expected keys and values, such as `version: 1`, found {_kind(value)}")
    problems: list[tuple[int, str, str]] = []
    for key, wanted in called.items():
        if key in value and value[key] != wanted:
            problem = f"expected {wanted}, as the file is called, found {_kind(value[key])}"
            problems.append((line_of(root, (key,)), key, problem))
    told = {(key,) for _, key, _ in problems}
    result = None
    try:
        result = _validate(model, value)
    except pydantic.ValidationError as error:
        for place, problem in _problems(model, error, root, value):
            if place not in told:
                problems.append((line_of(root, place), ".".join(str(part) for part in place), problem))
    except (TypeError, ValueError) as error:
        raise SpecError(f"{path}: holds a value that is no text, number, list or object: {error}") from error
    if problems or result is None:
        lines = [f"{path}:{line}: {key}: {problem}" for line, key, problem in sorted(problems)]
        raise SpecError("\n".join(lines))
    return result


def line(path: Path, key: str) -> int:
    """Return the line (from 1) of a dotted key in a file that `read` took, or of the deepest parent that is there."""
    return line_of(_parse(path)[0], tuple(key.split(".")))


def suggestion(name: str, known: list[str]) -> str:
    """Return `; did you mean <name>?` for the known name that is most like another, nothing when none is."""
    like = difflib.get_close_matches(name, known, n=1, cutoff=_LIKE)
    return f"; did you mean {like[0]}?" if like else ""


def _parse(path: Path) -> tuple[yaml.Node | None, Any]:
    """Return the nodes of a file and its value; raises SpecError."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        number = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}:{number}: is not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # libyaml: a ValueError for half a character
        raise SpecError(f"{path}: is not valid YAML: {error}") from error


def _validate(model: type[Model], value: Any) -> Model:
    # JSON mode is strict about types, yet takes a list for a tuple and a string for an enum.
    return model.model_validate_json(json.dumps(value))


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's reads ten times as fast, where it is there


class _Loader(_Safe):  # type: ignore[misc]  # one of the two
    """Safe YAML without dates and times (a version, a name or 22:00 is text), and without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str):
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{json.dumps(name)} stands twice", key.start_mark
                    )
                seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        # A key is text, whatever YAML 1.1 makes of it: `on`, `no` and `1` are names like any other.
        texts = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        if all(isinstance(key, str) for key in found) or len(texts) != len(found):
            return found
        return {key.value: found[self.construct_object(key)] for key, _ in node.value}


def _without(resolvers: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]


_Loader.yaml_implicit_resolvers = {
    first: _without(resolvers) for first, resolvers in _Safe.yaml_implicit_resolvers.items()
}


def _number(loader: _Loader, node: yaml.ScalarNode) -> object:
    """Read a number; 22:00 is a time of day, not 1320 as in YAML 1.1."""
    if ":" in node.value:
        return node.value
    make = loader.construct_yaml_int if node.tag.endswith(":int") else loader.construct_yaml_float
    return make(node)


# 1e-4 is a number, as in YAML 1.2; YAML 1.1 wants a point in it.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _number)


def _nodes(node: yaml.Node | None, place: Place) -> Iterator[tuple[yaml.Node, int]]:
    """Give what `place` names, part by part as far as it is there: the node of a value and the line of its key."""
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                return
            number, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            number = node.start_mark.line + 1
        else:
            return
        yield node, number


def line_of(root: yaml.Node | None, place: Place) -> int:
    """Return the line (from 1) of what `place` names, or of the deepest parent that is there."""
    return max((number for _, number in _nodes(root, place)), default=1)


def _problems(
    model: type[pydantic.BaseModel], error: pydantic.ValidationError, root: yaml.Node | None, value: Any
) -> Iterator[tuple[Place, str]]:
    """Give every mistake, with its place and in our words."""
    found = error.errors(include_url=False)
    places = [tuple(part for part in one["loc"] if part != "[key]") for one in found]
    for one, place in zip(found, places, strict=True):
        cause = one.get("ctx", {}).get("error")
        if isinstance(cause, ElsewhereError):
            yield from (((*place[:-1], *keys), problem) for keys, problem in cause.problems.items())
        # An item that is wrong makes its list wrong too; the item alone says what to do.
        elif not any(len(other) > len(place) and other[: len(place)] == place for other in places):
            written = _written(root, place, one["input"])
            yield place, _problem(model, one, place, written) + _hint(model, root, value, place)


def _problem(root: type[pydantic.BaseModel], error: Any, place: Place, written: str) -> str:
    """Say in our words what pydantic found wrong."""
    model, description = _described(root, place)
    if error["type"] == "extra_forbidden":
        known = [field.alias or key for key, field in model.model_fields.items()] if model else []
        return f"is unknown; known here: {', '.join(known)}{suggestion(str(place[-1]), known)}"
    if error["type"] == "missing":
        return f"is missing; expected {description}"
    if error["type"] == "value_error":
        message = str(error["ctx"]["error"])
        return message if ", found " in message or "; found " in message else f"{message}, found {written}"
    return f"expected {description or error['msg']}, found {written}"


def _written(root: yaml.Node | None, place: Place, value: object) -> str:
    """Return a value as it stands in the file: `1.30` and `0123` are not what YAML makes of them."""
    nodes = [node for node, _ in _nodes(root, place)]
    node = nodes[-1] if len(nodes) == len(place) and nodes else None
    if not isinstance(node, yaml.ScalarNode) or node.style or value is None:
        return _kind(value)
    read = _Loader("").construct_object(node)
    if isinstance(read, str) or read is None:
        return _kind(value)
    if isinstance(read, bool) and node.value.lower() not in ("true", "false"):
        return f"{node.value}, which YAML reads as {_kind(read)}"
    return str(node.value)


def _hint(model: type[pydantic.BaseModel], root: yaml.Node | None, value: Any, place: Place) -> str:
    """Say how to write a value where only quotes or brackets are wrong: it is tried, so the hint is right."""
    nodes = [node for node, _ in _nodes(root, place)]
    node = nodes[-1] if len(nodes) == len(place) and nodes else None
    if not isinstance(node, yaml.ScalarNode):
        return ""
    read = _Loader("").construct_object(node)
    if read is None:
        return ""
    if isinstance(read, str):
        other = _plain(node.value)
        way = f"; write it without quotes: {node.value}"
    else:
        other, way = node.value, f"; write it in quotes: {json.dumps(node.value)}"
    if other is not None and _is_taken(model, value, place, other):
        return way
    if _is_taken(model, value, place, [read]):
        return f"; write it as a list: [{node.value}]"
    return ""


def _plain(text: str) -> object:
    """Return what a text is without its quotes; None when it is text there too."""
    try:
        read = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError):
        return None
    return read if isinstance(read, int | float) else None


def _is_taken(model: type[pydantic.BaseModel], value: Any, place: Place, other: object) -> bool:
    """Whether nothing is wrong any more at a place, or below it, with another value there."""
    changed = copy.deepcopy(value)
    inner: Any = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = other
    try:
        _validate(model, changed)
    except pydantic.ValidationError as error:
        return all(tuple(one["loc"])[: len(place)] != place for one in error.errors(include_url=False))
    return True


def _described(root: type[pydantic.BaseModel], path: Place) -> tuple[type[pydantic.BaseModel] | None, str]:
    """Return the model that holds the last part of `path`, and what its field's description says."""
    model: type[pydantic.BaseModel] | None = root
    holder, description = model, ""
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        holder = model
        fields = {field.alias or key: field for key, field in model.model_fields.items()}
        if part not in fields:
            break
        description, annotation = fields[part].description or "", fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        models = [one for one in options if isinstance(one, type) and issubclass(one, pydantic.BaseModel)]
        model = models[0] if models else None
    return holder, description


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "keys and values" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
