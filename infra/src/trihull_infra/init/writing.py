"""Writes a project: all of it, or nothing.

It is written beside its place under another name, and renamed when it is whole; an interrupted run leaves nothing
that looks like a project.
"""

import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from trihull_infra import schema
from trihull_infra.cloud import Cloud
from trihull_runtime.errors import UsageError

PACKAGE: Final = Path(__file__).parent
DISTRIBUTIONS: Final = {"@INFRA@": "trihull-infra", "@PACKAGING@": "trihull-packaging", "@RUNTIME@": "trihull-runtime"}
# Understood by the language server of YAML that editors use; relative to the file that it stands in.
SCHEMA_LINE: Final = f"# yaml-language-server: $schema={schema.ENVIRONMENT}\n"
_FILLED: Final = ".template"  # a file whose @...@ are filled in, called without this
_DOT: Final = "dot-"  # what begins with a dot, so that no tool takes our templates for its own settings


def versions() -> dict[str, str]:
    """Return what stands in the place of each @...@: the versions that are installed.

    Raises:
        UsageError: one of trihull's distributions is not installed.
    """
    found = {}
    for mark, name in DISTRIBUTIONS.items():
        try:
            found[mark] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise UsageError(f"{name} is not installed, and a project needs it: install it beside this one") from error
    return found


def write(target: Path, cloud: Cloud) -> list[Path]:
    """Write a project whose `dev` environment is on one cloud; returns its files, relative to it.

    Args:
        target: a folder that is not there, or is empty.
        cloud: of `dev.yaml`.

    Raises:
        UsageError: something is there already, the folder cannot be written, or a distribution is missing.
    """
    target = target.absolute()
    _refuse(target)
    marks = {**versions(), "@CLOUD@": cloud.value}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as staging:
            whole = Path(staging) / "project"
            _copy(whole, marks)
            environments = whole / "stacks" / "environments"
            shutil.copyfile(PACKAGE / "clouds" / f"{cloud}.yaml", environments / "dev.yaml")
            for file in sorted(environments.glob("*.yaml*")):
                file.write_text(SCHEMA_LINE + file.read_text(encoding="utf-8"), encoding="utf-8")
            schema.write(environments)
            files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
            whole.rename(target)  # over an empty folder, or into a place that is free; fails when something came there
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}") from error
    return files


def _refuse(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        if any(target.iterdir()):
            raise UsageError(f"{target} is not empty: name a folder that is not there, or an empty one")
    elif target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already and is no folder: name one that is not there")


def _copy(whole: Path, marks: Mapping[str, str]) -> None:
    """Copy `project/`, its names and @...@ as they are in a project."""
    source = PACKAGE / "project"
    for file in sorted(source.rglob("*")):
        place = file.relative_to(source)
        if not file.is_file() or "__pycache__" in place.parts:
            continue
        parts = [f".{part.removeprefix(_DOT)}" if part.startswith(_DOT) else part for part in place.parts]
        to = whole.joinpath(*parts)
        to.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == _FILLED:
            text = file.read_text(encoding="utf-8")
            for mark, value in marks.items():
                text = text.replace(mark, value)
            to.with_suffix("").write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(file, to)
