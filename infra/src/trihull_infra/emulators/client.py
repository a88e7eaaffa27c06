"""Starting, finding and stopping the emulators; all that the rest of trihull uses of them.

daemon = client.start()                 # idempotent
os.environ | client.environment(dir)    # what the engine must be run with
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trihull_infra.emulators.home import Address, Home
from trihull_infra.errors import EmulatorError

START_S: Final = 90.0  # first start of a machine: SDKs are compiled; clusters are restored
STOP_S: Final = 120.0  # pods have a grace period each, side by side
POLL_S: Final = 0.05
# Emulated state protects nothing, and stack files in a repository hold a salt made with the passphrase: a fixed one
# lets every machine read them.
PASSPHRASE: Final = "trihull-local"  # noqa: S105


class Daemon:
    """A running daemon, as its users see it."""

    def __init__(self, address: Address) -> None:
        """Speak to the daemon at `address`."""
        self.address = address

    @property
    def epoch(self) -> str:
        """The name of this life of the emulated clouds: another epoch means that what was there is gone."""
        return self.address.epoch

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return self.address.pid

    def status(self) -> dict[str, Any]:
        """Return everything the daemon says of itself."""
        return self._call("GET", "/status")

    def sites(self) -> dict[str, Any]:
        """Return the sites: name -> {cluster, server, pods: [{name, pid, ready, app}]}."""
        return self._call("GET", "/sites")

    def begin_outage(self, site: str, kind: str, ttl_s: float, workload: str | None = None) -> None:
        """Break a site, or one workload of it: `kill` or `freeze` the processes.

        It heals by itself after `ttl_s` seconds. A workload is called as its Deployment is (`trihull-router`).
        """
        body = {"kind": kind, "ttl_s": ttl_s} | ({} if workload is None else {"workload": workload})
        self._call("PUT", f"/sites/{site}/outage", body)

    def end_outage(self, site: str) -> None:
        """Heal a site and its workloads now."""
        self._call("DELETE", f"/sites/{site}/outage")

    def set_delays(self, delays: Mapping[str, float]) -> None:
        """Make operations slower: {"create_s": 0.2}; an empty mapping ends it."""
        self._call("PUT", "/delays", dict(delays))

    def request_stop(self) -> None:
        """Ask the daemon to end; `stop` also waits for it."""
        self._call("POST", "/stop")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self.address.token}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body or {}), headers)
            answer = connection.getresponse()
            value: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EmulatorError(f"the emulators do not answer on port {self.address.port}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise EmulatorError(f"the emulators refuse {method} {path}: {value.get('error')}")
        return value


def connect() -> Daemon:
    """Return the running daemon.

    Raises:
        EmulatorError: none is running.
    """
    home = Home.default()
    address = home.address()
    if address is None:
        raise EmulatorError(f"the emulators of {home.root} are not running; start them: trihull emulators start")
    return Daemon(address)


def start() -> Daemon:
    """Start the daemon unless it runs, and wait until it is ready; any number of callers get the same one.

    Raises:
        EmulatorError: it ended or was not ready in time; the message has its last words.
    """
    home = Home.default()
    home.prepare()
    with home.starting():
        if not home.running():
            _spawn(home)
        address = home.address()
        deadline = time.monotonic() + START_S
        while address is None and time.monotonic() < deadline and home.running():
            time.sleep(POLL_S)  # it holds its home but has not published yet: a start that was interrupted
            address = home.address()
    if address is None:
        raise EmulatorError(f"the emulators did not become ready; their log is {home.log_file}")
    daemon = Daemon(address)
    daemon.status()
    return daemon


def _spawn(home: Home) -> None:
    home.address_file.unlink(missing_ok=True)
    last_words = home.root / "daemon.err"
    with last_words.open("wb") as errors:
        # The daemon forks once it holds the home, so nobody here has a child to reap later.
        code = subprocess.run(
            [sys.executable, "-m", "trihull_infra.emulators.daemon", "--detach"],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd=home.root,
            env={**os.environ, "TRIHULL_HOME": str(home.root.parent)},
            start_new_session=True,
            timeout=START_S,
            check=False,
        ).returncode
    deadline = time.monotonic() + START_S
    while code == 0 and home.address() is None and home.running():
        if time.monotonic() > deadline:
            raise EmulatorError(f"the emulators were not ready after {START_S:.0f} s; their log is {home.log_file}")
        time.sleep(POLL_S)
    if home.address() is None:
        said = last_words.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
        raise EmulatorError(f"the emulators ended before they were ready: {said or f'see {home.log_file}'}")


def stop() -> bool:
    """Stop the daemon and all it started, and wait until it is gone; return whether one was running.

    Raises:
        EmulatorError: it does not end.
    """
    home = Home.default()
    if not home.root.is_dir():
        return False
    with home.starting():
        address = home.address()
        if address is None:
            if home.running():
                raise EmulatorError(f"the emulators of {home.root} are starting or stopping; try again in a moment")
            home.address_file.unlink(missing_ok=True)
            return False
        Daemon(address).request_stop()
        deadline = time.monotonic() + STOP_S
        while home.running():
            if time.monotonic() > deadline:
                raise EmulatorError(f"the emulators (pid {address.pid}) do not end; their log is {home.log_file}")
            time.sleep(POLL_S)
    return True


def environment(engine_dir: Path | None = None) -> dict[str, str]:
    """Return the variables with which the engine sees emulated clouds and keeps its state in this home.

    Args:
        engine_dir: the folder of the `pulumi` executable, when it is not on PATH.

    Raises:
        EmulatorError: the state's folder cannot be made.
    """
    home = Home.default()
    home.prepare()
    backend, engine_home = home.root.parent / "pulumi-state", home.root.parent / "pulumi-home"
    for folder in (backend, engine_home):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    first = [str(home.shims), *([str(engine_dir)] if engine_dir else [])]
    rest = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part and part not in first]
    return {
        "PATH": os.pathsep.join([*first, *rest]),
        "TRIHULL_HOME": str(home.root.parent),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_HOME": str(engine_home),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_CONFIG_PASSPHRASE_FILE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "false",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }


def aws_environment(daemon: Daemon) -> dict[str, str]:
    """Return what AWS's own tools need to look into the emulated account: its endpoint, and credentials of no worth.

    Raises:
        EmulatorError: the emulated account does not become ready.
    """
    deadline = time.monotonic() + START_S
    while (endpoint := daemon.status()["moto"]) is None:
        if time.monotonic() > deadline:
            raise EmulatorError("the emulated AWS account did not become ready")
        time.sleep(POLL_S)
    return {"AWS_ENDPOINT_URL": str(endpoint), "AWS_ACCESS_KEY_ID": "emulated", "AWS_SECRET_ACCESS_KEY": "emulated"}
