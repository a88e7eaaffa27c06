"""Finds the engine, or gets one: the order stands in `ensure` and nowhere else."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trihull_infra.engine import building, cache, installer, processes
from trihull_infra.engine.versions import BELOW, VERSION, accepted, go_required, parse
from trihull_infra.errors import EngineError

BUILD_TIMEOUT_S = 1800.0
INSTALL_TIMEOUT_S = 300.0

Report = Callable[[str], None]


@dataclass(frozen=True)
class Engine:
    """A usable `pulumi`: where it lies, its version (without `v`) and where it came from."""

    path: Path
    version: str
    source: Literal["path", "cache", "installer", "build"]

    @property
    def folder(self) -> Path:
        """The folder to put on PATH."""
        return self.path.parent


def to_stderr(line: str) -> None:
    """Print one line of progress."""
    print(f"engine: {line}", file=sys.stderr, flush=True)


def find(report: Report = to_stderr) -> Engine | None:
    """Return the engine on PATH or in the cache; None when there is none. Changes nothing.

    An engine on PATH that is too old is named through `report` and not used.

    Raises:
        EngineError: the cached one is not what its receipt says.
    """
    found, refusal = _on_path()
    if found is not None:
        return found
    if refusal:
        report(f"not used: {refusal}")
    cached = cache.lookup()
    return Engine(cached, VERSION, "cache") if cached is not None else None


def ensure(report: Report = to_stderr) -> Engine:
    """Return an engine; install or build it when there is none, which takes minutes once.

    Two at once do not clash: the second waits and uses what the first made.

    Raises:
        EngineError: none is to be had; the message says what was tried and what to install.
    """
    found = find(report)
    if found is not None:
        return found
    with processes.sigterm_raises(), cache.locked(report, BUILD_TIMEOUT_S * 2):
        cached = cache.lookup()  # made by whoever held the lock
        if cached is not None:
            return Engine(cached, VERSION, "cache")
        refusal = _on_path()[1]
        tried = [refusal] if refusal else []
        report(f"Pulumi {VERSION} is not here; looking for the official installer")
        if installer.reachable():
            try:
                return _installed(report)
            except EngineError as error:
                report(str(error))
                tried.append(str(error))
        else:
            tried.append("the official installer cannot be reached")
        try:
            go = building.toolchain()
        except EngineError as error:
            tried.append(str(error))
            raise EngineError(
                f"there is no Pulumi engine: {'; '.join(tried)}. "
                f"Install Pulumi {VERSION} or newer (below {BELOW}) so that `pulumi` is on PATH, "
                f"or Go {go_required()} or newer so that trihull can build it."
            ) from error
        report(f"building Pulumi {VERSION} with {go}; this takes some minutes, once")
        return _built(go, report)


def _installed(report: Report) -> Engine:
    with cache.staging() as root:
        installer.install(root, report, INSTALL_TIMEOUT_S)
        _check(root / "bin" / "pulumi")
        return _published(root, "installer", report)


def _built(go: str, report: Report) -> Engine:
    with cache.staging() as root:
        building.build(go, root, report, BUILD_TIMEOUT_S)
        _check(root / "bin" / "pulumi")
        return _published(root, "build", report)


def _published(root: Path, source: Literal["installer", "build"], report: Report) -> Engine:
    path = cache.publish(root, source)
    report(f"Pulumi {VERSION} is at {path}")
    return Engine(path, VERSION, source)


def _check(program: Path) -> None:
    """Refuse what does not run or is another version than was asked for."""
    version = _version(program) if program.is_file() else None
    if version != VERSION:
        raise EngineError(f"what was installed does not answer as Pulumi {VERSION} but as {version or 'nothing'}")


def _version(program: Path) -> str | None:
    """Ask a program for its version; None when it does not run or does not answer."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        outcome = processes.run([program, "version"], timeout_s=30, environment=environment)
    except OSError:
        return None
    if outcome.code != 0:
        return None
    return next((line.strip().removeprefix("v") for line in outcome.tail if parse(line) is not None), None)


def _on_path() -> tuple[Engine | None, str]:
    """Return the engine on PATH, or None and why the one there is not used (empty when there is none)."""
    program = shutil.which("pulumi")
    if program is None:
        return None, ""
    version = _version(Path(program))
    if version is None:
        return None, f"{program} does not tell its version"
    if not accepted(version):
        return None, f"{program} is Pulumi {version}, and trihull needs {VERSION} or newer, below {BELOW}"
    return Engine(Path(program).absolute(), version, "path"), ""
