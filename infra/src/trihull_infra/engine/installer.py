"""The official installer, behind a probe of the network and a time limit that it does not have itself.

`pulumi.automation.PulumiCommand.install` downloads a script and runs it, both without a limit, so it runs in a process
of its own.
"""

import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trihull_infra.engine import processes
from trihull_infra.engine.versions import VERSION
from trihull_infra.errors import EngineError

ADDRESS: Final = "https://get.pulumi.com/install.sh"  # what PulumiCommand.install takes
PROBE_S: Final = 3.0


def reachable() -> bool:
    """Tell whether the installer's address answers within 3 s (name resolution included, proxies respected)."""
    return processes.run(_child("probe"), timeout_s=PROBE_S + 1.0).code == 0


def install(root: Path, report: Callable[[str], None], timeout_s: float) -> None:
    """Install the engine into `root` (its programs into `root/bin`).

    Raises:
        EngineError: the installer failed or took longer than `timeout_s`.
    """
    outcome = processes.run(
        _child("install", str(root), VERSION),
        timeout_s=timeout_s,
        on_tick=lambda seconds: report(f"official installer: {_size_mib(root):.0f} MiB there, {seconds:.0f} s"),
    )
    if outcome.code is None:
        raise EngineError(f"the official installer of Pulumi did not finish within {timeout_s:.0f} s")
    if outcome.code != 0:
        last = next((line for line in reversed(outcome.tail) if line.strip()), "no output")
        raise EngineError(f"the official installer of Pulumi failed with exit code {outcome.code}: {last}")


def _size_mib(root: Path) -> float:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 2**20


def _child(*arguments: str) -> list[str]:
    program = "import sys; from trihull_infra.engine.installer import child; sys.exit(child(sys.argv[1:]))"
    return [sys.executable, "-c", program, *arguments]


def child(arguments: list[str]) -> int:
    """Do `probe`, or `install ROOT VERSION`, in a process that may be ended at any moment; returns the exit code."""
    if arguments == ["probe"]:
        request = urllib.request.Request(ADDRESS, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_S):  # noqa: S310 - the address is a constant
                return 0
        except OSError:  # of which URLError and TimeoutError are kinds
            return 1
    from pulumi.automation import PulumiCommand
    from semver import VersionInfo

    _, root, version = arguments
    PulumiCommand.install(root=root, version=VersionInfo.parse(version))
    return 0
