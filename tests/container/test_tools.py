"""What people copy, load and build with takes the image, and keeps its digest where the tool keeps one at all."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.conftest import Published
from tests.container.containers import run
from tests.container.engines import Containerd, Docker
from trihull_runtime.artifacts.registry.layout import PlatformImage, host_platform, platform_image

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def image(published: Published) -> PlatformImage:
    """What the index holds for this machine."""
    return platform_image(published.folder / "image", published.release.image.index_digest, host_platform())


@pytest.fixture
def layout(published: Published) -> str:
    """The release's image on disk, as the tools name it."""
    return f"oci:{published.folder}/image:{published.release.model.version}"


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The buildah command with a storage of its own."""
    command = ("buildah", "--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs")
    yield command
    run(*command, "rm", "--all")
    run(*command, "rmi", "--all", "--force")


def test_docker_pulls_it_by_its_digest(docker: Docker, published: Published) -> None:
    docker("pull", published.reference)
    told = docker("inspect", "--format", "{{index .RepoDigests 0}}", published.reference)
    assert told.endswith(f"@{published.release.image.index_digest}")


@pytest.mark.parametrize("way", ["load", "daemon"])
def test_docker_loads_it_without_a_registry(
    docker: Docker, layout: str, image: PlatformImage, tmp_path: Path, way: str
) -> None:
    name = f"loaded-by-{way}:1"
    if way == "load":
        run("skopeo", "copy", layout, f"docker-archive:{tmp_path}/image.tar:{name}")
        docker("load", "--input", tmp_path / "image.tar")
    else:
        run("skopeo", "copy", "--dest-daemon-host", docker.address, layout, f"docker-daemon:{name}")
    # An archive of Docker's has neither index nor compressed layers: what stays is what the layers unpack to.
    told = json.loads(docker("inspect", name))[0]
    assert told["RootFS"]["Layers"] == image.config["rootfs"]["diff_ids"]
    assert told["Config"]["User"] == image.config["config"]["User"] == "65532:65532"
    assert told["Config"]["Entrypoint"] == image.config["config"]["Entrypoint"]


def test_containerd_pulls_it_by_its_digest(containerd: Containerd, published: Published) -> None:
    containerd.pull(published.reference)
    assert digest_of(containerd, published.reference) == published.release.image.index_digest


@pytest.mark.parametrize("archive", ["made by skopeo", "the layout itself"])
def test_containerd_imports_an_archive(
    containerd: Containerd, published: Published, layout: str, tmp_path: Path, archive: str
) -> None:
    version = published.release.model.version
    file, name = tmp_path / "image.tar", f"test/{archive.replace(' ', '-')}"
    if archive == "made by skopeo":
        run("skopeo", "copy", "--all", layout, f"oci-archive:{file}:{version}")
    else:
        run("tar", "-C", published.folder / "image", "-cf", file, ".")
    containerd("images", "import", "--all-platforms", "--snapshotter", "native", "--base-name", name, file)
    assert digest_of(containerd, f"{name}:{version}") == published.release.image.index_digest


def test_skopeo_reads_and_copies_it_unchanged(published: Published, layout: str, tmp_path: Path) -> None:
    digest = published.release.image.index_digest
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{published.reference}").stdout
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == digest
    assert {entry["platform"]["architecture"] for entry in json.loads(raw)["manifests"]} == {"amd64", "arm64"}
    for number, source in enumerate((layout, f"docker://{published.reference}")):
        copy = tmp_path / str(number)
        run("skopeo", "copy", "--all", "--src-tls-verify=false", source, f"oci:{copy}:x")
        (entry,) = json.loads((copy / "index.json").read_text())["manifests"]
        assert entry["digest"] == digest


@pytest.mark.parametrize("place", ["registry", "layout"])
def test_buildah_builds_upon_it(
    buildah: tuple[str, ...], published: Published, layout: str, image: PlatformImage, place: str
) -> None:
    source = layout if place == "layout" else f"docker://{published.reference}"
    container = run(*buildah, "from", "--tls-verify=false", source).stdout.strip()
    told = json.loads(run(*buildah, "inspect", container).stdout)
    # buildah keeps the manifest of the one platform that it works with
    manifest = f"sha256:{hashlib.sha256(told['Manifest'].encode()).hexdigest()}"
    assert manifest == told["FromImageDigest"] == image.digest
    assert told["OCIv1"]["rootfs"]["diff_ids"] == image.config["rootfs"]["diff_ids"]


def digest_of(containerd: Containerd, name: str) -> str:
    """Return the digest that containerd knows an image by."""
    lines = [line.split() for line in containerd("images", "list").splitlines()]
    return next(words[2] for words in lines if words[0] == name)
