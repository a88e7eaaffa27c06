"""Evidence beside an image: how it is stored, and that damaged evidence is told and never counts."""

import json
from pathlib import Path

import pytest

from tests import released
from tests.unit.runtime.artifacts.images import put_bytes
from trihull_runtime.artifacts.evidence import attached, signing
from trihull_runtime.artifacts.evidence.statement import GATE, MEDIA_TYPE
from trihull_runtime.artifacts.registry import blobs
from trihull_runtime.artifacts.registry.layout import MANIFEST_TYPE, publish
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest
from trihull_runtime.artifacts.registry.transfer import copy
from trihull_runtime.errors import TrihullError

PREDICATE = {"a": 1}


@pytest.fixture
def made(tmp_path: Path) -> released.Made:
    return released.make(tmp_path / "release", attested=False)


def test_a_plain_statement_is_an_artifact_with_a_subject(made: released.Made) -> None:
    digest = made.attach(made.subject.index, GATE, PREDICATE)
    manifest = json.loads(made.registry.read_manifest(digest).data)
    assert manifest["artifactType"] == MEDIA_TYPE
    assert manifest["subject"]["digest"] == made.digest
    assert manifest["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
    }
    assert manifest["annotations"] == {"in-toto.io/predicate-type": GATE}
    (found,) = attached.read(made.registry, made.digest)
    assert (found.digest, found.envelope, found.problem) == (digest, None, "")
    assert found.statement is not None
    assert found.statement.predicate == PREDICATE


def test_a_signed_statement_is_stored_as_cosign_finds_it(made: released.Made, tmp_path: Path) -> None:
    digest = made.attach(made.subject.index, GATE, PREDICATE, released.signing_key(tmp_path))
    manifest = json.loads(made.registry.read_manifest(digest).data)
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == signing.BUNDLE_TYPE
    title = manifest["layers"][0]["digest"].replace(":", "-") + ".sigstore.json"
    assert manifest["layers"][0]["annotations"] == {"org.opencontainers.image.title": title}
    assert manifest["annotations"] == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": GATE,
    }
    (found,) = attached.read(made.registry, made.digest)
    assert found.envelope is not None
    assert found.statement is not None
    assert found.statement.predicate == PREDICATE


def test_storing_the_same_twice_is_storing_it_once(made: released.Made, tmp_path: Path) -> None:
    key = released.signing_key(tmp_path)
    assert made.attach(made.subject.index, GATE, PREDICATE, key) == made.attach(
        made.subject.index, GATE, PREDICATE, key
    )
    assert len(attached.read(made.registry, made.digest)) == 1


def test_evidence_goes_where_its_image_goes(tmp_path: Path) -> None:
    made = released.make(tmp_path / "release", released.signing_key(tmp_path))
    target = LayoutRegistry(tmp_path / "copy")
    copy(made.registry, target, made.digest)
    for subject in (made.digest, *(found.manifest.digest for found in made.subject.platforms.values())):
        assert attached.read(target, subject) == attached.read(made.registry, subject) != ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not valid JSON"),
        (b'{"mediaType": "x"}', "is no sigstore bundle"),
        (b"\x00" * 100, "is not valid JSON"),
    ],
)
def test_garbage_in_a_bundle_s_place_is_told(made: released.Made, data: bytes, said: str) -> None:
    store(made, data, signing.BUNDLE_TYPE)
    (found,) = attached.read(made.registry, made.digest)
    assert found.statement is None
    assert said in found.problem


def test_evidence_that_is_too_large_is_not_read(made: released.Made, monkeypatch: pytest.MonkeyPatch) -> None:
    store(made, b'{"a": 1}', MEDIA_TYPE)
    monkeypatch.setattr(attached, "STATEMENT_BYTES_MAX", 7)
    (found,) = attached.read(made.registry, made.digest)
    assert "has 8 bytes, more than 7" in found.problem


def test_a_damaged_blob_is_told(made: released.Made) -> None:
    digest = made.attach(made.subject.index, GATE, PREDICATE)
    layer = json.loads(made.registry.read_manifest(digest).data)["layers"][0]["digest"]
    blobs.blob_path(made.registry.folder, layer).write_bytes(b"other")
    (found,) = attached.read(made.registry, made.digest)
    assert "bytes instead of" in found.problem


def test_other_artifacts_are_left_out(made: released.Made) -> None:
    store(made, b"{}", "application/vnd.example+json")
    assert attached.read(made.registry, made.digest) == ()


def test_more_evidence_than_anybody_has_is_refused(made: released.Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "EVIDENCE_MAX", 1)
    for number in range(2):
        made.attach(made.subject.index, GATE, {"number": number})
    with pytest.raises(TrihullError, match="2 artifacts refer to"):
        attached.read(made.registry, made.digest)


class Listing(LayoutRegistry):
    """A registry whose list says what it likes."""

    listed: tuple[Descriptor, ...] = ()

    def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        assert digest.startswith("sha256:")
        return self.listed


@pytest.mark.parametrize("digest", ["latest", "../../etc/passwd", "sha256:short", ""])
def test_a_list_that_names_no_digests_is_not_followed(made: released.Made, digest: str) -> None:
    registry = Listing(made.registry.folder)
    registry.listed = (Descriptor(MANIFEST_TYPE, digest, 1, MEDIA_TYPE),)
    (found,) = attached.read(registry, made.digest)
    assert "is no digest" in found.problem


def test_evidence_listed_for_another_subject_does_not_count(made: released.Made) -> None:
    other = next(iter(made.subject.platforms.values())).manifest
    digest = made.attach(other, GATE, PREDICATE)
    registry = Listing(made.registry.folder)
    registry.listed = (Descriptor(MANIFEST_TYPE, digest, 1, MEDIA_TYPE),)
    (found,) = attached.read(registry, made.digest)
    assert found.statement is None
    assert f"its subject is {other.digest}" in found.problem


def store(made: released.Made, data: bytes, kind: str) -> None:
    """Attach bytes that need not be evidence."""
    layout = made.registry.folder
    layer = {"mediaType": kind, "digest": put_bytes(layout, data), "size": len(data)}
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": put_bytes(layout, b"{}"), "size": 2}
    index = made.subject.index
    manifest = blobs.document_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": config,
            "layers": [layer],
            "subject": {"mediaType": index.media_type, "digest": index.digest, "size": index.size_bytes},
        }
    )
    found = Manifest(blobs.bytes_digest(manifest), MANIFEST_TYPE, manifest)
    put_bytes(layout, manifest)
    publish(layout, {"mediaType": found.media_type, "digest": found.digest, "size": len(manifest)})
