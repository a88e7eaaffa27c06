"""Copies what a project has in common with the repository's own `stacks/` into the package; run in a checkout."""

import shutil
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parent / "project"
PROJECTS: Final = ("site", "serving", "routing", "dns")


def sources(stacks: Path) -> dict[Path, Path]:
    """Return every file of `stacks/` that a project gets as it is: its place below `stacks/` -> the file."""
    files = [stacks / "environments" / "local.yaml"]
    for project in PROJECTS:
        files += [stacks / project / "__main__.py", stacks / project / "Pulumi.yaml"]
        files += sorted((stacks / project).glob("Pulumi.local*.yaml"))
    model = stacks / "models" / "digits"
    files += [model / name for name in ("model.yaml", "requirements.in", "requirements.txt", "train.py")]
    return {file.relative_to(stacks): file for file in files}


def copy(stacks: Path, project: Path = PROJECT) -> None:
    """Copy them all, over what is there."""
    for place, file in sources(stacks).items():
        target = project / "stacks" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


if __name__ == "__main__":
    copy(Path(__file__).parents[4] / "stacks")
