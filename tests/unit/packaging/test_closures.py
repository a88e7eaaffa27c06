"""What goes into an image is what the workspace's own lock names."""

from pathlib import Path

import pytest

from trihull_packaging import closures
from trihull_packaging.errors import ToolError
from trihull_packaging.spec import unpinned

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("part", closures.PARTS)
def test_the_images_requirements_are_those_of_the_lock(part: str) -> None:
    stored = (closures.DATA / f"{part}-requirements.txt").read_text(encoding="utf-8")
    assert stored == closures.closure(ROOT, part), "run `make lock`: the image's requirements are out of date"


@pytest.mark.parametrize("part", closures.PARTS)
def test_the_images_requirements_are_hashed_and_name_no_index(part: str) -> None:
    assert unpinned(closures.DATA / f"{part}-requirements.txt") == []


def test_a_folder_without_a_lock_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"exporting trihull-runtime\[server\] from uv.lock"):
        closures.closure(tmp_path, "server")
