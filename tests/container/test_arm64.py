"""The image for arm64, built on another machine, answers as the one for amd64 does: under emulation, row by row."""

import contextlib
import json
import random
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_digits

from tests.container.conftest import Published
from tests.container.containers import until
from tests.emulated.registries import free_port
from trihull_runtime.artifacts.registry.layout import PlatformImage, host_platform, platform_image, unpack

pytestmark = pytest.mark.timeout(600)
ROWS = 2000
EMULATED = {"linux/arm64": "qemu-aarch64-static"}  # on amd64
MACHINES = {"linux/amd64": 62, "linux/arm64": 183}  # e_machine: EM_X86_64, EM_AARCH64 (ELF specification)


def rows() -> list[list[float]]:
    """All images of the data set, then disturbed ones."""
    pixels: list[list[float]] = load_digits().data.tolist()
    chance = random.Random(7)
    while len(pixels) < ROWS:
        pixels.append([value + chance.gauss(0, 2) for value in pixels[chance.randrange(1797)]])
    return pixels


@pytest.fixture(scope="module")
def roots(published: Published, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[PlatformImage, Path]]:
    folder = tmp_path_factory.mktemp("roots")
    result = {}
    for platform in published.release.image.platforms:
        image = platform_image(published.folder / "image", published.release.image.index_digest, platform)
        root = folder / platform.replace("/", "-")
        unpack(image, root)
        result[platform] = (image, root)
    return result


@contextlib.contextmanager
def serving(image: PlatformImage, root: Path) -> Iterator[str]:
    """Run an image's own command in its root, emulated where this machine is another; gives its address."""
    infer, health = free_port(), free_port()
    environment = dict(entry.split("=", 1) for entry in image.config["config"]["Env"])
    environment |= {"TRIHULL_HOST": "127.0.0.1", "TRIHULL_PORT_INFER": str(infer), "TRIHULL_PORT_HEALTH": str(health)}
    command = list(image.config["config"]["Entrypoint"])
    if image.platform != host_platform():
        emulator = shutil.which(EMULATED[image.platform])
        assert emulator is not None
        shutil.copy(emulator, root / "emulator")
        command.insert(0, "/emulator")
    process = subprocess.Popen(
        [shutil.which("chroot") or "chroot", "--userspec=65532:65532", str(root), *command],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:

        def ready() -> bool:
            assert process.poll() is None, process.communicate()[1]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{infer}/v2/health/ready", timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        until(ready, image.platform, 120)
        yield f"http://127.0.0.1:{infer}"
    finally:
        process.kill()
        process.communicate()


def ask(url: str, questions: list[list[float]]) -> dict[str, Any]:
    body = {"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [len(questions), 64], "data": questions}]}
    request = urllib.request.Request(f"{url}/v2/models/digits/infer", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=300) as answer:
        value = json.loads(answer.read())
    return {output["name"]: output["data"] for output in value["outputs"]}


def test_both_architectures_answer_two_thousand_rows_alike(
    roots: dict[str, tuple[PlatformImage, Path]],
) -> None:
    questions = rows()
    answers = {}
    for platform, (image, root) in roots.items():
        with serving(image, root) as url:
            answers[platform] = ask(url, questions)
    one, other = answers["linux/amd64"], answers["linux/arm64"]
    assert len(one["label"]) == ROWS
    assert one["label"] == other["label"]
    # The last bits of float32 differ: the processors' libraries add in another order. Nothing else does.
    numbers = zip(one["probabilities"], other["probabilities"], strict=True)
    assert max(abs(mine - theirs) for mine, theirs in numbers) <= 1e-6


@pytest.mark.parametrize("platform", list(MACHINES))
def test_every_library_is_of_its_images_architecture(
    roots: dict[str, tuple[PlatformImage, Path]], platform: str
) -> None:
    _, root = roots[platform]
    found = 0
    for path in root.rglob("*"):
        if path.name == "emulator" or not path.is_file() or path.is_symlink():
            continue
        with path.open("rb") as file:
            head = file.read(20)
        if head[:4] == b"\x7fELF":
            found += 1
            assert int.from_bytes(head[18:20], "little") == MACHINES[platform], path
    assert found > 50


def test_all_but_base_and_dependencies_is_shared(roots: dict[str, tuple[PlatformImage, Path]]) -> None:
    one, other = (image.layers for image, _ in roots.values())
    assert len(one) == len(other) == 4
    assert one[2:] == other[2:]  # trihull's own code, and the model
    assert not set(one[:2]) & set(other[:2])
