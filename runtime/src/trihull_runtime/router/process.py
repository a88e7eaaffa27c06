"""Runs Envoy so that it outlives us, and finds it again.

An Envoy of a state folder holds a lock on `envoy.lock` for as long as it lives: the descriptor is inherited, so the
kernel frees it at its death, whoever started it. So two never run, none is ever lost, and no process id is guessed.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from trihull_runtime.contract.codec import write_file
from trihull_runtime.router.envoy import Json, Layout
from trihull_runtime.router.envoy_admin import EnvoyAdmin
from trihull_runtime.router.errors import EnvoyError

START_LIMIT_S = 30.0
VALIDATE_LIMIT_S = 30.0
QUIT_LIMIT_S = 5.0


class EnvoyProcess:
    """The Envoy of one state folder.

    Args:
        binary: Envoy's executable.
        layout: where its files are.
        own_group: put Envoy into a process group of its own, so that Ctrl-C at a terminal reaches us alone. In a
            container it stays in ours: whatever ends the container's group ends Envoy too.
    """

    def __init__(self, binary: Path, layout: Layout, own_group: bool) -> None:
        self.binary = binary
        self.layout = layout
        self.admin = EnvoyAdmin(layout.admin_socket)
        self.restarts = 0
        self._own_group = own_group
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = layout.bootstrap.parent / "envoy.lock"
        self._looking = threading.Lock()  # two looks at the lock at once would take each other for an Envoy

    def alive(self) -> bool:
        """Whether an Envoy of this state folder lives, started by whomever."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        with self._looking, _locked(self._lock) as descriptor:
            return descriptor is None

    def hangs(self) -> bool:
        """Whether a living Envoy does not answer at its admin socket at all."""
        try:
            self.admin.call("GET", "/ready")
        except EnvoyError:
            return True
        return False

    def pid(self) -> int | None:
        """Return the living Envoy's process id; None when there is none, or it cannot be told yet."""
        if not self.alive():
            return None
        return self.admin.pid() or _written_pid(self._lock)

    def adopt(self, bootstrap: Json) -> bool:
        """Take over an Envoy that runs already with this very bootstrap; one with another is stopped.

        Returns:
            True when it was adopted; False when none runs (any more).
        """
        deadline = time.monotonic() + QUIT_LIMIT_S
        while self.alive():
            try:
                if self.admin.bootstrap_digest() == bootstrap["node"]["metadata"]["bootstrap"]:
                    return True
                break
            except EnvoyError:  # it may be starting: its lock comes before its socket
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
        if self.alive():
            self.quit()
        return False

    def validate(self, static: Json) -> None:
        """Let Envoy itself judge a configuration without serving it.

        Raises:
            EnvoyError: it refuses; the message carries its reason.
        """
        self.layout.logs.mkdir(parents=True, exist_ok=True)  # also a validation opens the log files
        path = self.layout.bootstrap.parent / "candidate.json"
        write_file(path, json.dumps(static).encode(), mode=0o600)
        command = [str(self.binary), "--mode", "validate", "-c", str(path), "-l", "error", "--disable-hot-restart"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=VALIDATE_LIMIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvoyError(f"{self.binary} cannot check the configuration: {error}") from error
        if done.returncode != 0:
            reason = " ".join((done.stderr or done.stdout).split())[:1500]
            raise EnvoyError(f"Envoy refuses the configuration: {reason}")

    def start(self, bootstrap: Json) -> None:
        """Start Envoy; returns once it was spawned. Raises EnvoyError when it cannot be."""
        write_file(self.layout.bootstrap, json.dumps(bootstrap, indent=1).encode())
        self.layout.logs.mkdir(parents=True, exist_ok=True)
        with self._looking, _locked(self._lock) as descriptor:
            if descriptor is None:
                raise EnvoyError(f"an Envoy of {self._lock.parent} is running already")
            os.ftruncate(descriptor, 0)
            command = [
                str(self.binary), "-c", str(self.layout.bootstrap), "-l", "warning", "--disable-hot-restart",
                "--reject-unknown-dynamic-fields", "--drain-strategy", "immediate", "--cpuset-threads",
                "--file-flush-interval-msec", "250",  # its logs are read for events
            ]  # fmt: skip
            with self.layout.output.open("ab") as output:
                try:
                    self._child = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        pass_fds=[descriptor],
                        process_group=0 if self._own_group else None,
                        cwd="/",
                    )
                except OSError as error:
                    raise EnvoyError(f"{self.binary} cannot be started: {error.strerror or error}") from error
            os.pwrite(descriptor, f"{self._child.pid}\n".encode(), 0)

    def wait_ready(self) -> None:
        """Wait until Envoy serves. Raises EnvoyError when it died or needs too long; the caller stops it."""
        deadline = time.monotonic() + START_LIMIT_S
        while not self.admin.ready():
            if not self.alive():
                raise EnvoyError(f"Envoy ended at its start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise EnvoyError(f"Envoy is not ready after {START_LIMIT_S:.0f} s: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """Return the end of what Envoy printed."""
        try:
            data = self.layout.output.read_bytes()[-4000:]
        except OSError as error:
            return f"{self.layout.output} cannot be read: {error.strerror or error}"
        lines = data.decode(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"

    def drain(self, limit_s: float) -> None:
        """Say goodbye: health fails and answers close their connections, so that clients go elsewhere; then nobody new
        is let in; then requests in flight end, or time is up.

        Args:
            limit_s: for all of it; the first step has a third, within which a health check in front must notice.
        """
        deadline = time.monotonic() + limit_s
        self.admin.call("POST", "/healthcheck/fail")
        time.sleep(limit_s / 3)
        self.admin.call("POST", "/drain_listeners")
        while time.monotonic() < deadline:
            if not any(self.admin.stats("^http.ingress.downstream_rq_active$").values()):
                return
            time.sleep(0.05)

    def quit(self) -> None:
        """End Envoy now: asked first, killed when it does not listen. Nothing is left when this returns."""
        try:
            self.admin.call("POST", "/quitquitquit")
            limit_s = QUIT_LIMIT_S
        except EnvoyError:  # it hangs, or has no socket yet
            limit_s = 0.0
        if not self._gone(limit_s):
            pid = self.pid()
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not self._gone(QUIT_LIMIT_S):
                raise EnvoyError(f"the Envoy of {self._lock.parent} (process {pid}) does not end; end it by hand")
        if self._child is not None:
            self._child.wait()
            self._child = None
        for path in (self.layout.admin_socket, self.layout.probe_socket, self.layout.shadow_socket):
            path.unlink(missing_ok=True)
        if self.layout.admin_socket.parent != self._lock.parent:  # a folder of its own, for a short path
            with contextlib.suppress(OSError):
                self.layout.admin_socket.parent.rmdir()

    def _gone(self, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Hold the lock, giving its descriptor, or give None when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _written_pid(path: Path) -> int | None:
    text = path.read_text().strip()
    return int(text) if text.isdigit() else None


def refuse_occupied(host: str, port: int, what: str) -> None:
    """Refuse a port that somebody listens on, before anything is started.

    Envoy itself would not notice: it shares ports (SO_REUSEPORT) and would get a part of the connections.

    Raises:
        EnvoyError: it is occupied, or the address is not ours.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvoyError(
            f"{what} {host}:{port} cannot be used: {reason}; choose another or end what holds it"
        ) from error
