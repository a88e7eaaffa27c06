"""What the daemon owns: the remembered resources, the sites' clusters, moto, and the providers over them."""

import dataclasses
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from trihull_infra.emulators.aws.handlers import HANDLERS
from trihull_infra.emulators.aws.moto import Moto
from trihull_infra.emulators.capabilities import capabilities
from trihull_infra.emulators.cluster.objects import is_namespaced
from trihull_infra.emulators.home import Home
from trihull_infra.emulators.plugins.kubernetes import KubernetesProvider
from trihull_infra.emulators.plugins.provider import Provider
from trihull_infra.emulators.plugins.recorded import Handler, Locks, RecordedProvider, region_of
from trihull_infra.emulators.plugins.tls import TlsProvider
from trihull_infra.emulators.sites import Sites
from trihull_infra.emulators.store import Store
from trihull_infra.errors import EmulatorError

LOG = logging.getLogger(__name__)


class World:
    """All emulated state of one home, for the one daemon that runs it."""

    def __init__(self, home: Home) -> None:
        """Open the state; nothing runs until `restore`."""
        self.home = home
        self.store = Store(home.database)
        self.sites = Sites(home.clusters)
        self.moto = Moto()
        self._handlers: dict[str, Handler] = {token: kind(self.moto) for token, kind in HANDLERS.items()}
        self._locks = Locks()
        self._delays: dict[str, float] = {}

    def provider(self, package: str) -> Provider:
        """Return a fresh, unconfigured provider instance.

        Raises:
            EmulatorError: the package is not emulated.
        """
        if package in ("aws", "gcp", "azure-native"):
            return RecordedProvider(package, self)
        if package == "tls":
            return TlsProvider()
        if package == "kubernetes":
            return KubernetesProvider(lambda url: self.sites.by_server(url).cluster, is_namespaced, self.delay)
        raise EmulatorError(f"package {package!r} is not emulated")

    def handler(self, token: str) -> Handler | None:
        """Return what carries a type out for real; None when it is recorded only."""
        return self._handlers.get(token)

    def holding(self, package: str, token: str, resource_id: str) -> threading.RLock:
        """Return the lock of one resource."""
        return self._locks.of(package, token, resource_id)

    def set_delays(self, delays: Mapping[str, float]) -> None:
        """Make every operation of a kind take longer: {"create_s": 0.2}; for benchmarks."""
        self._delays = dict(delays)

    def delay(self, operation: str) -> None:
        """Wait as `set_delays` asked."""
        if seconds := self._delays.get(f"{operation}_s", 0.0):
            time.sleep(seconds)

    def restore(self) -> None:
        """Bring back what a restart ended: the clusters' processes, and moto's resources."""
        self.moto.start()
        resources = self.store.all()
        self.sites.restore(resources)
        for resource in resources:
            if handler := self.handler(resource.type):
                handler.create(region_of(resource), resource.inputs, resource.outputs)

    def describe_sites(self) -> dict[str, Any]:
        """Return the sites: name -> cluster, server and pods."""
        return {
            site.name: {
                "cluster": site.resource_id.rpartition("/")[2],
                "server": site.server,
                "pods": [dataclasses.asdict(pod) for pod in site.cluster.pods()],
                "not_run": site.cluster.not_run(),
            }
            for site in self.sites.all()
        }

    def describe(self) -> dict[str, Any]:
        """Return what else the status shows."""
        types = [token for types in self.store.counts().values() for token in types]
        return {"moto": self.moto.endpoint, "capabilities": capabilities([*HANDLERS, *types])}

    def close(self) -> None:
        """End everything that runs; what is remembered stays on disk."""
        self.sites.close_all()
        self.moto.close()
        self.store.close()
