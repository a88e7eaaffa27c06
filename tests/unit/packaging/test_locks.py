"""What goes into an image is what the workspace's own lock names."""

import subprocess
from importlib import resources
from pathlib import Path

import pytest

from trihull_packaging import resolver
from trihull_packaging.spec import unpinned

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("part", ["server", "router"])
def test_the_images_requirements_are_those_of_the_lock(part: str, tmp_path: Path) -> None:
    exported = subprocess.run(
        [
            resolver.uv_binary(), "export", "--quiet", "--frozen", "--offline", "--package", "trihull-runtime",
            "--extra", part, "--no-dev", "--no-emit-workspace", "--no-header",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=resolver.clean_environment(),
    ).stdout  # fmt: skip
    data = resources.files("trihull_packaging") / "data" / f"{part}-requirements.txt"
    assert data.read_text(encoding="utf-8") == exported, "run `make lock`: the image's requirements are out of date"


@pytest.mark.parametrize("part", ["server", "router"])
def test_the_images_requirements_are_hashed_and_name_no_index(part: str, tmp_path: Path) -> None:
    with resources.as_file(resources.files("trihull_packaging") / "data" / f"{part}-requirements.txt") as path:
        assert unpinned(path) == []
