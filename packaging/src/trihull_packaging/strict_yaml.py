"""Reading YAML that people write: into a strict pydantic model, with every mistake told at once in YAML's words.

Each mistake has its line, its key, what was expected there and what was found as it is written. The twin of infra's
module of the same name: the two distributions never import each other.
"""

import copy
import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trihull_packaging.errors import SpecError

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]
_LIKE: Final = 0.7  # from here on a name counts as a misspelling of another (difflib's ratio)
# What pydantic's errors mean, where no field's description says more; {...} is filled from the error's context.
_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "less_than_equal": "at most {le:g}",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
}
_UNION: Final = re.compile(r"float|int|constrained-\w+|function-\w+\[.*\]")  # members of a union, in an error's place

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's reads ten times as fast, where it is there


class AtError(ValueError):
    """A mistake that a model's validator finds at one of its keys: the place below the model, and what is wrong."""

    def __init__(self, place: Place, problem: str) -> None:
        """Hold the place and the whole message without file, line and key."""
        super().__init__(problem)
        self.place = place


@dataclass(frozen=True)
class Document(Generic[Model]):
    """A document as a model, with the nodes that it was read from; `source` is what messages call it."""

    source: str
    model: Model
    root: Any

    def problem(self, place: Place, text: str) -> str:
        """Return a mistake with file, line and key."""
        return _told(self.source, self.root, place, text)


def parse(text: str, source: str, model: type[Model]) -> Document[Model]:
    """Read YAML text as a model; `source` is what messages call it.

    Raises:
        SpecError: it is no YAML, or not what the model asks for: a line for every mistake.
    """
    try:
        loader = _Strict(text)
        root = loader.get_single_node()
        value = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{source}:{line}: is not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{source}: is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise SpecError(f"{source}: expected keys and values, such as `name: digits`, found {_kind(value)}")
    try:
        return Document(source, model.model_validate(value), root)
    except ValidationError as error:
        problems: dict[Place, str] = {}
        for detail in error.errors():
            place = _place(detail)
            if place not in problems:  # every member of a union complains of the same value
                problems[place] = _problem(model, detail, place, root) + _hint(model, root, value, place)
        lines = [_told(source, root, place, problem) for place, problem in problems.items()]
        raise SpecError(
            "\n".join(sorted(lines, key=lambda line: int(line[len(source) + 1 :].split(":")[0])))
        ) from error


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean <name>?` for the known name that is most like another, nothing when none is."""
    like = difflib.get_close_matches(name, known, n=1, cutoff=_LIKE)
    return f"; did you mean {like[0]}?" if like else ""


class _Strict(Loader):  # type: ignore[misc]  # one of the two
    """YAML in which a key that is given twice is an error, 1e-4 is a number, and dates and 22:00 are text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str):
                if name in seen:
                    problem = f"the key {json.dumps(name, ensure_ascii=False)} is given twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found

    def construct_number(self, node: Any) -> object:
        """Read a number; 22:00 is a time of day, not 1320 as in YAML 1.1."""
        if ":" in node.value:
            return node.value
        make = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        return make(node)


_Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in Loader.yaml_implicit_resolvers.items()
}
_Strict.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
_Strict.add_constructor("tag:yaml.org,2002:int", _Strict.construct_number)
_Strict.add_constructor("tag:yaml.org,2002:float", _Strict.construct_number)


def _place(detail: ErrorDetails) -> Place:
    parts = [part for part in detail["loc"] if part != "[key]"]
    while len(parts) > 1 and isinstance(parts[-1], str) and _UNION.fullmatch(parts[-1]):
        parts.pop()
    cause = detail.get("ctx", {}).get("error")
    return (*parts, *cause.place) if isinstance(cause, AtError) else tuple(parts)


def _told(source: str, root: Any, place: Place, problem: str) -> str:
    line = max((number for _, number in _nodes(root, place)), default=1)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return f"{source}:{line}: {key}: {problem}" if key else f"{source}:{line}: {problem}"


def _nodes(node: Any, place: Place) -> Iterator[tuple[Any, int]]:
    """Give what `place` names, part by part as far as it is there: the node of a value and the line (from 1)."""
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                return
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return
        yield node, line


def _scalar(root: Any, place: Place) -> Any:
    """Return the node of a text or a number at a place; None when something else is there, or nothing."""
    nodes = [node for node, _ in _nodes(root, place)]
    return nodes[-1] if nodes and len(nodes) == len(place) and isinstance(nodes[-1], yaml.ScalarNode) else None


def _problem(model: type[BaseModel], detail: ErrorDetails, place: Place, root: Any) -> str:
    holder, description = _described(model, place)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = [field.alias or name for name, field in holder.model_fields.items()]
        return f"is unknown; known here: {', '.join(known)}{suggestion(str(place[-1]), known)}"
    if kind == "missing":
        return f"is missing; expected {description}"
    if kind == "value_error":
        cause = context["error"]
        if isinstance(cause, AtError) or "[key]" in detail["loc"]:
            return str(cause)  # it names what was found, or the key does
        return f"{cause}, found {_written(root, place, detail)}"
    expected = _EXPECTED[kind].format(**context) if kind in _EXPECTED else ""
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", str(context["expected"]))
        expected = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return f"expected {description or expected or detail['msg']}, found {_written(root, place, detail)}"


def _written(root: Any, place: Place, detail: ErrorDetails) -> str:
    """Return a value as it stands in the document: `1.10` and `no` are not what YAML makes of them."""
    node, value = _scalar(root, place), detail["input"]
    if node is None or isinstance(value, str) or value is None:
        return _kind(value)
    if isinstance(value, bool) and node.value.lower() not in ("true", "false"):
        return f"{node.value}, which YAML reads as {_kind(value)}"
    return str(node.value)


def _hint(model: type[BaseModel], root: Any, value: Any, place: Place) -> str:
    """Say how to write a value where only quotes or brackets are wrong: it is tried, so the hint is right."""
    node = _scalar(root, place)
    if node is None or (read := _Strict("").construct_object(node)) is None:
        return ""
    if isinstance(read, str):
        try:
            other = yaml.load(node.value, Loader=_Strict)  # noqa: S506  a SafeLoader
        except (yaml.YAMLError, ValueError):
            other = None
        ways = [(other, f"; write it without quotes: {node.value}")] if isinstance(other, int | float) else []
    else:
        ways = [(node.value, f"; write it in quotes: {json.dumps(node.value)}")]
    for other, way in [*ways, ([read], f"; write it as a list: [{node.value}]")]:
        if _is_taken(model, value, place, other):
            return way
    return ""


def _is_taken(model: type[BaseModel], value: Any, place: Place, other: object) -> bool:
    """Whether nothing is wrong any more at a place, or below it, with another value there."""
    changed = copy.deepcopy(value)
    inner: Any = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = other
    try:
        model.model_validate(changed)
    except ValidationError as error:
        return all(_place(detail)[: len(place)] != place for detail in error.errors())
    return True


def _described(root: type[BaseModel], place: Place) -> tuple[type[BaseModel], str]:
    """Return the model that holds the last part of `place`, and what its field's description says; "" of an item."""
    holder, model, description = root, root, ""
    for part in place:
        description = ""
        if isinstance(part, int):
            continue
        holder = model
        field = {field.alias or name: field for name, field in model.model_fields.items()}.get(part)
        if field is None:
            break
        description = field.description or ""
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [one for one in options if isinstance(one, type) and issubclass(one, BaseModel)]
        if models:
            model = models[0]
    return holder, description


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "keys and values" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)
