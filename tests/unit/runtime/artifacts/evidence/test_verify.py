"""The chain: it holds for a whole release, and each link is broken by what breaks it, and named."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import released
from tests.released import Made
from tests.unit.runtime.artifacts.evidence.test_attached import store
from trihull_packaging.evidence import gate as gates
from trihull_packaging.evidence import model_card, provenance, sbom
from trihull_runtime.artifacts.errors import ContentError, EvidenceError, RegistryError
from trihull_runtime.artifacts.evidence import signing, verify
from trihull_runtime.artifacts.evidence.counting import gather
from trihull_runtime.artifacts.evidence.statement import GATE, MODEL_CARD, PROVENANCE, SBOM
from trihull_runtime.artifacts.evidence.verify import LINKS, Policy, Report
from trihull_runtime.artifacts.registry import blobs
from trihull_runtime.artifacts.registry.layout import LAYER_TYPE
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest
from trihull_runtime.contract.release import Attestation, Evaluation, Gate, Verdict

OTHER = f"sha256:{'9' * 64}"
AMD64 = "linux/amd64"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return released.make(tmp_path / "release")


def look(made: Made, *keys: signing.PublicKey, document: bool = True) -> Report:
    links = frozenset(LINKS) if keys else verify.UNSIGNED
    return verify.verify(made.registry, made.digest, Policy(links, keys, made.release if document else None))


def broken(report: Report) -> dict[str, str]:
    return {link.name: link.detail for link in report.broken}


def test_a_whole_release_holds(made: Made) -> None:
    report = look(made)
    assert [link.name for link in report.links] == [
        "digest", "platforms", "release", "provenance", "sbom", "gate", "card", "document",
    ]  # fmt: skip
    assert broken(report) == {}
    assert report.remarks == ()
    report.check()


def test_only_what_is_asked_for_is_looked_at(made: Made) -> None:
    made.remove(SBOM)
    report = verify.verify(made.registry, made.digest, Policy(frozenset({"gate"})))
    assert [link.name for link in report.links] == ["digest", "platforms", "gate"]
    assert broken(report) == {}


def manifest_of(made: Made, platform: str = AMD64) -> Descriptor:
    return made.subject.platforms[platform].manifest


def layers_of(made: Made) -> list[Descriptor]:
    value = json.loads(made.registry.read_manifest(manifest_of(made).digest).data)
    return [Descriptor(one["mediaType"], one["digest"], one["size"]) for one in (*value["layers"], value["config"])]


def blob(made: Made, digest: str) -> Path:
    return blobs.blob_path(made.registry.folder, digest)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (Path.unlink, "missing|cannot be read"),
        (lambda path: path.write_bytes(b"x" * path.stat().st_size), "does not have the digest"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "instead of|does not have the digest"),
        (lambda path: path.write_bytes(b""), "instead of|does not have the digest"),
    ],
)
def test_a_tampered_layer_or_configuration_breaks_the_digest(
    made: Made, which: int, damage: Callable[[Path], object], said: str
) -> None:
    found = layers_of(made)[which]
    damage(blob(made, found.digest))
    report = look(made)
    assert report.broken[0].name == "digest"
    assert found.digest.removeprefix("sha256:") in report.broken[0].detail
    with pytest.raises(EvidenceError, match=f"digest does not hold: .*({said})"):
        report.check()


def test_an_index_that_is_not_there_breaks_every_link(made: Made) -> None:
    report = verify.verify(made.registry, OTHER, Policy())
    assert set(broken(report)) == set(LINKS) - {"signature"}


def test_a_manifest_of_one_platform_is_no_image_to_verify(made: Made) -> None:
    report = verify.verify(made.registry, manifest_of(made).digest, Policy())
    assert "no image index" in broken(report)["digest"]


def test_a_platform_that_is_another_one_is_named(made: Made) -> None:
    index = json.loads(made.registry.read_manifest(made.digest).data)
    index["manifests"][0]["platform"]["architecture"] = "arm64"
    data = blobs.document_bytes(index)
    changed = Manifest(blobs.bytes_digest(data), made.subject.index.media_type, data)
    made.registry.write_manifest(changed)
    found = broken(verify.verify(made.registry, changed.digest, Policy(frozenset())))
    assert "as linux/arm64, its configuration says linux/amd64" in found["platforms"]
    assert "linux/arm64 is listed 2 times" in found["platforms"]


def test_a_label_that_is_not_the_manifest_s_digest_breaks_the_release(tmp_path: Path) -> None:
    report = look(released.make(tmp_path / "release", label=OTHER))
    assert set(broken(report)) == {"release"}
    assert f"the index is labelled {OTHER}" in broken(report)["release"]


def test_a_model_that_its_manifest_does_not_name_breaks_the_release(tmp_path: Path) -> None:
    report = look(released.make(tmp_path / "release", graph=b"another model"))
    assert report.broken[0].name == "release"
    assert "/models/digits/model.onnx has 13 bytes" in report.broken[0].detail


@pytest.mark.parametrize(
    ("kind", "link"), [(PROVENANCE, "provenance"), (SBOM, "sbom"), (GATE, "gate"), (MODEL_CARD, "card")]
)
def test_removed_evidence_breaks_its_link(made: Made, kind: str, link: str) -> None:
    made.remove(kind)
    report = look(made, document=False)
    assert set(broken(report)) == {link}
    assert "there is none for sha256:" in broken(report)[link]
    assert f"lists {kind}" in broken(look(made))["document"]


def replace_gate(made: Made, evaluation: Evaluation) -> None:
    made.remove(GATE)
    made.attach(made.subject.index, GATE, gates.document(replace(made.subject, evaluation=evaluation)))


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        (Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.93, 0.5, True),), Verdict.PASSED),
         "accuracy is 0.5, below 0.93, though it says passed"),
        (Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.93, 0.97, True),), Verdict.PASSED),
         "the gate of accuracy says 0.97, and its metric 0.5"),
        (Evaluation({}, (Gate("accuracy", 0.93, 0.97, True),), Verdict.PASSED), "and its metric None"),
        (Evaluation({"accuracy": 0.97}, (), Verdict.PASSED), "it has no gate"),
        (Evaluation({"accuracy": 0.97}, (Gate("accuracy", 0.93, 0.97, True),), Verdict.FAILED), "verdict is failed"),
        (Evaluation({"accuracy": 0.97}, (Gate("accuracy", 0.93, 0.97, False),), Verdict.PASSED), "says failed, though"),
    ],
)  # fmt: skip
def test_a_verdict_that_its_numbers_do_not_give_breaks_the_gate(made: Made, evaluation: Evaluation, said: str) -> None:
    replace_gate(made, evaluation)
    report = look(made, document=False)
    assert set(broken(report)) == {"gate"}
    assert said in broken(report)["gate"]


def test_a_second_gate_that_failed_is_not_outvoted(made: Made) -> None:
    failed = Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.93, 0.5, False),), Verdict.FAILED)
    made.attach(made.subject.index, GATE, gates.document(replace(made.subject, evaluation=failed)))
    assert set(broken(look(made, document=False))) == {"gate"}


def test_a_model_further_away_than_allowed_breaks_the_gate(made: Made) -> None:
    made.remove(GATE)
    far = replace(made.subject, parity=replace(made.subject.parity, worst_probability=0.1))
    made.attach(made.subject.index, GATE, gates.document(far))
    assert "the converted model is 0.1 off" in broken(look(made, document=False))["gate"]


@pytest.mark.parametrize(
    ("kind", "link", "document"), [(GATE, "gate", gates.document), (MODEL_CARD, "card", model_card.document)]
)
def test_evidence_of_another_release_breaks_its_link(
    made: Made, kind: str, link: str, document: Callable[..., dict[str, object]]
) -> None:
    made.remove(kind)
    made.attach(made.subject.index, kind, document(replace(made.subject, release_digest=OTHER)))
    assert f"it is of release {OTHER}" in broken(look(made, document=False))[link]


def test_provenance_without_materials_or_of_another_lock_is_broken(made: Made) -> None:
    policy = Policy(lock_digest=OTHER)
    assert f"not from {OTHER}" in broken(verify.verify(made.registry, made.digest, policy))["provenance"]
    made.remove(PROVENANCE)
    made.attach(made.subject.index, PROVENANCE, provenance.document(replace(made.subject, materials={})))
    assert broken(look(made, document=False)) == {"provenance": "it names no materials"}


def test_swapped_bills_of_materials_are_noticed(made: Made) -> None:
    made.remove(SBOM)
    one, other = made.subject.platforms
    for here, there in ((one, other), (other, one)):
        made.attach(manifest_of(made, here), SBOM, sbom.document(made.subject, there))
    assert f"{one}: it describes {manifest_of(made, other).digest}" in broken(look(made))["sbom"]


def test_a_bill_of_another_model_is_noticed(made: Made) -> None:
    made.remove(SBOM)
    other = replace(
        made.subject.manifest, files={"model.onnx": replace(made.subject.manifest.files["model.onnx"], digest=OTHER)}
    )
    for platform in made.subject.platforms:
        changed = sbom.document(replace(made.subject, manifest=other), platform)
        made.attach(manifest_of(made, platform), SBOM, changed)
    assert "which are not the 1 in the image" in broken(look(made))["sbom"]


def test_evidence_about_another_image_does_not_count(tmp_path: Path) -> None:
    made, other = released.make(tmp_path / "a", attested=False), released.make(tmp_path / "b", version="2.0.0")
    statements = gather(other.registry, [other.digest])[0][other.digest]
    for one in statements:
        assert one.statement is not None
        data = one.statement.to_bytes()
        assert json.loads(data)["subject"][0]["digest"]["sha256"] in other.digest
        store(made, data, "application/vnd.in-toto+json")
    found = broken(look(made, document=False))
    for link in ("provenance", "gate", "card"):
        assert found[link] == f"it is about {other.digest}, not about {made.digest}"


def test_garbage_beside_good_evidence_is_remarked_and_does_not_count(made: Made) -> None:
    store(made, b"garbage\x1b[31m", signing.BUNDLE_TYPE)
    report = look(made)
    assert broken(report) == {}
    assert len(report.remarks) == 1
    assert report.remarks[0].isprintable()


def test_garbage_in_place_of_evidence_is_named(made: Made) -> None:
    made.remove(GATE)
    store(made, b"garbage", signing.BUNDLE_TYPE)
    assert "1 pieces of evidence cannot be read" in broken(look(made, document=False))["gate"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"release_digest": OTHER}, f"says release {OTHER}"),
        ({"evaluation": Evaluation({"accuracy": 0.99}, (Gate("accuracy", 0.9, 0.99, True),), Verdict.PASSED)},
         "has another evaluation than the gate's evidence"),
        ({"evaluation": Evaluation({"accuracy": 0.5}, (Gate("accuracy", 0.9, 0.5, False),), Verdict.FAILED)},
         "accuracy is 0.5, below 0.9; the verdict is failed"),
        ({"attestations": (Attestation(GATE, OTHER),)}, f"lists {GATE} {OTHER}, which is not attached"),
    ],
)  # fmt: skip
def test_a_document_that_says_otherwise_is_broken(made: Made, change: dict[str, object], said: str) -> None:
    changed = replace(made, release=replace(made.release, **change))  # type: ignore[arg-type]  # any field's value
    assert said in broken(look(changed))["document"]


class Failing(LayoutRegistry):
    """A registry that gives documents and no layers."""

    error: type[RegistryError] = RegistryError

    @contextlib.contextmanager
    def blob_file(self, descriptor: Descriptor) -> Iterator[Path]:
        if descriptor.media_type == LAYER_TYPE:
            raise self.error(f"{descriptor.digest}: as you wish")
        with super().blob_file(descriptor) as path:
            yield path


def test_a_registry_that_cannot_be_reached_is_no_broken_link(made: Made) -> None:
    failing = Failing(made.registry.folder)
    with pytest.raises(RegistryError, match="as you wish"):
        verify.verify(failing, made.digest, Policy())
    failing.error = ContentError
    assert "as you wish" in broken(verify.verify(failing, made.digest, Policy()))["digest"]
