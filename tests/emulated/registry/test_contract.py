"""Both forms of a registry keep the same promises: an OCI layout on disk, and a real registry on the network."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated import faulty, registries
from tests.emulated.registries import Server
from tests.unit.runtime.artifacts.images import file, make_image
from trihull_runtime.artifacts.errors import DeniedError, LayoutError, RegistryError
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.blobs import blob_path, bytes_digest, document_bytes
from trihull_runtime.artifacts.registry.connection import CA_VARIABLE
from trihull_runtime.artifacts.registry.distribution import DistributionRegistry
from trihull_runtime.artifacts.registry.keychain import Credentials, anonymous
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, MANIFEST_TYPE
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest, Registry
from trihull_runtime.artifacts.registry.retrying import Retry

QUICK = Retry(attempts=4, sleep=lambda _: None)
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": bytes_digest(b"{}"), "size": 2}


@pytest.fixture(params=["layout", "distribution"])
def registry(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Registry:
    if request.param == "layout":
        return LayoutRegistry(tmp_path / "target")
    return remote(server.host, tmp_path)


def remote(host: str, tmp_path: Path) -> DistributionRegistry:
    """A repository of the test's own."""
    return DistributionRegistry(host, f"tests/{tmp_path.name.lower()}", anonymous, retry=QUICK)


def blob(tmp_path: Path, data: bytes) -> tuple[Descriptor, Path]:
    path = tmp_path / bytes_digest(data)[7:20]
    path.write_bytes(data)
    return Descriptor("application/octet-stream", bytes_digest(data), len(data)), path


def image(tmp_path: Path, *contents: bytes) -> tuple[LayoutRegistry, str]:
    digest = make_image(tmp_path / "source", *([file("a", data)] for data in contents or (b"content",)))
    return LayoutRegistry(tmp_path / "source"), digest


def attach(registry: Registry, subject: Manifest, tmp_path: Path, text: bytes) -> Manifest:
    """Store evidence of a manifest, as `application/x.test`."""
    for data in (b"{}", text):
        descriptor, path = blob(tmp_path, data)
        registry.write_blob(descriptor, path)
    document = {
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": "application/x.test", "config": EMPTY,
        "layers": [{"mediaType": "text/plain", "digest": bytes_digest(text), "size": len(text)}],
        "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": len(subject.data)},
    }  # fmt: skip
    data = document_bytes(document)
    made = Manifest(bytes_digest(data), MANIFEST_TYPE, data)
    registry.write_manifest(made)
    return made


def test_a_blob_comes_back_as_it_was_and_is_sent_once(registry: Registry, tmp_path: Path) -> None:
    descriptor, path = blob(tmp_path, bytes(range(256)) * 4096)
    assert not registry.has_blob(descriptor)
    assert registry.write_blob(descriptor, path) == descriptor.size_bytes
    assert registry.has_blob(descriptor)
    assert registry.write_blob(descriptor, path) == 0
    stream = io.BytesIO()
    registry.read_blob(descriptor, stream)
    assert stream.getvalue() == path.read_bytes()
    with registry.blob_file(descriptor) as found:
        assert found.read_bytes() == path.read_bytes()


def test_a_blob_of_nothing_is_one_too(registry: Registry, tmp_path: Path) -> None:
    descriptor, path = blob(tmp_path, b"")
    registry.write_blob(descriptor, path)
    stream = io.BytesIO()
    registry.read_blob(descriptor, stream)
    assert registry.has_blob(descriptor)
    assert stream.getvalue() == b""


def test_a_file_that_is_not_what_its_digest_says_is_refused(registry: Registry, tmp_path: Path) -> None:
    descriptor, path = blob(tmp_path, b"wanted")
    path.write_bytes(b"forged")
    with pytest.raises((LayoutError, RegistryError), match=descriptor.digest):
        registry.write_blob(descriptor, path)
    assert not registry.has_blob(descriptor)


