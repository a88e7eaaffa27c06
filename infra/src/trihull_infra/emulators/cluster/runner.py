"""The seam below a pod: how its container becomes a process.

`IsolatedRunner` (isolated.py) runs the image's own root in user namespaces, `VirtualRunner` (virtual.py) its
requirements in a virtual environment; tests bring one of their own. A runner decides what is executed, it starts
nothing: processes.py does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Bind:
    """A folder of the pod's and where the container sees it."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Container:
    """What a pod wants run. `image` is the reference, `environment` what the pod adds to the image's own."""

    image: str
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    working_dir: str | None
    environment: Mapping[str, str]
    binds: tuple[Bind, ...]


@dataclass(frozen=True)
class Plan:
    """What the launcher does; see launcher.py. `root` None: no namespaces, a plain process."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    root: str | None = None
    uid: int = 0
    gid: int = 0
    mounts: tuple[tuple[str, str, bool], ...] = field(default=())

    def to_value(self, parent: int) -> dict[str, Any]:
        """Return the plan as the launcher reads it; `parent` is the process it must not outlive."""
        return {
            "argv": list(self.argv),
            "env": dict(self.env),
            "cwd": self.cwd,
            "root": self.root,
            "uid": self.uid,
            "gid": self.gid,
            "mounts": [list(mount) for mount in self.mounts],
            "parent": parent,
        }


class Runner(Protocol):
    """Makes containers runnable on this machine."""

    @property
    def isolation(self) -> str:
        """Say how containers are kept apart: `namespaces`, `virtual environment`."""
        ...

    def plan(self, container: Container) -> Plan:
        """Make the image ready (verified, unpacked) and say what to execute. May take long; called in any thread.

        Raises:
            ImageError: the image cannot be run.
        """
        ...
