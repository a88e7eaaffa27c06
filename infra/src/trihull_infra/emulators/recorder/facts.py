"""What an SDK knows about a type, read by `ast` from its generated source and kept on disk per SDK version.

The generated classes say: every argument with its name on the wire and its type, which are required, which outputs may
be absent, which outputs are secret, and (Azure above all) the allowed values. What they do not say, what forces a
replacement, stands in `replaces/`.
"""

import ast
import dataclasses
import functools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trihull_infra.emulators.recorder.packages import Package, package
from trihull_infra.errors import EmulatorError
from trihull_runtime import paths
from trihull_runtime.contract.codec import write_file

PARSING = threading.Lock()  # before 3.13 `ast.parse` fails when two threads are in it (CPython issue 106905)
FORMAT = 5  # of the files on disk: another number reads the SDK again


@dataclasses.dataclass(frozen=True)
class Type:
    """A property's type: `kind` is str, int, float, bool, any, list, map, object or enum.

    `of` is the element of a list or map; `name` the class of an object or enum; `also` says that an enum takes any
    string by type (its values are still the cloud's list).
    """

    kind: str
    of: "Type | None" = None
    name: str = ""
    also: bool = False


ANY = Type("any")


@dataclasses.dataclass(frozen=True)
class Property:
    """One property on the wire: its camel-case name, type, and whether it must be there."""

    name: str
    type: Type
    required: bool


@dataclasses.dataclass(frozen=True)
class Facts:
    """All an SDK knows about one type."""

    token: str
    inputs: Mapping[str, Property]
    outputs: Mapping[str, Property]
    secrets: tuple[str, ...]
    objects: Mapping[str, Mapping[str, Property]]
    enums: Mapping[str, tuple[str, ...]]

    @property
    def output_only(self) -> tuple[str, ...]:
        """Properties that only the cloud sets."""
        return tuple(name for name in self.outputs if name not in self.inputs)

    @property
    def input_only(self) -> tuple[str, ...]:
        """Arguments that never come back: in azure-native the parts of a resource's path."""
        return tuple(name for name in self.inputs if name not in self.outputs)


@functools.lru_cache(maxsize=1024)
def facts(token: str) -> Facts:
    """Return what the installed SDK knows about a type token.

    Raises:
        EmulatorError: the SDK does not know the type.
    """
    sdk = package(token.partition(":")[0])
    token = unversioned(token)
    stored = _cache_file(sdk, token)
    if stored.is_file():
        value = json.loads(stored.read_text(encoding="utf-8"))
        if value.get("format") == FORMAT:
            return _decode(value)
    path = sdk.file(token)
    if path is None:
        raise EmulatorError(f"{token} is not a type of {sdk.module} {sdk.version}")
    with PARSING:
        found = _Reader(path, sdk.folder).read(token, sdk.types[token][1])
    write_file(stored, json.dumps(_encode(found)).encode())
    return found


def unversioned(token: str) -> str:
    """Return `azure-native:storage:X` for `azure-native:storage/v20230101:X`; other tokens as they are."""
    return re.sub(r"^(azure-native:\w+)/v\d{8}(?:preview|privatepreview)?:", r"\1:", token)


def _cache_file(sdk: Package, token: str) -> Path:
    name = re.sub(r"[^A-Za-z0-9]+", "-", token)
    return paths.cache_home() / "emulators" / "facts" / f"{sdk.name}-{sdk.version}" / f"{name}.json"


def _encode(value: Facts) -> dict[str, Any]:
    return {"format": FORMAT, **dataclasses.asdict(value)}


def _decode(value: dict[str, Any]) -> Facts:
    def kind(entry: dict[str, Any]) -> Type:
        return Type(entry["kind"], kind(entry["of"]) if entry["of"] else None, entry["name"], entry["also"])

    def properties(entries: dict[str, Any]) -> dict[str, Property]:
        return {key: Property(item["name"], kind(item["type"]), item["required"]) for key, item in entries.items()}

    return Facts(
        token=value["token"],
        inputs=properties(value["inputs"]),
        outputs=properties(value["outputs"]),
        secrets=tuple(value["secrets"]),
        objects={name: properties(entries) for name, entries in value["objects"].items()},
        enums={name: tuple(values) for name, values in value["enums"].items()},
    )