def test_a_blob_that_is_not_there_is_named(registry: Registry) -> None:
    missing = Descriptor("x", f"sha256:{'0' * 64}", 1)
    with pytest.raises((LayoutError, RegistryError), match=missing.digest):
        registry.read_blob(missing, io.BytesIO())


def test_an_image_is_found_by_digest_and_by_tag_with_its_bytes_unchanged(registry: Registry, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    copied = transfer.copy(source, registry, digest, tag="v1")
    assert (copied.present, copied.sent) == (0, 2)
    assert registry.read_manifest("v1") == registry.read_manifest(digest) == source.read_manifest(digest)
    again = transfer.copy(source, registry, digest, tag="v2")
    assert (again.present, again.sent, again.sent_bytes) == (2, 0, 0)
    assert registry.read_manifest("v2").digest == digest


def test_a_tag_moves_to_what_got_it_last(registry: Registry, tmp_path: Path) -> None:
    source, first = image(tmp_path, b"one")
    second = make_image(tmp_path / "source", [file("a", b"two")])
    transfer.copy(source, registry, first, tag="live")
    transfer.copy(source, registry, second, tag="live")
    assert registry.read_manifest("live").digest == second
    assert registry.read_manifest(first).digest == first


def test_evidence_is_found_by_its_subject_and_travels_with_it(registry: Registry, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    subject = source.read_manifest(digest)
    made = [attach(source, subject, tmp_path, text) for text in (b"one", b"two")]
    transfer.copy(source, registry, digest)
    found = registry.referrers(digest)
    assert {(entry.digest, entry.artifact_type) for entry in found} == {(m.digest, "application/x.test") for m in made}
    assert registry.read_manifest(made[0].digest) == made[0]
    back = LayoutRegistry(tmp_path / "back")
    transfer.copy(registry, back, digest)
    assert back.referrers(digest) == found
    assert registry.referrers(f"sha256:{'0' * 64}") == ()


def test_a_copy_without_evidence_leaves_it(registry: Registry, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    attach(source, source.read_manifest(digest), tmp_path, b"text")
    transfer.copy(source, registry, digest, evidence=False)
    assert registry.referrers(digest) == ()


def test_evidence_attached_twice_stands_once(registry: Registry, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    transfer.copy(source, registry, digest)
    subject = registry.read_manifest(digest)
    made = [attach(registry, subject, tmp_path, b"same") for _ in range(2)]
    assert [entry.digest for entry in registry.referrers(digest)] == [made[0].digest]


def test_a_source_blob_that_is_damaged_names_nothing_at_the_target(registry: Registry, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    largest = max((tmp_path / "source/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"!")
    with pytest.raises(LayoutError, match="does not have the digest"):
        transfer.copy(source, registry, digest, tag="v1")
    with pytest.raises((LayoutError, RegistryError)):
        registry.read_manifest("v1")


def test_a_registry_with_its_own_list_of_referrers_is_asked_for_that(server: Server, tmp_path: Path) -> None:
    with faulty.before(server.host) as proxy:
        proxy.referrers = {}
        registry = remote(proxy.host, tmp_path)
        source, digest = image(tmp_path)
        made = attach(source, source.read_manifest(digest), tmp_path, b"text")
        entry = {
            "mediaType": MANIFEST_TYPE,
            "digest": made.digest,
            "size": len(made.data),
            "artifactType": "application/x",
        }
        proxy.referrers[digest] = [entry]
        transfer.copy(source, registry, digest)
        assert registry.referrers(digest) == (Descriptor(MANIFEST_TYPE, made.digest, len(made.data), "application/x"),)
    assert server.tags(f"tests/{tmp_path.name.lower()}") == []  # no fallback tag was needed


def test_a_blob_of_another_repository_is_mounted_and_not_sent(server: Server, tmp_path: Path) -> None:
    source, digest = image(tmp_path, b"shared" * 1000)
    first = remote(server.host, tmp_path)
    transfer.copy(source, first, digest)
    with faulty.before(server.host) as proxy:
        other = DistributionRegistry(
            proxy.host,
            f"other/{tmp_path.name.lower()}",
            anonymous,
            mounts=("no/such", f"tests/{tmp_path.name.lower()}"),
        )
        assert transfer.copy(source, other, digest).sent_bytes == 0
        assert proxy.sent("PUT", "/blobs/") == 0
    assert other.has_blob(transfer.describe(source, digest).blobs[0]) or server.host


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registries.running(tmp_path_factory.mktemp("secured"), secured=True) as started:
        yield started


def signed_in(host: str) -> Credentials | None:
    return Credentials(registries.USER, registries.PASSWORD, "the test")


def test_tls_and_a_password_are_spoken_where_they_are_wanted(
    secured: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CA_VARIABLE, str(secured.certificate))
    source, digest = image(tmp_path)
    registry = DistributionRegistry(secured.host, "private", signed_in, retry=QUICK)
    transfer.copy(source, registry, digest, tag="v1")
    assert registry.read_manifest("v1").digest == digest


@pytest.mark.parametrize(
    ("keychain", "message"),
    [
        (anonymous, "wants credentials, and none were found for 127.0.0.1:"),
        (
            lambda _: Credentials("deployer", "wrong", "the test"),
            "does not accept the credentials of 'deployer' from the",
        ),
    ],
)
def test_who_is_not_let_in_is_told_which_credentials_were_used(
    secured: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keychain: object, message: str
) -> None:
    monkeypatch.setenv(CA_VARIABLE, str(secured.certificate))
    source, digest = image(tmp_path)
    registry = DistributionRegistry(secured.host, "private", keychain, retry=QUICK)  # type: ignore[arg-type]  # given above
    with pytest.raises(DeniedError, match=message) as caught:
        transfer.copy(source, registry, digest)
    assert "wrong" not in str(caught.value)


def test_a_certificate_that_nobody_signed_is_refused(secured: Server, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    registry = DistributionRegistry(secured.host, "private", signed_in, retry=QUICK, insecure=False)
    with pytest.raises(
        RegistryError, match=f"CERTIFICATE_VERIFY_FAILED.*; trust its authority with {CA_VARIABLE}=FILE"
    ):
        transfer.copy(source, registry, digest)


def test_a_password_is_never_sent_without_tls(server: Server, tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    with faulty.before(server.host) as proxy:
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        proxy.faults.append(faulty.Fault("HEAD", "/blobs/", times=99, status=401, headers=challenge))
        registry = DistributionRegistry(proxy.host, "private", signed_in, retry=QUICK)
        with pytest.raises(RegistryError, match="InsecureError"):
            transfer.copy(source, registry, digest)


@pytest.mark.parametrize("document", [b"{", b"[]", b'{"manifests": 1}', b'{"manifests": [1]}'])
def test_a_list_of_evidence_that_is_none_is_refused(server: Server, tmp_path: Path, document: bytes) -> None:
    with faulty.before(server.host) as proxy:
        proxy.faults.append(faulty.Fault("GET", "/referrers/", status=200, body=document))
        with pytest.raises(RegistryError, match="is no index"):
            remote(proxy.host, tmp_path).referrers(f"sha256:{'1' * 64}")


def test_a_layout_keeps_only_what_was_named_in_its_index(tmp_path: Path) -> None:
    source, digest = image(tmp_path)
    target = LayoutRegistry(tmp_path / "target")
    transfer.copy(source, target, digest, tag="v1")
    index = json.loads((tmp_path / "target/index.json").read_bytes())
    assert [(entry["digest"], entry["mediaType"]) for entry in index["manifests"]] == [(digest, INDEX_TYPE)]
    assert blob_path(tmp_path / "target", digest).is_file()
