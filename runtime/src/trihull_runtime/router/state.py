"""What the router remembers over its own death: the last good fleet, an operator's orders, addresses that worked."""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from trihull_runtime.contract import ContractError, Fleet, SiteState
from trihull_runtime.contract.codec import Document, Pattern, Range
from trihull_runtime.router.errors import EnvoyError


@dataclass(frozen=True)
class Memory(Document):
    """The router's own document, `router.json`.

    Fields: `config_version` counts configurations; `overrides` is an operator's word per site; `addresses` the last
    good IP addresses per host name; `fleet_source` says where the fleet in force came from; `file_digest` is the
    SHA-256 of the fleet file when that was decided: the file wins again as soon as it is another one.
    """

    version: int
    config_version: Annotated[int, Range(minimum=0)]
    overrides: Mapping[str, SiteState]
    addresses: Mapping[str, tuple[str, ...]]
    fleet_source: Annotated[str, Pattern("file|admin")]
    file_digest: str


EMPTY = Memory(Memory.CURRENT, 0, {}, {}, "file", "")


class StateFolder:
    """A folder that belongs to one router at a time.

    Raises:
        EnvoyError: another router has it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "control.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            problem = error.strerror or str(error)
            raise EnvoyError(f"the state folder {folder} cannot be used: {problem}; choose another") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise EnvoyError(f"another router runs with the state folder {folder}; end it or choose another") from error

    @property
    def fleet_path(self) -> Path:
        """The last good fleet."""
        return self.folder / "fleet.json"

    @property
    def memory_path(self) -> Path:
        """The router's memory."""
        return self.folder / "router.json"

    @property
    def clients_path(self) -> Path:
        """The last good clients; it holds keys, so that only we may read it."""
        return self.folder / "clients.json"

    def last_good(self) -> Fleet | None:
        """Return the last fleet that was in force, None when there never was one.

        Raises:
            ContractError: there is one, but it is damaged.
        """
        return Fleet.read(self.fleet_path) if self.fleet_path.exists() else None

    def memory(self) -> tuple[Memory, ContractError | None]:
        """Return what is remembered; a damaged document is put aside, and its error returned with an empty memory."""
        if not self.memory_path.exists():
            return EMPTY, None
        try:
            return Memory.read(self.memory_path), None
        except ContractError as error:
            self.memory_path.replace(self.memory_path.with_suffix(".damaged"))
            return EMPTY, error

    def close(self) -> None:
        """Let another router have the folder."""
        os.close(self._lock)
