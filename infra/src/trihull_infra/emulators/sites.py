"""The emulated sites: the local cluster behind each recorded cluster resource, found by its API server's URL."""

import dataclasses
import hashlib
import importlib
import logging
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.recorder.identities import server_key
from trihull_infra.emulators.store import Resource
from trihull_infra.errors import EmulatorError

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Site:
    """One running local cluster and the resource it stands behind."""

    name: str  # the cloud's name: aws, gcp, azure
    server: str
    resource_id: str
    cluster: Any  # a LocalCluster; imported only where clusters run


class Sites:
    """All local clusters of this daemon."""

    def __init__(self, folder: Path) -> None:
        """Keep clusters' state below `folder`."""
        self._folder = folder
        self._lock = threading.RLock()
        self._sites: dict[str, Site] = {}

    def restore(self, resources: Iterable[Resource]) -> None:
        """Start again the clusters behind these resources, after the daemon was restarted."""
        for resource in resources:
            if resource.type in CLOUDS[resource.package].CLUSTERS:
                self.open(resource)

    def open(self, resource: Resource) -> None:
        """Start the cluster behind a resource, with whatever objects its folder holds."""
        cloud = CLOUDS[resource.package]
        server = str(cloud.server(resource.outputs))
        name = resource.id.rpartition("/")[2]
        local_cluster = importlib.import_module("trihull_infra.emulators.cluster").LocalCluster
        with self._lock:
            if server_key(server) in self._sites:
                return
            cluster = local_cluster(
                name, cloud.SITE, self._place(cloud.SITE, name, server), images=self._folder / "images"
            )
            self._sites[server_key(server)] = Site(cloud.SITE, server, resource.id, cluster)

    def close(self, resource: Resource) -> None:
        """End the cluster behind a resource with all its processes, and remove its folder."""
        cloud = CLOUDS[resource.package]
        server = str(cloud.server(resource.outputs))
        with self._lock:
            site = self._sites.pop(server_key(server), None)
        if site is not None:
            site.cluster.close()
        folder = self._place(cloud.SITE, resource.id.rpartition("/")[2], server)
        if folder.is_dir():
            shutil.rmtree(folder)

    def close_all(self) -> None:
        """End all clusters' processes, side by side; their objects stay on disk."""
        with self._lock:
            sites, self._sites = list(self._sites.values()), {}
        threads = [threading.Thread(target=_close, args=(site,)) for site in sites]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def by_server(self, url: str) -> Site:
        """Return the cluster with this API server.

        Raises:
            EmulatorError: it is not an emulated cluster.
        """
        with self._lock:
            site = self._sites.get(server_key(url))
        if site is None:
            raise EmulatorError(f"{url} is not an emulated cluster; the emulators never speak to any other")
        return site

    def by_name(self, name: str) -> Site:
        """Return a site's cluster by its cloud's name; the last one made when there are several.

        Raises:
            EmulatorError: the site has no cluster.
        """
        with self._lock:
            found = [site for site in self._sites.values() if site.name == name]
            known = sorted({site.name for site in self._sites.values()})
        if not found:
            raise EmulatorError(f"site {name!r} has no emulated cluster; sites with one: {', '.join(known) or 'none'}")
        return found[-1]

    def all(self) -> list[Site]:
        """Return all running clusters."""
        with self._lock:
            return list(self._sites.values())

    def _place(self, site: str, name: str, server: str) -> Path:
        return self._folder / site / f"{name[:40]}-{hashlib.sha256(server.encode()).hexdigest()[:8]}"


def _close(site: Site) -> None:
    try:
        site.cluster.close()
    except Exception:
        LOG.exception("the cluster of site %s did not close", site.name)
