"""A build that is killed, or whose disk is full, leaves the release that was there; the next one goes through."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Packaged
from trihull_packaging import builder
from trihull_packaging.builder import Options
from trihull_packaging.progress import Progress
from trihull_runtime.artifacts.registry.layout import platform_image
from trihull_runtime.contract import Release

TRIHULL = (sys.executable, "-c", "from trihull_runtime.cli import main; main()")
STEPS = ("lock", "train", "convert", "parity", "evaluate", "layers", "index", "attest", "release")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cache(
    packaged: Packaged, warm_cache: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A cache that a killed build may leave in any state."""
    folder = tmp_path_factory.mktemp("cache")
    warm_cache(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIHULL_CACHE", str(folder))
        yield folder


@pytest.fixture
def model(packaged: Packaged, cache: Path) -> Path:
    assert cache.is_dir()
    return packaged.model


@pytest.fixture
def whole(packaged: Packaged) -> Release:
    return packaged.release


def snapshot(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_whole(folder: Path, wanted: Release) -> None:
    found = Release.read(folder / "release.json")
    assert found == wanted
    for platform in found.image.platforms:  # verifies every blob
        platform_image(folder / found.image.layout, found.image.index_digest, platform)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(("train", "release"), id="one after another"),
        *(pytest.param((step,), id=step, marks=pytest.mark.nightly) for step in STEPS),
    ],
)
def test_builds_killed_in_any_step_leave_what_was_there_and_the_next_goes_through(
    steps: tuple[str, ...], model: Path, cache: Path, packaged: Packaged, whole: Release, tmp_path: Path
) -> None:
    target, folder = tmp_path / "out", tmp_path / "digits"
    shutil.copytree(model, folder)
    shutil.copytree(packaged.target, target)
    for step in steps:
        killed_in(step, folder, target, cache)
        assert_whole(target, whole)  # the new one is equal to the old one, so both are what may be there
    assert builder.package_model(model, target, Options(), Progress()) == whole
    assert {path.name for path in tmp_path.iterdir()} == {"out", "digits"}


def killed_in(step: str, model: Path, target: Path, cache: Path) -> None:
    """Begin a build and kill it in a step; before the last ones it has written nothing to `target`."""
    lock = (model / "model.lock").read_bytes()
    if step == "lock":  # it is made by the build itself, then
        (model / "model.lock").unlink()
    if step == "layers":
        shutil.rmtree(cache / "packaging" / "layers")
    before = snapshot(target)
    process = subprocess.Popen(
        [*TRIHULL, "package", str(model), "--output", str(target)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith(f"{step}: "):
                break
        else:
            pytest.fail(f"the step {step} was never announced")
        time.sleep(0 if step in ("index", "attest", "release") else 0.3)  # into the midst of it
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
    if step not in ("index", "attest", "release"):
        assert snapshot(target) == before
    (model / "model.lock").write_bytes(lock)


def on_a_small_disk(disk: Path, size: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script with a disk of its own, in a namespace of its own: no root is needed, and it is gone with it.

    The script finds the trihull command in its arguments.
    """
    disk.mkdir()
    mounted = f"set -e\nmount -t tmpfs -o size={size} trihull-test {disk}\n{script}"
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh", *TRIHULL],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


def test_a_full_disk_is_one_clear_message_and_leaves_what_was_there(
    model: Path, packaged: Packaged, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    script = f"""
        mkdir {disk}/out
        cp {packaged.target}/*.json {disk}/out
        before=$(find {disk} -type f | sort | xargs sha256sum)
        code=0
        "$@" package {model} --output {disk}/out || code=$?
        after=$(find {disk} -type f | sort | xargs sha256sum)
        test "$before" = "$after" || exit 99
        exit $code
    """
    result = on_a_small_disk(disk, "60m", script)
    assert result.returncode == 69, result.stderr
    assert "No space left on device; nothing was released" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_full_cache_is_one_clear_message_and_the_next_build_goes_through(
    model: Path, whole: Release, tmp_path: Path
) -> None:
    disk, target = tmp_path / "disk", tmp_path / "out"
    result = on_a_small_disk(disk, "100m", f'TRIHULL_CACHE={disk} "$@" package {model} --output {target}')
    assert result.returncode == 69, result.stderr
    assert "o space left on device" in result.stderr
    assert not target.exists()
    assert builder.package_model(model, target, Options(), Progress()) == whole
