"""A local cluster: Kubernetes objects as supervised processes on 127.0.0.1. What the emulators' daemon uses.

The objects live in a folder; the processes live and die with this object. One thread with one event loop does
everything, and it is the parent of all processes: the kernel ends them when it ends.
"""

import asyncio
import fcntl
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from trihull_infra.emulators.cluster import agents, isolated, objects, processes
from trihull_infra.emulators.cluster.control import Control, read_records
from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.images import Images
from trihull_infra.emulators.cluster.isolated import IsolatedRunner
from trihull_infra.emulators.cluster.objects import Object
from trihull_infra.emulators.cluster.outages import Gates, OutageKind
from trihull_infra.emulators.cluster.pods import Node
from trihull_infra.emulators.cluster.records import PodStatus
from trihull_infra.emulators.cluster.runner import Runner
from trihull_infra.emulators.cluster.store import Store
from trihull_infra.emulators.cluster.virtual import VirtualRunner

T = TypeVar("T")

WORKERS = 2  # threads that verify and unpack images
_taken: set[int] = set()  # ports of all clusters of this process; a set's single steps are atomic


class LocalCluster:
    """One cluster. All public methods may be called from any thread (but not from its own loop)."""

    def __init__(
        self, name: str, site: str, folder: Path, *, images: Path | None = None, runner: Runner | None = None
    ) -> None:
        """Take up the cluster in `folder` (made when new): its objects, its ports, and its pods, which are started.

        Args:
            name: the cluster's name, as the cloud knows it.
            site: the site it stands on (`aws`).
            folder: where its state is kept; one cluster object at a time may use it.
            images: where unpacked images are kept, shared between clusters; beside `folder` when not given.
            runner: how containers become processes; what this machine can do when not given.

        Raises:
            ClusterError: the folder is in use or cannot be read, or processes of an earlier run do not end.
        """
        self.name, self.site, self.folder = name, site, folder
        self._why = ""
        if runner is None:
            cache = Images(images if images is not None else folder.parent / "images")
            self._why = isolated.unavailable()
            runner = VirtualRunner(cache) if self._why else IsolatedRunner(cache)
        self._runner = runner
        self._guard = threading.Lock()
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ClusterError(
                f"The local cluster in {folder} is in use by another daemon; stop that first."
            ) from error
        try:
            self._open()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def isolation(self) -> str:
        """Say how containers are kept apart: `namespaces` or `virtual environment`."""
        return self._runner.isolation

    def status(self) -> dict[str, Any]:
        """Return what a person wants to know: how pods are run (and why not better), the outage, the pods."""
        outage = self._control.outage
        return {
            "name": self.name,
            "site": self.site,
            "isolation": self.isolation,
            "isolation_reason": self._why,
            "outage": None if outage is None else outage.kind.value,
            "outage_workload": None if outage is None else outage.workload,
            "pods": [vars(pod) for pod in self.pods()],
            "not_run": self.not_run(),
        }

    def apply(self, obj: Object) -> Object:
        """Create or change an object; `obj` says all of it.

        Returns:
            The live object: as given, with defaults, metadata and status. A LoadBalancer has its ports already.

        Raises:
            ClusterError: it is not a valid object, its namespace does not exist, local clusters cannot run it, or the
                site is in an outage. Nothing was changed.
        """
        return self._call(self._control.apply(obj))

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """Return a live object, None when there is none. `namespace` is not looked at for cluster-scoped kinds."""

        async def get() -> Object | None:
            return self._control.get(_key(kind, namespace, name))

        return self._call(get())

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Remove an object, and wait until what followed from it (pods, ports; a Namespace's objects) is gone.

        Nothing happens when there is none.

        Raises:
            ClusterError: the site is in an outage.
        """
        self._call(self._control.delete(_key(kind, namespace, name)))

    def wait_ready(self, kind: str, namespace: str | None, name: str, timeout_s: float) -> Object:
        """Wait until a Deployment runs as asked, or a Service has a ready pod.

        As asked means: all pods of its current template are available, and no other is left. Objects of other kinds are
        ready when they exist.

        Returns:
            The live object.

        Raises:
            ClusterError: why not; at once when waiting is of no use (no such image, wrong digest, the container ended
                three times).
        """
        return self._call(self._control.wait_ready(_key(kind, namespace, name), timeout_s))

    def pods(self) -> list[PodStatus]:
        """Return all pods, also in an outage."""

        async def pods() -> list[PodStatus]:
            return self._control.statuses()

        return self._call(pods())

    def not_run(self) -> list[dict[str, str]]:
        """Return agents of the cluster that are stored and not run: `kind`, `namespace`, `name`, `reason`."""

        async def not_run() -> list[dict[str, str]]:
            return agents.told(self._control.store)

        return self._call(not_run())

    def begin_outage(self, kind: str, ttl_s: float, workload: str | None = None) -> None:
        """Break the site, or one workload of it, the Deployment of that name, while the rest goes on.

        `kill` ends all pods, breaks connections and refuses new ones; `freeze` stops pods, connections hang. No pod of
        what is broken is started or asked for its health meanwhile. It ends by itself after `ttl_s` seconds. A second
        one takes the place of the first.

        Raises:
            ClusterError: an unknown kind, an unknown workload, or no lease; an outage that stands goes on.
        """
        if kind not in list(OutageKind):
            raise ClusterError(f"An outage of kind {kind!r} is not known; known: {', '.join(OutageKind)}.")
        self._call(self._control.begin_outage(OutageKind(kind), ttl_s, workload))

    def end_outage(self) -> None:
        """Let it work again: pods start, ports stay. Nothing happens when there is no outage."""
        self._call(self._control.end_outage())

    def reload(self) -> None:
        """End all processes and start again from what the folder holds."""
        with self._guard:
            self._refuse_closed()
            self._stop()
            self._open()

    def close(self) -> None:
        """End all processes (SIGTERM, SIGKILL after a pod's grace period), give ports back; may be called again."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._stop()
                os.close(self._lock)

    def _open(self) -> None:
        store = Store(self.folder / "objects")
        pods = self.folder / "pods"
        records = read_records(pods)
        processes.end_leftovers((record.uid, record.pid, record.identity) for record in records)
        self._executor = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"images-{self.site}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name=f"cluster-{self.site}", daemon=True)
        self._thread.start()

        async def begin() -> Control:
            node = Node(pods, self._runner, store, Gates(), self._executor, _taken, lambda: None)
            control = Control(self.site, node)
            await control.restore(records)
            return control

        self._control = self._submit(begin())

    def _stop(self) -> None:
        self._submit(self._control.close())
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            self._refuse_closed()
        except ClusterError:
            work.close()
            raise
        return self._submit(work)

    def _submit(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClusterError(f"The local cluster {self.name} is closed.")


def _key(kind: str, namespace: str | None, name: str) -> tuple[str, str, str]:
    return kind, (namespace or "default") if objects.is_namespaced(kind) else "", name
