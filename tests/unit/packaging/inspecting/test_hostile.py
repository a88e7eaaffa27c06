"""Images that nobody has to trust: refused by name or shown harmlessly, and never a traceback."""

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from tests.unit.packaging.inspecting import images
from tests.unit.packaging.inspecting.images import Memory
from trihull_packaging.inspecting import display
from trihull_packaging.inspecting.facts import image_value
from trihull_packaging.inspecting.gathering import Options, gather
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry.blobs import document_bytes
from trihull_runtime.artifacts.registry.layout import MANIFEST_TYPE

DEEP = Options(deep=True)
GATE = {"_type": images.STATEMENT, "predicateType": "https://trihull.dev/gate/v1"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: found.update(config=7), "expected a descriptor"),
        (lambda found: found["config"].update(digest="sha256:../../etc/passwd"), "expected a descriptor"),
        (lambda found: found["config"].update(size=True), "expected a descriptor"),
        (lambda found: found["config"].update(size=1 << 40), "is not read"),
        (lambda found: found.update(layers="none"), "layers: expected a list"),
        (lambda found: found.update(layers=[None]), "expected a descriptor"),
        (lambda found: found.update(layers=found["layers"] * 1000), "at most 1000 are read"),
        (lambda found: found.update(layers=found["layers"][:1]), "names 3 diff_ids for 1 layers"),
        (lambda found: found.update(mediaType=["x"], layers=None), "mediaType: expected a text"),
        (lambda found: found.pop("layers") and found.update(mediaType="text/plain"), "no image and no index"),
    ],
)
def test_a_manifest_of_wrong_types_is_refused(change: Any, problem: str) -> None:
    registry = Memory()
    digest = images.changed(registry, images.two_platforms(registry), change)
    with pytest.raises(LayoutError, match=problem):
        gather(registry, digest)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", []),
        ("config", {"Env": "PATH"}),
        ("config", {"Labels": {"a": 1}}),
        ("config", {"ExposedPorts": ["80"]}),
        ("config", {"User": {}}),
        ("rootfs", None),
        ("history", {}),
        ("history", ["x", "y", "z"]),
        ("architecture", 64),
    ],
)
def test_a_configuration_of_wrong_types_is_refused(key: str, value: object) -> None:
    registry = Memory()

    def change(manifest: dict[str, Any]) -> None:
        config = {**json.loads(registry.blobs[manifest["config"]["digest"]]), key: value}
        manifest["config"] = registry.document(manifest["config"]["mediaType"], config)
        registry.tags["alone"] = registry.document(MANIFEST_TYPE, manifest)["digest"]

    images.changed(registry, images.two_platforms(registry), change)
    with pytest.raises(LayoutError):
        gather(registry, "alone")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"[" * 100_000, b'"text"', b"\xff\xfe", b" " * (5 << 20)],
    ids=lambda data: repr(data[:5]),
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    registry = Memory(tags={"bad": images.digest_of(data)})
    registry.put(data)
    with pytest.raises(LayoutError):
        gather(registry, "bad")


def test_an_index_of_thousands_is_refused_before_its_images_are_read() -> None:
    registry = Memory()
    entry = {"mediaType": MANIFEST_TYPE, "digest": f"sha256:{'a' * 64}", "size": 1}
    with pytest.raises(LayoutError, match="names 500 images"):
        gather(registry, images.index(registry, *[entry] * 500))


def test_an_index_in_an_index_and_an_empty_one_are_refused() -> None:
    registry = Memory()
    inner = images.two_platforms(registry)
    entry = {"mediaType": MANIFEST_TYPE, "digest": inner, "size": len(registry.blobs[inner])}
    with pytest.raises(LayoutError, match="index inside an index"):
        gather(registry, images.index(registry, entry))
    with pytest.raises(LayoutError, match="has no image"):
        gather(registry, images.index(registry))


@pytest.mark.parametrize(
    "document",
    [
        {"dsseEnvelope": {"payload": "no base64!"}},
        {"payload": 7},
        {"dsseEnvelope": {"payload": "W10="}},
        {"_type": images.STATEMENT, "predicateType": 7},
        {"_type": images.STATEMENT, "predicateType": "https://cyclonedx.org/bom", "predicate": {"components": 7}},
        {"_type": images.STATEMENT, "predicateType": "https://cyclonedx.org/bom", "predicate": {"components": [7]}},
        {**GATE, "predicate": {"metrics": 1, "gates": [], "verdict": "passed"}},
        {**GATE, "predicate": {"metrics": {}, "gates": [], "verdict": "maybe"}},
    ],
)
def test_evidence_that_is_garbage_is_refused_by_name(document: dict[str, Any]) -> None:
    registry = Memory()
    entry = images.image(registry, images.parts())
    evidence = images.attach(registry, entry["digest"], "x", {})
    manifest = json.loads(registry.blobs[evidence])
    blob = manifest["layers"][0]["digest"]
    registry.blobs[blob] = document_bytes(document)
    with pytest.raises(LayoutError, match=evidence):
        gather(registry, entry["digest"])


WRONG: tuple[object, ...] = (None, True, -1, 10**400, 1.5, "", "\x1b[2J\n", "x" * 10_000, [], [[]], [7], {}, {"a": 7})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("values", [3, pytest.param(len(WRONG), marks=pytest.mark.nightly)])
@pytest.mark.parametrize("what", ["index", "manifest", "config", "evidence", "statement"])
def test_a_wrong_value_anywhere_is_shown_or_refused_and_never_a_traceback(what: str, values: int) -> None:
    """Each place of a document takes that many of the wrong values, turn by turn: with 3, each value comes to many."""
    registry = Memory()
    digest = images.two_platforms(registry)
    top = json.loads(registry.blobs[digest])
    manifest_digest = top["manifests"][0]["digest"]
    manifest = json.loads(registry.blobs[manifest_digest])
    evidence = images.attach(registry, manifest_digest, "https://cyclonedx.org/bom", images.bill(numpy=1))
    gate = {"metric": "accuracy", "minimum": 0.9, "value": 0.95, "passed": True}
    verdict = {"metrics": {"accuracy": 1.0}, "gates": [gate], "verdict": "passed"}
    gate_evidence = images.attach(registry, digest, "https://trihull.dev/gate/v1", verdict)
    statements = [json.loads(registry.blobs[one])["layers"][0]["digest"] for one in (evidence, gate_evidence)]
    of = {
        "index": [digest],
        "manifest": [manifest_digest],
        "config": [manifest["config"]["digest"]],
        "evidence": [evidence],
        "statement": statements,
    }
    outcomes = {
        outcome(registry, digest, target, new) for target in of[what] for new in variants(registry, target, values)
    }
    assert outcomes == {"refused", "shown"}


def variants(registry: Memory, target: str, values: int) -> Iterator[Any]:
    good = json.loads(registry.blobs[target])
    turn = itertools.cycle(WRONG)
    for path in places(good):
        for new in itertools.islice(turn, values):
            yield replaced(good, path, new)


def outcome(registry: Memory, digest: str, target: str, document: Any) -> str:
    good = registry.blobs[target]
    registry.blobs[target] = json.dumps(document).encode()
    try:
        facts = gather(registry, digest, DEEP)
    except LayoutError as error:
        return "refused" if str(error).startswith(registry.name) else f"does not say where: {error}"
    finally:
        registry.blobs[target] = good
    output = io.StringIO()
    display.show(Console(file=output, width=100), facts)
    json.dumps(image_value(facts), allow_nan=False)
    return "raw" if "\x1b" in output.getvalue() else "shown"
