"""Where the emulated clouds live on disk, and whether their daemon is alive."""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trihull_infra.errors import EmulatorError
from trihull_runtime import paths
from trihull_runtime.contract.codec import write_file


@dataclasses.dataclass(frozen=True)
class Address:
    """How the daemon is reached: what `daemon.json` holds."""

    pid: int
    port: int
    token: str
    epoch: str


@dataclasses.dataclass(frozen=True)
class Home:
    """The folder of one state home's emulated clouds; its paths, and the lock that its one daemon holds for life."""

    root: Path

    @classmethod
    def default(cls) -> "Home":
        """Return the home that `TRIHULL_HOME` (or the user's state folder) names."""
        return cls(paths.state_home() / "emulators")

    @property
    def address_file(self) -> Path:
        """The file that says how the daemon is reached."""
        return self.root / "daemon.json"

    @property
    def lock_file(self) -> Path:
        """The file the daemon keeps locked: the system lets go of it when the process ends, however it ends."""
        return self.root / "daemon.lock"

    @property
    def log_file(self) -> Path:
        """The daemon's log."""
        return self.root / "daemon.log"

    @property
    def shims(self) -> Path:
        """The folder of `pulumi-resource-*` executables, to be put first on PATH."""
        return self.root / "bin"

    @property
    def registries(self) -> Path:
        """The folder of the sites' image registries: OCI layouts at `<site>/<name>`."""
        return self.root / "registries"

    @property
    def clusters(self) -> Path:
        """The folder of the local clusters."""
        return self.root / "clusters"

    @property
    def database(self) -> Path:
        """The file of everything the emulated clouds remember."""
        return self.root / "state.sqlite"

    def prepare(self) -> None:
        """Make the folder, closed to other users: it holds keys of loopback servers.

        Raises:
            EmulatorError: it cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise EmulatorError(
                f"the emulators' folder {self.root} cannot be used: {error.strerror}; set TRIHULL_HOME to another"
            ) from error

    def running(self) -> bool:
        """Say whether a daemon holds this home: by its lock, so a reused process id deceives nobody."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def address(self) -> Address | None:
        """Return how the daemon is reached; None when there is none, or it is not ready yet."""
        if not self.running():
            return None
        try:
            value = json.loads(self.address_file.read_text(encoding="utf-8"))
            return Address(int(value["pid"]), int(value["port"]), str(value["token"]), str(value["epoch"]))
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def publish(self, address: Address) -> None:
        """Write how the daemon is reached, readable by this user alone."""
        write_file(self.address_file, json.dumps(dataclasses.asdict(address)).encode(), mode=0o600)

    def hold(self) -> int | None:
        """Take the daemon's lock; return its descriptor, to be kept open, or None when another daemon has it."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Let one process at a time start or stop the daemon."""
        descriptor = os.open(self.root / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
