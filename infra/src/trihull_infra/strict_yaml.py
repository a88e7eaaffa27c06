"""Reading YAML that people write: into a strict pydantic model, with every mistake told at once in our words.

Each mistake has its line, its key and what was expected there, which is what the fields' descriptions say.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from trihull_infra.errors import SpecError

Model = TypeVar("Model", bound=pydantic.BaseModel)


def read(path: Path, model: type[Model], called: Mapping[str, str]) -> Model:
    """Read a file as a model.

    Args:
        path: the file.
        model: what it must say; strict, unknown keys forbidden, its fields described as "expected <description>".
        called: keys whose values follow from what the file is called.

    Raises:
        SpecError: the file cannot be read, is no YAML, or is not what the model asks for.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_Loader)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}:{line}: is not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise SpecError(f"{path}: expected keys and values, such as `version: 1`, found {_kind(value)}")
    problems: list[tuple[int, str, str]] = []
    for key, wanted in called.items():
        if key in value and value[key] != wanted:
            problem = f"expected {wanted}, as the file is called, found {value[key]!r}"
            problems.append((_line(root, (key,)), key, problem))
    told = {(key,) for _, key, _ in problems}
    result = None
    try:
        # JSON mode is strict about types, yet takes a list for a tuple and a string for an enum.
        result = model.model_validate_json(json.dumps(value))
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        places = [tuple(part for part in one["loc"] if part != "[key]") for one in found]
        for one, place in zip(found, places, strict=True):
            # An item that is wrong makes its list wrong too; the item alone says what to do.
            inside = any(len(other) > len(place) and other[: len(place)] == place for other in places)
            if not inside and place not in told:
                key = ".".join(str(part) for part in place)
                problems.append((_line(root, place), key, _problem(model, one, place)))
    except (TypeError, ValueError) as error:
        raise SpecError(f"{path}: holds a value that is no text, number, list or object: {error}") from error
    if problems or result is None:
        lines = [f"{path}:{line}: {key}: {problem}" for line, key, problem in sorted(problems)]
        raise SpecError("\n".join(lines))
    return result


class _Loader(yaml.SafeLoader):
    """Safe YAML without dates (a version or a name is text), and without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str):
                if name in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands twice", key.start_mark)
                seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """Return the line (from 1) of what `path` names, or of the deepest parent that is there."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _problem(root: type[pydantic.BaseModel], error: Any, place: tuple[int | str, ...]) -> str:
    """Say in our words what pydantic found wrong."""
    model, description = _described(root, place)
    if error["type"] == "extra_forbidden":
        known = [field.alias or key for key, field in model.model_fields.items()] if model else []
        return f"is unknown; known here: {', '.join(known)}"
    if error["type"] == "missing":
        return f"is missing; expected {description}"
    found = f", found {_kind(error['input'])}"
    if error["type"] == "value_error":
        return f"{error['ctx']['error']}{'' if 'found' in str(error['ctx']['error']) else found}"
    return f"expected {description or error['msg']}{found}"


def _described(
    root: type[pydantic.BaseModel], path: tuple[int | str, ...]
) -> tuple[type[pydantic.BaseModel] | None, str]:
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
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "nothing" if value is None else json.dumps(value)
