"""Builds the engine from pinned Go modules: `go.sum` fixes every byte of the source.

Two phases that a person can follow: `go list -deps` fetches the modules and counts the packages, `go build -v` names
each package as it is compiled.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trihull_infra.engine import cache, processes
from trihull_infra.engine.versions import DATA, VERSION, go_required
from trihull_infra.errors import EngineError

COMMAND: Final = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_STAMP: Final = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def toolchain() -> str:
    """Return the path of a Go that is new enough.

    Raises:
        EngineError: there is none, or it is too old; the message is a reason, not yet advice.
    """
    go = shutil.which("go")
    if go is None:
        raise EngineError("there is no go on PATH")
    outcome = processes.run([go, "env", "GOVERSION"], timeout_s=20, environment=_environment())
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", "\n".join(outcome.tail))
    if outcome.code != 0 or found is None:
        raise EngineError(f"{go} does not tell its version: {' '.join(outcome.tail) or 'no output'}")
    needed = [int(part) for part in go_required().split(".")]
    if [int(part or 0) for part in found.groups()] < needed:
        raise EngineError(f"{go} is Go {found[0].removeprefix('go')}, and the engine needs {go_required()} or newer")
    return go


def build(go: str, root: Path, report: Callable[[str], None], timeout_s: float) -> None:
    """Build `root/bin/pulumi`.

    Args:
        go: a Go from `toolchain`.
        root: an empty folder.
        report: called with lines of progress.
        timeout_s: limit of each of the two phases.

    Raises:
        EngineError: a module could not be had or did not match `go.sum`, the compiler failed, or it took too long.
    """
    source = root / "source"
    source.mkdir()
    for name in ("go.mod", "go.sum", "tools.go"):
        shutil.copyfile(DATA / name, source / name)
    work = cache.home() / ".go"
    environment = _with_caches(go, _environment(), work)
    modules, packages = [0], [0]

    def fetched(line: str) -> None:
        modules[0] += line.startswith("go: downloading ")
        packages[0] += bool(re.fullmatch(r"[A-Za-z0-9][^\s:]*", line))

    _phase(
        [go, "list", "-deps", COMMAND],
        source,
        environment,
        timeout_s,
        fetched,
        lambda seconds: report(f"fetching source: {modules[0]} modules, {_clock(seconds)}"),
    )
    total, compiled = packages[0], [0]

    def built(line: str) -> None:
        compiled[0] += bool(re.fullmatch(r"[A-Za-z0-9][^\s:]*", line))

    flags = ["-trimpath", "-ldflags", f"-s -w -X {_STAMP}=v{VERSION}"]
    _phase(
        [go, "build", "-v", *flags, "-o", str(root / "bin" / "pulumi"), COMMAND],
        source,
        environment,
        timeout_s,
        built,
        lambda seconds: report(f"compiling: {compiled[0]} of at most {total} packages, {_clock(seconds)}"),
    )
    shutil.rmtree(source)
    cache.remove(work)


def _with_caches(go: str, environment: dict[str, str], work: Path) -> dict[str, str]:
    """Give Go a cache of ours where the user has none: three gigabytes that are gone when the engine is there.

    A cache that the user already has, or names, is used: it may hold most of what is needed.
    """
    asked = processes.run([go, "env", "GOMODCACHE", "GOCACHE"], timeout_s=20, environment=environment)
    places = dict(zip(("GOMODCACHE", "GOCACHE"), asked.tail if asked.code == 0 else [], strict=False))
    ours = {} if environment.get("HOME") or "GOPATH" in environment else {"GOPATH": work / "path"}
    for variable, folder in (("GOMODCACHE", "modules"), ("GOCACHE", "build")):
        if variable not in environment and not (places.get(variable) and Path(places[variable]).is_dir()):
            ours[variable] = work / folder
    return {**environment, **{variable: str(folder) for variable, folder in ours.items()}}


def _phase(
    arguments: list[str],
    source: Path,
    environment: dict[str, str],
    timeout_s: float,
    on_line: Callable[[str], None],
    on_tick: Callable[[float], None],
) -> None:
    outcome = processes.run(
        arguments, timeout_s=timeout_s, environment=environment, folder=source, on_line=on_line, on_tick=on_tick
    )
    step = f"`go {arguments[1]}` of the Pulumi engine"
    if outcome.code is None:
        raise EngineError(f"{step} did not finish within {timeout_s:.0f} s; try again, it goes on where it stopped")
    if outcome.code != 0:
        problem = [line for line in outcome.tail if line.strip() and not line.startswith("go: downloading ")][-6:]
        raise EngineError(f"{step} failed with exit code {outcome.code}: {' | '.join(problem) or 'no output'}")


def _environment() -> dict[str, str]:
    """Return the environment of `go`: the user's, without what would build something else."""
    # A proxy, private modules and caches are the user's to choose; the platform, the flags and the toolchain are ours.
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    kept = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GO111MODULE")}
    return {**kept, **ours}


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
