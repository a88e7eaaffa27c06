"""Pods as others see them, and as a restart of the daemon must know them."""

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.objects import Object


@dataclass(frozen=True)
class PodStatus:
    """A pod as others see it. `ports`: name -> port on 127.0.0.1; `pid` None while no process runs."""

    name: str
    namespace: str
    app: str
    deployment: str
    ready: bool
    phase: str
    restarts: int
    pid: int | None
    ports: dict[str, int]
    image: str
    message: str


@dataclass
class Record:
    """What a restart of the daemon must know of a pod."""

    name: str
    namespace: str
    deployment: str
    template: Object
    template_hash: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    ports: dict[str, int] = field(default_factory=dict)
    pid: int = 0
    identity: str = ""

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a record; raises `ClusterError` when it cannot be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            message = f"The pod's record {path} cannot be read ({error}); remove its folder and start again."
            raise ClusterError(message) from error
