"""The daemon's process: `python -m trihull_infra.emulators.daemon`, one per state home.

It holds the home's lock for life, publishes its address when it is ready, and ends on SIGTERM, SIGINT or `POST /stop`
with everything it started. It is started in a session of its own by client.py and outlives its terminal.
"""

import logging
import logging.handlers
import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from trihull_infra.emulators import shims
from trihull_infra.emulators.api import Api, Refused
from trihull_infra.emulators.cluster import processes
from trihull_infra.emulators.home import Address, Home
from trihull_infra.emulators.plugins.servicer import Instance
from trihull_infra.emulators.recorder.packages import MODULES, package
from trihull_infra.emulators.world import World
from trihull_infra.errors import EmulatorError

LOG = logging.getLogger("trihull_infra.emulators.daemon")
LOG_BYTES: Final = 2 << 20  # two files of it at most
JANITOR_S: Final = 2.0  # how often instances of dead shims are looked for


class Daemon:
    """Everything the process serves, wired in one place."""

    def __init__(self, home: Home) -> None:
        """Open the state and listen; `start` makes it ready."""
        self._home = home
        self._stopping = threading.Event()
        self._world = World(home)
        self._lock = threading.Lock()
        self._instances: dict[str, tuple[str, int, Instance]] = {}
        self._token = secrets.token_hex(24)
        self._started = time.time()
        self._api = Api(
            self._token,
            {
                ("GET", "/status"): lambda _, __: self._status(),
                ("GET", "/sites"): lambda _, __: self._world.describe_sites(),
                ("PUT", "/sites/*/outage"): self._begin_outage,
                ("DELETE", "/sites/*/outage"): self._end_outage,
                ("POST", "/plugins/*"): self._open_plugin,
                ("DELETE", "/plugins/*"): self._drop_plugin,
                ("PUT", "/delays"): self._set_delays,
                ("POST", "/stop"): self._stop,
            },
        )

    def run(self) -> None:
        """Serve until stopped; then end everything that was started."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        shims.write(self._home)
        self._world.restore()
        self._api.start()
        self._home.publish(Address(os.getpid(), self._api.port, self._token, self._world.store.epoch))
        LOG.info("ready: pid %d, port %d, epoch %s", os.getpid(), self._api.port, self._world.store.epoch)
        while not self._stopping.wait(JANITOR_S):
            self._drop_orphans()
        LOG.info("stopping")
        self._home.address_file.unlink(missing_ok=True)
        self._api.close()
        with self._lock:
            instances, self._instances = list(self._instances.values()), {}
        for _, _, instance in instances:
            instance.close()
        self._world.close()
        LOG.info("stopped")

    def _open_plugin(self, variables: list[str], body: dict[str, Any]) -> dict[str, Any]:
        name = variables[0]
        pid = body.get("pid")
        if not isinstance(pid, int):
            raise Refused(400, "the body must hold the shim's pid")
        instance = Instance(self._world.provider(name), package(name).version)
        identifier = secrets.token_hex(8)
        with self._lock:
            self._instances[identifier] = (name, pid, instance)
        return {"id": identifier, "port": instance.port}

    def _drop_plugin(self, variables: list[str], _: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            found = self._instances.pop(variables[0], None)
        if found is not None:
            found[2].close()
        return {}

    def _drop_orphans(self) -> None:
        with self._lock:
            gone = [key for key, (_, pid, _) in self._instances.items() if not processes.alive(pid)]
        for key in gone:
            LOG.info("dropping the plugin of a process that is gone")
            self._drop_plugin([key], {})

    def _begin_outage(self, variables: list[str], body: dict[str, Any]) -> dict[str, Any]:
        kind, ttl_s, workload = body.get("kind"), body.get("ttl_s"), body.get("workload")
        if unknown := sorted(body.keys() - {"kind", "ttl_s", "workload"}):
            raise Refused(400, f"{unknown[0]!r} is nothing of an outage; expected kind, ttl_s and workload")
        if kind not in ("kill", "freeze"):
            raise Refused(400, f"the outage's kind is {kind!r}; expected kill or freeze")
        if not isinstance(ttl_s, int | float) or isinstance(ttl_s, bool) or not 0 < ttl_s <= 3600:
            raise Refused(400, f"the outage's ttl_s is {ttl_s!r}; expected seconds, more than 0 and at most 3600")
        if not isinstance(workload, str | None):
            raise Refused(400, f"the outage's workload is {workload!r}; expected a Deployment's name, or none")
        self._world.sites.by_name(variables[0]).cluster.begin_outage(kind, float(ttl_s), workload)
        LOG.info("site %s, %s: outage %s for at most %s s", variables[0], workload or "all of it", kind, ttl_s)
        return {}

    def _end_outage(self, variables: list[str], _: dict[str, Any]) -> dict[str, Any]:
        self._world.sites.by_name(variables[0]).cluster.end_outage()
        return {}

    def _set_delays(self, _: list[str], body: dict[str, Any]) -> dict[str, Any]:
        for key, value in body.items():
            if key not in ("create_s", "update_s", "delete_s"):
                raise Refused(400, f"{key!r} is no delay; expected create_s, update_s or delete_s")
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 60:
                raise Refused(400, f"{key} is {value!r}; expected seconds from 0 to 60")
        self._world.set_delays(body)
        return {}

    def _stop(self, _: list[str], __: dict[str, Any]) -> dict[str, Any]:
        self._stopping.set()
        return {}

    def _status(self) -> dict[str, Any]:
        with self._lock:
            plugins = sorted(name for name, _, _ in self._instances.values())
        return {
            "pid": os.getpid(),
            "epoch": self._world.store.epoch,
            "home": str(self._home.root),
            "started": self._started,
            "packages": {name: package(name).version for name in MODULES},
            "plugins": plugins,
            "resources": self._world.store.counts(),
            "sites": self._world.describe_sites(),
            **self._world.describe(),
        }


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line per request of ours to moto says nothing
    sys.excepthook = lambda kind, error, trace: LOG.critical("the daemon failed", exc_info=(kind, error, trace))


def main() -> int:
    """Run the daemon of the default home; 0 when it ended as asked, 75 when another holds the home."""
    home = Home.default()
    home.prepare()
    held = home.hold()
    if held is None:
        return 75  # EX_TEMPFAIL: another daemon is running
    if "--detach" in sys.argv[1:] and os.fork():  # the lock is the child's too; whoever started us reaps us at once
        return 0
    # The lock is never given back by hand: it ends with the process, so whoever waits for it sees the process gone.
    _log_to(home.log_file)
    try:
        Daemon(home).run()
    except EmulatorError as error:
        LOG.error("%s", error)
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