class _Reader:
    """Reads one type's file and, from its module's `_inputs.py`, `outputs.py` and `_enums.py`, the parts it names."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root
        self._folder = path.parent  # whose classes plain names mean: changes while another module's class is read
        self._objects: dict[str, dict[str, Property]] = {}
        self._wanted: list[tuple[str, Path, ast.ClassDef, str]] = []  # objects named but not read yet
        self._enums: dict[str, tuple[str, ...]] = {}

    def read(self, token: str, name: str) -> Facts:
        text = self._path.read_text(encoding="utf-8")
        resource = _class(text, name)
        if resource is None:
            raise EmulatorError(f"{self._path} does not define {name}")
        made = re.search(r"__props__ = (\w+)\.__new__", text)  # not always NameArgs: BucketVersioningInitArgs
        arguments = _class(text, made[1] if made else f"{name}Args")
        inputs = self._arguments(arguments) if arguments else {}
        outputs = {
            wire: Property(wire, kind, not optional) for wire, kind, optional in self._getters(resource, "outputs")
        }
        while self._wanted:
            key, self._folder, node, side = self._wanted.pop()
            required = _required(node)
            self._objects[key].update(
                {
                    wire: Property(wire, kind, python in required and not optional)
                    for python, wire, kind, optional in self._named_getters(node, side)
                }
            )
        return Facts(token, inputs, outputs, _secrets(resource), self._objects, self._enums)

    def _arguments(self, node: ast.ClassDef) -> dict[str, Property]:
        required = _required(node)
        return {
            wire: Property(wire, kind, python in required)
            for python, wire, kind, _ in self._named_getters(node, "inputs")
        }

    def _getters(self, node: ast.ClassDef, side: str) -> Iterator[tuple[str, Type, bool]]:
        for _, wire, kind, optional in self._named_getters(node, side):
            yield wire, kind, optional

    def _named_getters(self, node: ast.ClassDef, side: str) -> Iterator[tuple[str, str, Type, bool]]:
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and (wire := _wire_name(item)) is not None:
                assert item.returns is not None, f"{self._path}: {item.name} has no type"
                kind, optional = self._type(item.returns, side)
                yield item.name, wire, kind, optional

    def _type(self, node: ast.expr, side: str) -> tuple[Type, bool]:
        if isinstance(node, ast.Constant):
            return (ANY, True) if node.value is None else (self._named(str(node.value), side), False)
        if isinstance(node, ast.Subscript):
            outer, inner = ast.unparse(node.value).rpartition(".")[2], node.slice
            if outer in ("Input", "Output", "Awaitable"):
                return self._type(inner, side)
            if outer == "Optional":
                return self._type(inner, side)[0], True
            if outer in ("Sequence", "List"):
                return Type("list", self._type(inner, side)[0]), False
            if outer in ("Mapping", "Dict"):
                assert isinstance(inner, ast.Tuple)
                return Type("map", self._type(inner.elts[1], side)[0]), False
            if outer == "Union":
                assert isinstance(inner, ast.Tuple)
                return self._union(inner.elts, side)
        text = ast.unparse(node).rpartition(".")[2]
        return (Type(text) if text in ("str", "int", "float", "bool") else ANY), False

    def _union(self, nodes: list[ast.expr], side: str) -> tuple[Type, bool]:
        kinds = [self._type(node, side)[0] for node in nodes if not _is_dict_twin(node)]
        enums = [kind for kind in kinds if kind.kind == "enum"]
        if enums:
            return dataclasses.replace(enums[0], also=any(kind.kind == "str" for kind in kinds)), False
        distinct = list(dict.fromkeys(kinds))
        return (distinct[0] if len(distinct) == 1 else ANY), False

    def _named(self, text: str, side: str) -> Type:
        """Resolve a quoted name: a class of this module, or `_core.v1.PodSpecArgs` of another."""
        *dotted, name = text.replace("outputs.", "").split(".")
        before = self._folder
        if dotted:
            self._folder = self._root.joinpath(dotted[0].lstrip("_"), *dotted[1:])
        try:
            if self._load_enum(name):
                return Type("enum", name=name)
            key = f"{self._folder.relative_to(self._root).as_posix()}:{name}"
            return Type("object", name=key) if self._load_object(key, name, side) else ANY
        finally:
            self._folder = before

    def _load_enum(self, name: str) -> bool:
        if name not in self._enums:
            node = _class(_text(self._folder / "_enums.py"), name)
            if node is None:
                return False
            values = [item.value for item in node.body if isinstance(item, ast.Assign)]
            self._enums[name] = tuple(str(value.value) for value in values if isinstance(value, ast.Constant))
        return True

    def _load_object(self, key: str, name: str, side: str) -> bool:
        if key in self._objects:
            return True
        node = _class(_text(self._folder / ("_inputs.py" if side == "inputs" else "outputs.py")), name)
        if node is None:
            return False
        self._objects[key] = {}
        self._wanted.append((key, self._folder, node, side))
        return True


@functools.lru_cache(maxsize=8)
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _class(text: str, name: str) -> ast.ClassDef | None:
    """Parse one class only: the modules' shared files are up to 6 MB."""
    match = re.search(rf"^class {re.escape(name)}\b[^\n]*:\n(?:(?:[ \t][^\n]*)?\n)*", text, re.MULTILINE)
    if match is None:
        return None
    node = ast.parse(match[0]).body[0]
    return node if isinstance(node, ast.ClassDef) else None


def _wire_name(item: ast.FunctionDef) -> str | None:
    """Return the name a getter has on the wire; None for what is no getter."""
    for decorator in item.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called) != "pulumi.getter":
            continue
        keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
        for keyword in keywords:
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
        return item.name
    return None


def _required(node: ast.ClassDef) -> set[str]:
    """Return the constructor's arguments without a default."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            pairs = zip(item.args.kwonlyargs, item.args.kw_defaults, strict=True)
            names = {argument.arg for argument, default in pairs if default is None}
            return names | {name.rstrip("_") for name in names}
    return set()


def _secrets(node: ast.ClassDef) -> tuple[str, ...]:
    for item in ast.walk(node):
        if (
            isinstance(item, ast.keyword)
            and item.arg == "additional_secret_outputs"
            and isinstance(item.value, ast.List)
        ):
            return tuple(str(entry.value) for entry in item.value.elts if isinstance(entry, ast.Constant))
    return ()


def _is_dict_twin(node: ast.expr) -> bool:
    """Whether a union's member is the TypedDict twin of an Args class, or an output class taken as input."""
    return isinstance(node, ast.Constant) and (str(node.value).endswith("ArgsDict") or "outputs." in str(node.value))
