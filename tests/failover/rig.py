"""Real router processes and fleets for them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.failover.load import eventually
from tests.failover.standin import ACCEPTED, StandIn
from tests.servers import Certificates, Server, free_ports
from trihull_runtime.contract import Endpoint, Fleet, FleetSite
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.process import EnvoyProcess
from trihull_runtime.router.run import layout_of
from trihull_runtime.router.settings import Settings, from_environment


def site(name: str, priority: int, url: str, server_name: str = "", ca: str | None = None, **more: Any) -> FleetSite:
    """Return a site of a fleet."""
    endpoint = Endpoint(url, server_name or f"serving.{name}.local.trihull.internal")
    return FleetSite(name, name, "region-1", "eu", endpoint, ca, priority, 1, **more)


def fleet_of(sites: Mapping[str, StandIn], accepted: tuple[str, ...] = (ACCEPTED,)) -> Fleet:
    """Return a fleet of stand-ins whose priorities follow their order."""
    listed = tuple(site(name, index, each.url) for index, (name, each) in enumerate(sites.items()))
    return Fleet(1, "local", {"digits": accepted}, listed)


def secure_fleet(names: list[str], servers: list[Server], certificates: list[Certificates], release: str) -> Fleet:
    """Return a fleet of real servers with mutual TLS."""
    listed = tuple(
        site(name, index, server.url, certificate.server_name, certificate.ca.read_text())
        for index, (name, server, certificate) in enumerate(zip(names, servers, certificates, strict=True))
    )
    return Fleet(1, "local", {"digits": (release,)}, listed)


COMMAND = ("-m", "trihull_runtime.router")


class Router:
    """A router process and its state folder, which outlives the process."""

    def __init__(self, folder: Path, command: Sequence[str] = COMMAND, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.command = folder, command
        self.fleet_path = folder / "fleet.json"
        ingress, admin = free_ports(2)
        self.environment = {
            "TRIHULL_FLEET": str(self.fleet_path),
            "TRIHULL_STATE": str(folder / "state"),
            "TRIHULL_HOST": "127.0.0.1",
            "TRIHULL_PORT_INGRESS": f"{ingress}",
            "TRIHULL_PORT_ADMIN": f"{admin}",
            "TRIHULL_POLICY": "priority",
            "TRIHULL_TIMINGS": "lab",
            "TRIHULL_ACCESS_LOG": "all",
            **environment,
        }
        self.url = f"http://127.0.0.1:{ingress}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        self.output = folder / "router.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._skipped = 0  # characters of the log that belong to earlier tests

    @property
    def settings(self) -> Settings:
        return from_environment(self.environment)

    @property
    def envoy(self) -> EnvoyProcess:
        """Its Envoy, seen from outside."""
        return EnvoyProcess(find_envoy(), layout_of(self.settings), own_group=False)

    def start(self, wait: bool = True) -> None:
        """Start the process; with `wait` until it says that it is ready and all its sites were checked."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIHULL_")}
        before = self.events("ready")
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.command],
                env={**inherited, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if wait:
            eventually(lambda: len(self.events("ready")) > len(before) or self._ended(), "the router is ready")
            assert not self._ended(), self.text()

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def wait_end(self) -> int:
        """Return the exit code once it ended."""
        assert self.process is not None, "it was started"
        return self.process.wait(40)

    def kill(self) -> None:
        """End the control process alone, as an out-of-memory kill would."""
        assert self.process is not None, "it was started"
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end; returns the exit code."""
        assert self.process is not None, "it was started"
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def close(self) -> None:
        """End everything of this router at once; `stop` is the polite way."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if (self.folder / "state").exists() and self.envoy.alive():
            self.envoy.quit()

    def text(self) -> str:
        """Everything it printed, since `skip_events` where that was called."""
        return self.output.read_text()[self._skipped :] if self.output.exists() else ""

    def skip_events(self) -> None:
        """Leave what was printed so far out of `text` and `events`: the next test of a shared router begins."""
        self._skipped += len(self.text())

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of a name."""
        lines = [line for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def wait_event(self, name: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait until an event happened that often, with these fields; returns the last one."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events(name) if fields.items() <= event.items()]

        eventually(
            lambda: len(found()) >= count, lambda: f"event {name} {fields} of the router:\n{self.text()[-3000:]}"
        )
        return found()[-1]

    def admin(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Ask the admin API; returns status and JSON (text for /metrics)."""
        status, _, data = ask(f"{self.admin_url}{path}", method, body)
        return status, json.loads(data) if data[:1] in (b"{", b"[") else data.decode()

    def health(self, model: str = "digits") -> dict[str, str]:
        """Each site's health as the admin API tells it."""
        return {row["name"]: row["health"] for row in self.admin("GET", "/v1/status")[1]["models"][model]["sites"]}

    def wait_health(self, **expected: str) -> None:
        """Wait until the sites' health is this."""
        eventually(
            lambda: expected.items() <= self.health().items(), lambda: f"health {expected}; it is {self.health()}"
        )


def ask(
    url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Make one request; returns status, headers (lower case) and body, whatever the status."""
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {key.lower(): value for key, value in error.headers.items()}, error.read()


@contextlib.contextmanager
def router_for(folder: Path, fleet: Fleet | None, **environment: str) -> Iterator[Router]:
    """Run a router until the block ends; with no fleet it is not started."""
    router = Router(folder, **environment)
    try:
        if fleet is not None:
            fleet.write(router.fleet_path)
            router.start()
        yield router
    finally:
        router.close()


def raw(router: Router, data: bytes) -> bytes:
    """Send bytes, and return all that comes back until the connection ends or a second has passed."""
    port = int(router.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(1)
        connection.sendall(data)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except TimeoutError:
            pass
        return b"".join(parts)
