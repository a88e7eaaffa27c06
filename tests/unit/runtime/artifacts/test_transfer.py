"""In which order a copy does things, whatever else is slow: seen from a target that says when."""

import threading
from pathlib import Path

import pytest

from tests.unit.runtime.artifacts.images import file, make_image
from trihull_runtime.artifacts.errors import RegistryError
from trihull_runtime.artifacts.registry import blobs, transfer
from trihull_runtime.artifacts.registry.layout import INDEX_TYPE, publish
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.protocol import Descriptor, Manifest

WAIT_S = 20


class Target(LayoutRegistry):
    """A layout that keeps a blob back until a manifest is written, and refuses to take one that is damaged for it."""

    def __init__(self, folder: Path, *, slow: str = "", refused: str = "") -> None:
        super().__init__(folder)
        self.slow, self.refused = slow, refused
        self.written: list[str] = []
        self.asked: list[str] = []
        self.manifest = threading.Event()

    def has_blob(self, descriptor: Descriptor) -> bool:
        self.asked.append(descriptor.digest)
        return super().has_blob(descriptor)

    def write_blob(self, descriptor: Descriptor, content: Path | bytes, *, asked: bool = False) -> int:
        if descriptor.digest == self.refused:
            raise RegistryError(f"{descriptor.digest} is refused")
        if descriptor.digest == self.slow:
            assert self.manifest.wait(WAIT_S), "the other image's manifest waits for a blob that it does not have"
        sent = super().write_blob(descriptor, content, asked=asked)
        self.written.append(descriptor.digest)
        return sent

    def write_manifest(self, manifest: Manifest, tag: str | None = None, *, part: bool = False) -> None:
        super().write_manifest(manifest, tag, part=part)
        self.written.append(manifest.digest)
        self.manifest.set()


@pytest.fixture
def source(tmp_path: Path) -> LayoutRegistry:
    return LayoutRegistry(tmp_path / "source")


@pytest.fixture
def digest(source: LayoutRegistry) -> str:
    """An index of two images that share a layer."""
    entries = []
    for platform in ("linux/amd64", "linux/arm64"):
        one = make_image(source.folder, [file("shared")], [file(platform.replace("/", "-"))], platform=platform)
        entries += blobs.read_document(source.folder, one)["manifests"]
    index = blobs.put_document(
        source.folder, INDEX_TYPE, {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    )
    publish(source.folder, index)
    return str(index["digest"])


def blobs_of(source: LayoutRegistry, manifest: str) -> list[str]:
    document = blobs.read_document(source.folder, manifest)
    return [document["config"]["digest"], *(layer["digest"] for layer in document["layers"])]


def test_a_manifest_waits_for_its_own_blobs_and_for_no_others(
    source: LayoutRegistry, digest: str, tmp_path: Path
) -> None:
    one, other = (entry["digest"] for entry in blobs.read_document(source.folder, digest)["manifests"])
    (alone,) = set(blobs_of(source, other)[1:]) - set(blobs_of(source, one))
    target = Target(tmp_path / "target", slow=alone)
    transfer.copy(source, target, digest, tag="v1")
    for manifest in (one, other):
        before = target.written[: target.written.index(manifest)]
        assert set(blobs_of(source, manifest)) <= set(before)
    assert target.written.index(one) < target.written.index(alone) < target.written.index(other)
    assert target.written[-1] == digest
    assert sorted(target.asked) == sorted({*blobs_of(source, one), *blobs_of(source, other)}), "each once"


def test_a_blob_that_is_refused_is_told_and_nothing_that_needs_it_is_written(
    source: LayoutRegistry, digest: str, tmp_path: Path
) -> None:
    manifests = [entry["digest"] for entry in blobs.read_document(source.folder, digest)["manifests"]]
    (shared,) = set(blobs_of(source, manifests[0])) & set(blobs_of(source, manifests[1]))
    target = Target(tmp_path / "target", refused=shared)
    with pytest.raises(RegistryError, match=f"{shared} is refused"):
        transfer.copy(source, target, digest, tag="v1")
    assert not {*manifests, digest} & set(target.written)
    assert not (target.folder / "index.json").exists()


def test_the_largest_blob_comes_first_and_one_hand_is_enough(
    source: LayoutRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PARALLEL", 1)
    digest = make_image(source.folder, *([file("noise", bytes(range(256)) * n)] for n in (1, 40, 80)), compressed=False)
    found = transfer.describe(source, digest).blobs
    target = Target(tmp_path / "target")
    transfer.copy(source, target, digest, tag="v1")
    assert target.asked == [blob.digest for blob in sorted(found, key=lambda blob: -blob.size_bytes)]
    assert target.read_manifest("v1").digest == digest
