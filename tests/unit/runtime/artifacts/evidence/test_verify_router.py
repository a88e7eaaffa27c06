"""The chain of the router's image: no release, gate or card, and every other link broken by what breaks it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import released
from tests.released import MadeRouter, public_key, signing_key
from tests.unit.runtime.artifacts.evidence.test_verify import OTHER, broken
from tests.unit.runtime.artifacts.images import file, tar_bytes
from trihull_packaging.steps import attest
from trihull_runtime.artifacts.evidence import contents, verify
from trihull_runtime.artifacts.evidence.contents import RELEASE_LABEL, TITLE_LABEL, VERSION_LABEL
from trihull_runtime.artifacts.evidence.statement import GATE, MODEL_CARD, PROVENANCE, SBOM, SIGNATURE
from trihull_runtime.artifacts.evidence.verify import Kind, Policy, Report
from trihull_runtime.artifacts.registry.blobs import blob_path
from trihull_runtime.contract.release import Attestation, RouterBuild

HOLDING = ["digest", "platforms", "router", "provenance", "sbom"]


@pytest.fixture
def router(tmp_path: Path) -> MadeRouter:
    return released.make_router(tmp_path / "router")


def look(made: MadeRouter, document: bool = True, **policy: Any) -> Report:
    return verify.verify(made.registry, made.digest, Policy(router=made.build if document else None, **policy))


def test_a_whole_router_build_holds(router: MadeRouter) -> None:
    report = look(router, lock_digest=router.subject.lock_digest)
    assert [link.name for link in report.links] == [*HOLDING, "document"]
    assert broken(report) == {}
    assert report.kind is Kind.ROUTER
    details = {link.name: link.detail for link in report.links}
    assert details["router"] == "trihull-router 0.1.0, runs trihull_runtime.router.supervised; it holds no model"
    assert details["sbom"] == "linux/amd64 4 packages, linux/arm64 4 packages"


def test_a_router_s_image_is_known_by_what_it_says_without_its_document(router: MadeRouter) -> None:
    report = look(router, document=False)
    assert [link.name for link in report.links] == HOLDING
    assert broken(report) == {}


def test_evidence_of_a_router_is_of_no_model(router: MadeRouter) -> None:
    assert [one.predicate_type for one in router.build.attestations] == [SBOM, SBOM, PROVENANCE]


def test_a_signed_router_holds_by_its_key_and_by_no_other(tmp_path: Path) -> None:
    made = released.make_router(tmp_path / "router", signing_key(tmp_path))
    assert [one.predicate_type for one in made.build.attestations][-1] == SIGNATURE
    report = look(made, keys=(public_key(tmp_path),))
    assert [link.name for link in report.links] == ["digest", "platforms", "router", "signature", "provenance", "sbom",
                                                    "document"]  # fmt: skip
    assert broken(report) == {}
    other = broken(look(made, keys=(public_key(tmp_path, 2),)))
    assert set(other) == {"signature", "provenance", "sbom"}
    assert "signed by another key" in other["signature"]


def test_an_unsigned_router_does_not_hold_by_a_key(router: MadeRouter, tmp_path: Path) -> None:
    assert set(broken(look(router, keys=(public_key(tmp_path),)))) == {"signature", "provenance", "sbom"}


def test_evidence_of_another_image_does_not_count(router: MadeRouter, tmp_path: Path) -> None:
    other = released.make_router(tmp_path / "other", upper=b"other code")
    for kind in (SBOM, PROVENANCE):
        router.remove(kind)
    attest.run(router.registry, other.subject, None)
    assert set(broken(look(router, document=False))) == {"provenance", "sbom"}


@pytest.mark.parametrize(("kind", "link"), [(SBOM, "sbom"), (PROVENANCE, "provenance")])
def test_removed_evidence_breaks_its_link_and_the_document(router: MadeRouter, kind: str, link: str) -> None:
    router.remove(kind)
    assert set(broken(look(router, document=False))) == {link}
    found = broken(look(router))
    assert set(found) == {link, "document"}
    assert "which is not attached to the image" in found["document"]


def layer_of(made: MadeRouter, place: int) -> Path:
    manifest = contents.read(made.registry, made.digest).platforms[0]
    return blob_path(made.registry.folder, manifest.layers[place].digest)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("change", [flip, Path.unlink, lambda path: path.write_bytes(path.read_bytes() + b"x")])
@pytest.mark.parametrize("place", [0, -1])
def test_a_changed_layer_breaks_the_digest(router: MadeRouter, change: Callable[[Path], object], place: int) -> None:
    change(layer_of(router, place))
    assert set(broken(look(router))) == {"digest"}


def test_a_lock_that_is_another_one_breaks_the_provenance(router: MadeRouter) -> None:
    assert set(broken(look(router, lock_digest=OTHER))) == {"provenance"}


def test_a_document_of_another_image_is_broken(router: MadeRouter) -> None:
    build = RouterBuild(1, OTHER, "image", (Attestation(SBOM, OTHER),))
    found = broken(verify.verify(router.registry, router.digest, Policy(router=build)))
    assert set(found) == {"document"}
    assert f"names {OTHER}" in found["document"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"entrypoint": ("/bin/sh",)}, "linux/amd64 does not run trihull_runtime.router.supervised, but '/bin/sh'"),
        ({"entrypoint": ()}, "linux/arm64 does not run trihull_runtime.router.supervised, but ''"),
        ({"platform_labels": {}}, "linux/amd64 is labelled None None"),
        ({"platform_labels": {**released.ROUTER_LABELS, VERSION_LABEL: "9"}}, "is labelled trihull-router 9"),
        ({"platform_labels": {**released.ROUTER_LABELS, RELEASE_LABEL: OTHER}}, "linux/amd64 is labelled"),
        ({"labels": {TITLE_LABEL: "trihull-router"}}, f"the index has no {VERSION_LABEL}"),
    ],
)
def test_an_image_that_only_calls_itself_a_router_s_is_broken(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    found = broken(look(released.make_router(tmp_path / "router", **changes), document=False))
    assert "router" in found
    assert said in found["router"]


def test_a_model_cannot_pass_for_a_router(tmp_path: Path) -> None:
    """A model's image has a gate to pass: neither another title nor a router's document lets it go without."""
    model = released.make(tmp_path / "release")
    build = RouterBuild(1, model.digest, "image")
    found = broken(verify.verify(model.registry, model.digest, Policy(router=build)))
    assert "the index is labelled None, not trihull-router, or names a release" in found["router"]
    layer = tar_bytes(
        [
            file("models/digits/manifest.json", manifest := _manifest(model)),
            file("models/digits/model.onnx", released.GRAPH),
        ]
    )
    assert manifest
    hidden = released.make_router(tmp_path / "router", upper=layer)
    report = look(hidden, document=False)
    assert report.kind is Kind.MODEL
    assert {"release", "gate", "card"} <= set(broken(report))
    assert "holds a model" in broken(look(hidden))["router"]


def _manifest(model: released.Made) -> bytes:
    return model.subject.manifest.to_json().encode()


@pytest.mark.parametrize("link", ["release", "gate", "card"])
def test_what_only_a_model_has_is_broken_when_it_is_asked_of_a_router(router: MadeRouter, link: str) -> None:
    found = broken(look(router, require=frozenset({link})))
    assert found == {link: f"the router's image holds no model, so it has no {link}"}


def test_a_gate_that_somebody_attached_to_a_router_says_nothing(router: MadeRouter, tmp_path: Path) -> None:
    model = released.make(tmp_path / "release")
    for kind in (GATE, MODEL_CARD):
        found = [one for one in model.release.attestations if one.predicate_type == kind]
        assert found
    assert broken(look(router)) == {}
    assert set(broken(look(router, require=frozenset({"gate"})))) == {"gate"}


def test_a_model_s_image_is_broken_as_a_router_s(tmp_path: Path) -> None:
    model = released.make(tmp_path / "release")
    report = verify.verify(model.registry, model.digest, Policy(frozenset({"router"})))
    assert set(broken(report)) == {"router"}
    assert report.kind is Kind.MODEL
