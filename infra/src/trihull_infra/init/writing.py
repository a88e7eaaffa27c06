"""Writes a project: all of it, or nothing.

It is written beside its place under another name, and renamed when it is whole; an interrupted run leaves nothing
that looks like a project.
"""

import datetime
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trihull_infra import kubernetes_versions, schema
from trihull_infra.cloud import Cloud
from trihull_infra.init import requirements
from trihull_infra.init.requirements import VENDOR, Requirements
from trihull_runtime.errors import UsageError

PACKAGE: Final = Path(__file__).parent
# Understood by the language server of YAML that editors use; relative to the file that it stands in.
SCHEMA_LINE: Final = f"# yaml-language-server: $schema={schema.ENVIRONMENT}\n"
_FILLED: Final = ".template"  # a file whose @...@ are filled in, called without this
_DOT: Final = "dot-"  # what begins with a dot, so that no tool takes our templates for its own settings


def write(target: Path, cloud: Cloud, needed: Requirements | None = None) -> list[Path]:
    """Write a project whose `dev` environment is on one cloud; returns its files, relative to it.

    Args:
        target: a folder that is not there, or is empty.
        cloud: of `dev.yaml`.
        needed: what the project installs; None for what is installed here.

    Raises:
        UsageError: something is there already, the folder cannot be written, or a distribution is missing.
    """
    target = target.absolute()
    _refuse(target)
    needed = needed or requirements.of_installation(None)
    marks = {
        "@VERSION@": needed.version,
        "@CLOUD@": cloud.value,
        "@REQUIREMENTS@": "\n".join(needed.lines),
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as staging:
            whole = Path(staging) / "project"
            _copy(whole, marks)
            environments = whole / "stacks" / "environments"
            shutil.copyfile(PACKAGE / "clouds" / f"{cloud}.yaml", environments / "dev.yaml")
            for file in sorted(environments.glob("*.yaml*")):
                text = SCHEMA_LINE + file.read_text(encoding="utf-8")
                clouds = [cloud] if file.name == "dev.yaml" else list(Cloud)
                version = kubernetes_versions.default(clouds, datetime.datetime.now(datetime.UTC).date())
                file.write_text(text.replace("@KUBERNETES@", version), encoding="utf-8")
            schema.write(environments)
            for file in needed.files:
                (whole / VENDOR).mkdir(exist_ok=True)
                shutil.copyfile(file, whole / VENDOR / file.name)
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
