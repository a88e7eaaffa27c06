"""Components: whoever holds one reaches all that it made, and nothing is checked where nobody looks."""

import ast
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pulumi
import pytest

import trihull_infra
from tests.parity import mocks
from tests.parity.conftest import PROGRAMS
from tests.parity.mocks import Recording
from trihull_infra.cloud import Cloud

SOURCE = Path(trihull_infra.__file__).parent
PROGRAM_FILES = sorted(
    [
        *(SOURCE / "providers").rglob("*.py"),
        *(SOURCE / "workload").glob("*.py"),
        *(SOURCE / f"{name}.py" for name in ("site", "serving", "routing", "dns", "certificates", "program")),
    ]
)


@contextlib.contextmanager
def collected() -> Iterator[list[pulumi.ComponentResource]]:
    """Give every component that is made meanwhile."""
    made: list[pulumi.ComponentResource] = []
    original = pulumi.ComponentResource.__init__

    def remember(self: pulumi.ComponentResource, *args: object, **kwargs: object) -> None:
        made.append(self)
        original(self, *args, **kwargs)  # type: ignore[arg-type]  # handed on as it came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.ComponentResource, "__init__", remember)
        yield made


def reached(value: object) -> Iterator[pulumi.Resource]:
    """Give the resources in an attribute; in lists, maps and values as well."""
    if isinstance(value, pulumi.Resource):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from reached([getattr(value, field.name) for field in dataclasses.fields(value)])
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from reached(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from reached(item)


def unreached(recording: Recording, components: list[pulumi.ComponentResource]) -> list[str]:
    """Return what a component made and does not show; children of children count as reached through them."""
    shown = {
        one._name
        for component in components
        for key, value in vars(component).items()
        if not key.startswith("_")
        for one in reached(value)
    }
    return sorted(one.name for one in recording.resources if "trihull:" in one.parent and one.name not in shown)


@pytest.mark.parametrize("asked", ["local", "longestname1", "given"])
@pytest.mark.parametrize("cloud", list(Cloud))
def test_every_child_is_an_attribute_of_its_component(projects: Path, asked: str, cloud: Cloud) -> None:
    before = Path.cwd()
    os.chdir(projects / "site")
    try:
        with collected() as components:
            recording = mocks.run(PROGRAMS["site"], project="trihull-site", stack=f"{asked}-{cloud}", preview=False)
    finally:
        os.chdir(before)
    assert components
    assert unreached(recording, components) == []


def applied(tree: ast.Module) -> Iterator[ast.AST]:
    """Give the bodies of what is applied to outputs: lambdas, and functions of the module by name."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply":
            for argument in node.args:
                if isinstance(argument, ast.Lambda):
                    yield argument
                elif isinstance(argument, ast.Name) and argument.id in functions:
                    yield functions[argument.id]


@pytest.mark.parametrize("file", PROGRAM_FILES, ids=[str(file.relative_to(SOURCE)) for file in PROGRAM_FILES])
def test_no_assertion_hides_in_an_apply(file: Path) -> None:
    """One there never runs in a preview, and its failure is told by nobody who could act on it."""
    hidden = [node for body in applied(ast.parse(file.read_text())) for node in ast.walk(body)]
    assert not [node for node in hidden if isinstance(node, ast.Assert)]


def test_an_assertion_in_an_apply_would_be_found() -> None:
    tree = ast.parse("def check(value):\n    assert value\n    return value\n\nx.id.apply(check)\n")
    assert [node for body in applied(tree) for node in ast.walk(body) if isinstance(node, ast.Assert)]
