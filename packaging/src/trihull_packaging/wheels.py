"""Which wheels go into an image: resolved once per architecture, without a Python of that architecture.

uv resolves; what it may choose is narrowed beforehand. A package that drags a GPU's libraries along is replaced by its
CPU form unless the model asks for a GPU (`data/substitutions.toml` has the table, with sources).
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from trihull_packaging import closures, processes, resolver
from trihull_packaging.errors import StepError
from trihull_packaging.lock import LockedWheel

TABLE: Final = closures.DATA / "substitutions.toml"


@dataclass(frozen=True)
class Wanted:
    """What shall be in an image beside trihull itself: the closure's text and what the model adds."""

    closure: str
    packages: tuple[str, ...] = ()
    gpu: bool = False


@dataclass(frozen=True)
class Resolved:
    """Wheels by name, and package that was asked for -> what is installed instead."""

    wheels: tuple[LockedWheel, ...]
    substitutions: Mapping[str, str]


def resolve(wanted: Wanted, python_version: str, architecture: str, folder: Path) -> Resolved:
    """Resolve an image's wheels.

    Args:
        wanted: what shall be in it.
        python_version: the image's, as `3.11`.
        architecture: `amd64` or `arm64`.
        folder: to write to.

    Raises:
        ToolError: uv failed or the index cannot be reached; the message carries uv's own.
        StepError: no wheel fits, or the index has another file than the closure's hash names.
    """
    rules = substitutions(gpu=wanted.gpu)
    asked = [*pins(wanted.closure), *wanted.packages]
    replaced = {name: rules[name] for name in map(_name, asked) if name in rules}
    lines = [_renamed(text, rules) for text in asked]
    found = _compile(lines, replaced, python_version, architecture, folder, gpu=wanted.gpu)
    hidden = {name: rules[name] for name in sorted(found) if name in rules}  # a dependency asks for them
    if hidden:
        lines += [f"{other}=={found[name]['version']}" for name, other in hidden.items()]
        replaced |= hidden
        found = _compile(lines, replaced, python_version, architecture, folder, gpu=wanted.gpu)
    known = hashes(wanted.closure)
    order = {tag: place for place, tag in enumerate(tags(python_version, architecture))}
    machine = f"Python {python_version} on {architecture}"
    wheels = tuple(_wheel(found[name], order, machine, known) for name in sorted(found))
    return Resolved(wheels, {name: other for name, other in sorted(replaced.items()) if other in found})


def substitutions(*, gpu: bool) -> dict[str, str]:
    """Return package -> the package to take instead, on a machine with a GPU or without."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {row["package"]: row["instead"] for row in table["gpu" if gpu else "cpu"]}


def pins(closure: str) -> list[str]:
    """Return a hashed closure's requirements, without the hashes."""
    lines = closure.replace("\\\n", " ").splitlines()
    entries = (line.partition(" #")[0].partition("--hash")[0].strip() for line in lines)
    return [entry for entry in entries if entry and not entry.startswith("#")]


def hashes(closure: str) -> dict[str, set[str]]:
    """Return package -> the SHA-256 digests (hex) that a hashed closure allows for it, of all its versions."""
    result: dict[str, set[str]] = {}
    for line in closure.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            result.setdefault(_name(pins(line)[0]), set()).update(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return result


def tags(python_version: str, architecture: str) -> list[Tag]:
    """Return the tags of the wheels that an image's Python takes, best first (PEP 425, PEP 600)."""
    machine = resolver.MACHINES[architecture]
    newest = int(resolver.GLIBC.rpartition("_")[2])
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 17, -1)]
    platforms += [f"manylinux_2_17_{machine}", f"manylinux2014_{machine}"]
    if architecture == "amd64":  # older names exist for x86 only
        platforms += [f"manylinux_2_{minor}_{machine}" for minor in range(16, 4, -1)]
        platforms += [f"manylinux2010_{machine}", f"manylinux1_{machine}"]
    platforms.append(f"linux_{machine}")
    major, minor_version = (int(part) for part in python_version.split("."))
    interpreter = f"cp{major}{minor_version}"
    version = (major, minor_version)
    return [*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)]


def _compile(
    asked: Sequence[str], left_out: Iterable[str], python_version: str, architecture: str, folder: Path, *, gpu: bool
) -> dict[str, dict[str, Any]]:
    """Return name -> its paragraph of pylock.toml (PEP 751) for one machine."""
    source, excludes, answer = folder / "wheels.in", folder / "excludes.txt", folder / "pylock.toml"
    source.write_text("".join(f"{line}\n" for line in asked), encoding="utf-8")
    excludes.write_text("".join(f"{name}\n" for name in left_out), encoding="utf-8")
    answer.unlink(missing_ok=True)  # uv would keep to the versions that it names
    processes.run(
        [
            resolver.uv_binary(), "pip", "compile", "--quiet", "--no-header", "--no-annotate",
            *resolver.target(python_version, architecture), *resolver.backend(gpu=gpu),
            "--format", "pylock.toml", "--excludes", excludes, "--output-file", answer, source,
        ],
        doing=f"resolving the image's packages for Python {python_version} on {architecture}",
        timeout_s=resolver.TIMEOUT_S,
        environment=resolver.clean_environment(),
        cwd=folder,
    )  # fmt: skip
    packages = tomllib.loads(answer.read_text(encoding="utf-8"))["packages"]
    return {canonicalize_name(package["name"]): package for package in packages}


def _wheel(
    package: Mapping[str, Any], order: Mapping[Tag, int], machine: str, known: Mapping[str, set[str]]
) -> LockedWheel:
    """Return the wheel of a package that fits best; `order` has the place of every tag that fits `machine` at all."""
    name, version = str(package["name"]), str(package["version"])
    best: tuple[int, str, Mapping[str, Any]] | None = None
    for wheel in package.get("wheels", ()):
        file = wheel.get("name") or unquote(PurePosixPath(urlsplit(wheel["url"]).path).name)
        place = min((order[tag] for tag in parse_wheel_filename(file)[3] if tag in order), default=None)
        if place is not None and (best is None or (place, file) < best[:2]):
            best = (place, file, wheel)
    if best is None:
        raise StepError(f"{name} {version} has no wheel for {machine}")
    sha256 = best[2]["hashes"]["sha256"]
    if name in known and sha256 not in known[name]:
        raise StepError(f"{best[1]}: the index's file has SHA-256 {sha256}, which trihull's own lock does not know")
    return LockedWheel(name, version, best[1], sha256, best[2].get("size"))


def _renamed(text: str, rules: Mapping[str, str]) -> str:
    requirement = Requirement(text)
    requirement.name = rules.get(canonicalize_name(requirement.name), requirement.name)
    return str(requirement)


def _name(text: str) -> str:
    return canonicalize_name(Requirement(text).name)
