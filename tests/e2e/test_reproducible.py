"""One lock, one image: whatever the folder, the user, the umask, the clock and the rest of the machine's mood are."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.conftest import Packaged
from tests.toolchain import debian
from trihull_packaging import spec

TRIHULL = (sys.executable, "-c", "from trihull_runtime.cli import main; main()")
BUILDS = 20
COLD = 2  # the last ones begin without any layer, base or environment
NIGHTLY = (pytest.mark.nightly, pytest.mark.timeout(1800))
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Circumstances:
    """What differs between two builds."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    umask: int = 0o022
    folder: str = "model"
    cold: bool = False


def circumstances(faketime: Path) -> list[Circumstances]:
    """Twenty of them: every setting in several values, mixed by chance with a fixed seed."""
    zones, languages = ("UTC", "Asia/Kathmandu", "America/St_Johns"), ("C", "C.UTF-8", "tr_TR.UTF-8", "de_DE@euro")
    masks, folders = (0o022, 0o077, 0o002), ("model", "a folder with spaces", "ümläut/tief/drin")
    clocks = ("", "2026-11-25 03:00:00", "2019-02-28 23:59:58", "2038-01-20 00:00:00")
    users = ((), ("unshare", "--user", "--map-user=1234", "--map-group=4321"), ("unshare", "--user", "--map-root-user"))
    cores = ((), ("taskset", "--cpu-list", "0"))
    choose = random.Random(7)
    result = []
    for number in range(BUILDS):
        language = choose.choice(languages)
        environment = {
            "TZ": choose.choice(zones), "LANG": language, "LC_ALL": language, "PYTHONHASHSEED": str(number),
        }  # fmt: skip
        cold, clock = number >= BUILDS - COLD, choose.choice(clocks)
        if clock and not cold:  # a package archive and an index are not believed by a wrong clock, and rightly so
            environment |= {"LD_PRELOAD": str(faketime), "FAKETIME": f"@{clock}", "UV_OFFLINE": "1"}
        command = (*choose.choice(users), *choose.choice(cores))
        folder = choose.choice(folders)
        result.append(Circumstances(f"build {number}", environment, command, choose.choice(masks), folder, cold))
    return result


@pytest.fixture(scope="module")
def faketime() -> Path:
    (library,) = debian.unpacked("libfaketime").rglob("libfaketime.so.1")
    return library


@pytest.mark.parametrize(
    "chosen", [pytest.param(slice(3, -COLD, 8), id="two"), pytest.param(slice(None), id="twenty", marks=NIGHTLY)]
)
def test_builds_from_one_lock_give_one_image(
    chosen: slice, tmp_path: Path, packaged: Packaged, warm_cache: Callable[[Path], None], faketime: Path
) -> None:
    first, cache = packaged.release, tmp_path / "cache"
    assert spec.load(packaged.model).image.platforms == list(first.image.platforms)
    warm_cache(cache)

    def build(case: Circumstances) -> str:
        folder = tmp_path / case.name / case.folder
        shutil.copytree(packaged.model, folder)
        output = tmp_path / case.name / "release"
        own = tmp_path / case.name / "cache" if case.cold else cache
        process = subprocess.run(
            [*case.command, *TRIHULL, "package", str(folder), "--output", str(output), "--locked", "--json"],
            env={**os.environ, **case.environment, "TRIHULL_CACHE": str(own)},
            umask=case.umask, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert process.returncode == 0, f"{case}: {process.stderr}"
        assert json.loads(process.stdout)["release"]["image"]["index_digest"] == first.image.index_digest, case
        return (output / "release.json").read_text(encoding="utf-8")

    cases = circumstances(faketime)
    assert len(cases) == BUILDS
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip((case.name for case in cases[chosen]), pool.map(build, cases[chosen]), strict=True))
    # The digests of image, release and every attestation: all evidence is the same too.
    assert set(found.values()) == {(packaged.target / "release.json").read_text(encoding="utf-8")}, found
