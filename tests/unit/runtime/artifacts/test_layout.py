import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.runtime.artifacts.images import file, make_image
from trihull_runtime.artifacts.errors import LayoutError
from trihull_runtime.artifacts.registry import layout as registry
from trihull_runtime.artifacts.registry import transfer
from trihull_runtime.artifacts.registry.blobs import blob_path, put_document, put_file, read_document
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry

PLATFORM = "linux/amd64"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def copy(source: Path, target: Path, digest: str) -> None:
    transfer.copy(LayoutRegistry(source), LayoutRegistry(target), digest)


def published(layout: Path) -> list[str]:
    return [entry["digest"] for entry in json.loads((layout / "index.json").read_bytes())["manifests"]]


def blob_names(layout: Path) -> set[str]:
    return {path.name for path in (layout / "blobs" / "sha256").iterdir()}


def layer_of(layout: Path, digest: str) -> Path:
    return registry.platform_image(layout, digest, PLATFORM).layers[0]


def test_a_copied_image_is_byte_identical_and_published(source: Path, target: Path) -> None:
    digest = make_image(source, [file("a")], [file("b")])
    copy(source, target, digest)
    assert published(target) == [digest]
    assert blob_names(target) == blob_names(source)
    assert (target / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    assert (
        registry.platform_image(target, digest, PLATFORM).config
        == registry.platform_image(source, digest, PLATFORM).config
    )


def test_copying_again_changes_nothing(source: Path, target: Path) -> None:
    digest = make_image(source, [file("a")])
    copy(source, target, digest)
    before = {path: path.stat().st_ino for path in (target / "blobs" / "sha256").iterdir()}
    copy(source, target, digest)
    assert {path: path.stat().st_ino for path in (target / "blobs" / "sha256").iterdir()} == before
    assert published(target) == [digest]


def test_several_images_share_a_layout_and_a_copy_takes_only_what_was_asked(source: Path, target: Path) -> None:
    first, second = make_image(source, [file("a")]), make_image(source, [file("b", b"other")])
    copy(source, target, second)
    assert published(target) == [second]
    copy(source, target, first)
    assert published(target) == sorted([first, second])


def test_an_image_inside_an_index_can_be_copied_by_its_own_digest(source: Path, target: Path) -> None:
    index = make_image(source, [file("a")])
    manifest = registry.platform_image(source, index, PLATFORM).digest
    copy(source, target, manifest)
    assert registry.platform_image(target, manifest, PLATFORM).digest == manifest


def test_a_damaged_source_blob_is_refused_and_nothing_is_published(source: Path, target: Path) -> None:
    digest = make_image(source, [file("a")])
    path = layer_of(source, digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(LayoutError, match=r"does not have the digest"):
        copy(source, target, digest)
    assert not (target / "index.json").exists()
    assert path.name not in blob_names(target)


def test_a_truncated_source_blob_is_refused(source: Path, target: Path) -> None:
    digest = make_image(source, [file("a")])
    path = layer_of(source, digest)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(LayoutError, match=r"has \d+ bytes instead of \d+"):
        copy(source, target, digest)
    assert not (target / "index.json").exists()


@pytest.mark.parametrize("leave", [lambda path: path.unlink(), lambda path: path.write_bytes(b"half")])
def test_a_copy_that_was_interrupted_is_completed(source: Path, target: Path, leave: Callable[[Path], None]) -> None:
    digest = make_image(source, [file("a")])
    copy(source, target, digest)
    leave(layer_of(target, digest))
    copy(source, target, digest)
    assert layer_of(target, digest).read_bytes() == layer_of(source, digest).read_bytes()


def test_copies_at_once_into_one_layout_lose_no_entry(tmp_path: Path, target: Path) -> None:
    sources = [tmp_path / f"source{number}" for number in range(6)]
    digests = [make_image(path, [file("a", str(path).encode())]) for path in sources]
    threads = [
        threading.Thread(target=copy, args=(path, target, digest))
        for path, digest in zip(sources, digests, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published(target) == sorted(digests)


@pytest.mark.parametrize(
    "digest", ["", "sha256:abc", "md5:" + "a" * 32, "sha256:" + "A" * 64, f"sha256:../../{'a' * 58}"]
)
def test_what_is_no_digest_never_becomes_a_path(source: Path, digest: str) -> None:
    make_image(source, [file("a")])
    with pytest.raises(LayoutError, match="is not a digest"):
        registry.platform_image(source, digest, PLATFORM)


def test_a_digest_that_is_not_published_is_refused_with_those_that_are(source: Path) -> None:
    digest = make_image(source, [file("a")])
    with pytest.raises(LayoutError, match=digest):
        registry.platform_image(source, f"sha256:{'0' * 64}", PLATFORM)


def test_a_folder_that_is_no_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="is not an OCI layout"):
        copy(tmp_path, tmp_path / "target", f"sha256:{'0' * 64}")


def test_another_platform_is_refused_with_those_that_are_there(source: Path) -> None:
    digest = make_image(source, [file("a")], platform="linux/arm64")
    with pytest.raises(LayoutError, match="only for linux/arm64"):
        registry.platform_image(source, digest, PLATFORM)


def test_a_manifest_of_another_platform_is_refused_by_its_configuration(source: Path) -> None:
    digest = make_image(source, [file("a")], platform="linux/arm64")
    manifest = registry.platform_image(source, digest, "linux/arm64").digest
    with pytest.raises(LayoutError, match="is an image for linux/arm64"):
        registry.platform_image(source, manifest, PLATFORM)


def test_an_index_that_lists_an_image_as_another_platform_s_is_refused(source: Path) -> None:
    digest = make_image(source, [file("a")], platform="linux/arm64")
    index = read_document(source, digest)
    index["manifests"][0]["platform"]["architecture"] = "amd64"
    wrong = put_document(source, registry.INDEX_TYPE, index)
    registry.publish(source, wrong)
    with pytest.raises(LayoutError, match=f"is an image for linux/arm64, not for {PLATFORM}"):
        registry.platform_image(source, wrong["digest"], PLATFORM)


def test_a_layer_of_as_many_other_bytes_is_no_part_of_an_image(source: Path) -> None:
    digest = make_image(source, [file("a")])
    path = layer_of(source, digest)
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    with pytest.raises(LayoutError, match="does not have the digest"):
        registry.platform_image(source, digest, PLATFORM)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"[]", "expected a JSON object"),
        (b"{}", "manifests: expected a list"),
        (b'{"manifests": [{"digest": "sha256:x", "size": 1}]}', "is not a digest"),
        (b'{"manifests": [{"size": 1}]}', "is not a digest"),
        (b'{"manifests": ["x"]}', "expected a descriptor"),
        (b'{"manifests": [{"size": true}]}', "expected a descriptor"),
        (b'{"manifests": [{"size": -1}]}', "expected a descriptor"),
    ],
)
def test_a_damaged_index_is_refused(source: Path, document: bytes, message: str) -> None:
    digest = make_image(source, [file("a")])
    (source / "index.json").write_bytes(document)
    with pytest.raises(LayoutError, match=message):
        registry.platform_image(source, digest, PLATFORM)


