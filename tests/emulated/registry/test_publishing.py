"""Publishing without a tag: the image is found by its digest, and no rule that sweeps up untagged images reaches it."""

from tests.emulated.faulty import Proxy
from tests.emulated.registries import Server
from trihull_runtime.artifacts.publishing import run
from trihull_runtime.artifacts.publishing.run import Source
from trihull_runtime.artifacts.registry.layouts import LayoutRegistry
from trihull_runtime.artifacts.registry.references import open_registry


def publish(source: LayoutRegistry, digest: str, target: str) -> run.Outcome:
    (outcome,) = run.to_all([Source("digits", source.folder, digest)], {"site": target}, lambda _: None)
    assert outcome.problem == ""
    return outcome


def test_an_image_without_a_tag_is_held_by_one_of_its_own_digest(
    server: Server, repository: str, source: LayoutRegistry, digest: str
) -> None:
    target = f"{server.host}/{repository}"
    publish(source, digest, target)
    held = f"image-{digest.removeprefix('sha256:')}"
    assert open_registry(target).registry.read_manifest(held).digest == digest


def test_it_is_written_once_as_tags_may_be_immutable(
    proxy: Proxy, repository: str, source: LayoutRegistry, digest: str
) -> None:
    target = f"{proxy.host}/{repository}"
    publish(source, digest, target)
    assert proxy.count("PUT", "manifests/image-") == 1
    publish(source, digest, target)
    assert proxy.count("PUT", "manifests/image-") == 1


def test_a_tag_that_somebody_gives_is_the_only_one(
    server: Server, repository: str, source: LayoutRegistry, digest: str
) -> None:
    publish(source, digest, f"{server.host}/{repository}:1.0.0")
    assert open_registry(f"{server.host}/{repository}").registry.read_manifest("1.0.0").digest == digest


def test_a_layout_on_disk_needs_none(source: LayoutRegistry, digest: str) -> None:
    target = source.folder.parent / "target"
    publish(source, digest, f"oci-layout://{target}")
    assert "image-" not in (target / "index.json").read_text()
