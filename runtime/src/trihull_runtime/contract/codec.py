"""JSON to frozen dataclasses and back, strictly: the one codec of all documents.

A document is a dataclass whose first field is `version: int`; `CURRENT` in the class is the version it speaks.
Supported types: str, int, float, bool, StrEnum, nested dataclass, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`, and
any of them narrowed by `Annotated[X, Pattern(...)]` or `Annotated[X, Range(...)]`.
"""

import dataclasses
import difflib
import enum
import functools
import json
import math
import os
import re
import tempfile
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from trihull_runtime.contract.errors import ContractError

DIGEST = r"sha256:[0-9a-f]{64}"  # OCI image specification, descriptor.md, registered algorithms
NAME = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1123 label: valid in Kubernetes, Envoy and DNS alike


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A string must match this regular expression as a whole; a `secret` one is never repeated in an error."""

    regex: str
    secret: bool = False


@dataclasses.dataclass(frozen=True)
class Range:
    """A number must lie between these bounds, both included; None is no bound."""

    minimum: float | None = None
    maximum: float | None = None


SCALARS: Final = {str: "a string", int: "a whole number", bool: "true or false"}  # type -> what errors call it
Digest = Annotated[str, Pattern(DIGEST)]
Name = Annotated[str, Pattern(NAME)]
Certificate = Annotated[str, Pattern(r"(?s)-----BEGIN CERTIFICATE-----.+")]


class Document:
    """A dataclass that is stored as one JSON file with a `version`."""

    CURRENT: ClassVar[int] = 1

    @classmethod
    def parse(cls, data: bytes | str, source: str = "") -> Self:
        """Read a document.

        Args:
            data: JSON text, UTF-8.
            source: what to call it in errors, as a rule the file name; the class's name when empty.

        Raises:
            ContractError: not JSON, duplicate keys, another version, or a field that is unknown, missing or wrong.
        """
        name = source or cls.__name__
        try:
            value = json.loads(data, object_pairs_hook=functools.partial(_unique, name), parse_constant=_no_constant)
        except ContractError:
            raise
        except (ValueError, RecursionError) as error:
            raise ContractError(name, "", f"is not valid JSON: {error}") from error
        return cls.from_value(value, name)

    @classmethod
    def from_value(cls, value: Any, source: str = "") -> Self:
        """Build a document from what `json.loads` returned; raises as `parse` does."""
        name = source or cls.__name__
        if not isinstance(value, dict):
            raise ContractError(name, "", f"expected an object, found {_kind(value)}")
        if "version" not in value:
            raise ContractError(name, "version", "is missing")
        if value["version"] != cls.CURRENT or isinstance(value["version"], bool):
            problem = f"is {value['version']!r}, but this trihull reads version {cls.CURRENT} of {cls.__name__}"
            raise ContractError(name, "version", problem)
        result = _decoder(typing.cast("type", cls))(value, name, None)
        assert isinstance(result, cls)
        return result

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a document from a file; raises `ContractError` also when the file cannot be read."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ContractError(str(path), "", f"cannot be read: {error.strerror or error}") from error
        return cls.parse(data, str(path))

    def to_value(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` accepts, in the order of the fields."""
        value = _encode(self)
        assert isinstance(value, dict)
        return value

    def to_json(self) -> str:
        """Return the document as indented JSON with a final newline: deterministic, made to be read and compared."""
        return json.dumps(self.to_value(), indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the document to `path` so that a reader sees the old file or the new one, never a part of it."""
        write_file(path, self.to_json().encode())


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file through a temporary name, fsync and rename; parent folders are made.

    Raises:
        OSError: as the system reports it; the temporary file is removed and the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _unique(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ContractError(name, key, "stands twice in one object")
        result[key] = value
    return result


def _no_constant(token: str) -> float:
    raise ValueError(f"{token} is not a JSON number")


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


Place = tuple["Place", str | int] | None  # of a value in its document: its parent's, and its own key or index
Decoder = Callable[[Any, str, Place], Any]


@functools.cache
def _decoder(expected: Any) -> Decoder:
    """Return what makes a value of a type from JSON's, or raises with the document's name and the value's place."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is Annotated:
        return functools.partial(_narrowed, _decoder(arguments[0]), arguments[1:])
    if origin in (types.UnionType, typing.Union):
        inner = [argument for argument in arguments if argument is not types.NoneType]
        assert len(inner) == 1, f"only X | None is supported, not {expected}"
        return functools.partial(_optional, _decoder(inner[0]))
    if origin is tuple:
        return functools.partial(_sequence, _decoder(arguments[0]))
    if origin is Mapping:
        return functools.partial(_mapping, _decoder(arguments[1]))
    if dataclasses.is_dataclass(expected):
        assert isinstance(expected, type)
        return functools.partial(_object, expected, _fields(expected))
    if expected is float:
        return _number
    if isinstance(expected, type) and issubclass(expected, enum.StrEnum):
        return functools.partial(_member, expected)
    return functools.partial(_scalar, expected)


@functools.cache
def _fields(cls: type) -> dict[str, tuple[Decoder, bool]]:
    """Return name -> decoder of a dataclass's fields, and whether it may be left out."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: (_decoder(hints[field.name]), _has_default(field)) for field in dataclasses.fields(cls)}


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _narrowed(inner: Decoder, rules: Sequence[Any], value: Any, name: str, place: Place) -> Any:
    result = inner(value, name, place)
    for rule in rules:
        _check(rule, result, name, place)
    return result


def _optional(inner: Decoder, value: Any, name: str, place: Place) -> Any:
    return None if value is None else inner(value, name, place)


def _sequence(inner: Decoder, value: Any, name: str, place: Place) -> Any:
    _expect(isinstance(value, list), name, place, "a list", value)
    return tuple([inner(item, name, (place, index)) for index, item in enumerate(value)])


def _mapping(inner: Decoder, value: Any, name: str, place: Place) -> Any:
    _expect(isinstance(value, dict), name, place, "an object", value)
    return {key: inner(item, name, (place, key)) for key, item in value.items()}


def _object(cls: type, fields: Mapping[str, tuple[Decoder, bool]], value: Any, name: str, place: Place) -> Any:
    _expect(isinstance(value, dict), name, place, "an object", value)
    for key in value:
        if key not in fields:
            like = difflib.get_close_matches(key, fields, n=1, cutoff=0.7)
            meant = f"; did you mean {like[0]}?" if like else ""
            raise ContractError(name, _path((place, key)), f"is unknown; known here: {', '.join(fields)}{meant}")
    arguments: dict[str, Any] = {}
    for key, (decode, optional) in fields.items():
        if key in value:
            arguments[key] = decode(value[key], name, (place, key))
        elif not optional:
            raise ContractError(name, _path((place, key)), "is missing")
    try:
        return cls(**arguments)
    except ContractError as error:  # a rule between fields, raised by __post_init__ with a path of its own
        raise ContractError(name, _path((place, error.path) if error.path else place), error.problem) from error


def _number(value: Any, name: str, place: Place) -> Any:
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _expect(ok, name, place, "a number", value)
    return float(value)


def _member(expected: type[enum.StrEnum], value: Any, name: str, place: Place) -> Any:
    allowed = [member.value for member in expected]
    if not isinstance(value, str) or value not in allowed:
        raise ContractError(name, _path(place), f"is {value!r}; expected one of {', '.join(allowed)}")
    return expected(value)


def _scalar(expected: type, value: Any, name: str, place: Place) -> Any:
    _expect(type(value) is expected, name, place, SCALARS[expected], value)
    return value


def _check(rule: Any, value: Any, name: str, place: Place) -> None:
    match rule:
        case Pattern(regex, secret) if re.fullmatch(regex, value) is None:
            shown = "what it holds" if secret else repr(value)
            raise ContractError(name, _path(place), f"is {shown}, which does not match {regex}")
        case Range(minimum, _) if minimum is not None and value < minimum:
            raise ContractError(name, _path(place), f"is {value}, expected at least {minimum:g}")
        case Range(_, maximum) if maximum is not None and value > maximum:
            raise ContractError(name, _path(place), f"is {value}, expected at most {maximum:g}")


def _expect(holds: bool, name: str, place: Place, what: str, value: Any) -> None:
    if not holds:
        raise ContractError(name, _path(place), f"expected {what}, found {_kind(value)}")


def _path(place: Place) -> str:
    """Return a place as errors name it: `sites.aws.models[0].name`."""
    if place is None:
        return ""
    parent, own = _path(place[0]), place[1]
    if isinstance(own, int):
        return f"{parent}[{own}]"
    return f"{parent}.{own}" if parent else own


def _encode(value: Any) -> Any:
    if isinstance(value, enum.StrEnum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value