def test_an_index_in_an_index_is_refused(source: Path, target: Path) -> None:
    inner = make_image(source, [file("a")])
    size = blob_path(source, inner).stat().st_size
    descriptor = {"mediaType": registry.INDEX_TYPE, "digest": inner, "size": size}
    outer = put_document(source, registry.INDEX_TYPE, {"schemaVersion": 2, "manifests": [descriptor]})
    with pytest.raises(LayoutError, match="an index that holds an index"):
        registry.publish(source, outer)


def test_an_incomplete_image_is_not_published(source: Path) -> None:
    digest = make_image(source, [file("a")])
    layer_of(source, digest).unlink()
    descriptor = json.loads((source / "index.json").read_bytes())["manifests"][0]
    with pytest.raises(LayoutError, match="nothing was published"):
        registry.publish(source, descriptor)


def test_a_file_is_stored_only_under_its_own_digest(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with pytest.raises(LayoutError, match="does not have the digest"):
        put_file(source, path, f"sha256:{'0' * 64}")
    assert list((source / "blobs" / "sha256").iterdir()) == []


def test_equal_documents_have_equal_digests_whatever_their_order(source: Path) -> None:
    one = put_document(source, "text/plain", {"a": 1, "b": 2})
    assert put_document(source, "text/plain", {"b": 2, "a": 1}) == one
    assert read_document(source, one["digest"]) == {"a": 1, "b": 2}


def test_the_host_platform_is_a_linux_one() -> None:
    assert registry.host_platform() in ("linux/amd64", "linux/arm64")
