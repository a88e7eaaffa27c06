"""The control plane of one local cluster: what an apply leads to, and what keeps it so. Lives in the cluster's loop."""

import asyncio
import datetime
import math
import random
import shutil
import signal
import uuid
from pathlib import Path
from typing import Any

from trihull_infra.emulators.cluster import agents, deployments, objects, processes, rollout
from trihull_infra.emulators.cluster.balancers import Balancers
from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.objects import Object
from trihull_infra.emulators.cluster.outages import Outage, OutageKind
from trihull_infra.emulators.cluster.pods import Node, Pod
from trihull_infra.emulators.cluster.records import PodStatus, Record
from trihull_infra.emulators.cluster.services import Services, check_service
from trihull_infra.emulators.cluster.spec import DeploymentSpec, read_deployment
from trihull_infra.emulators.cluster.store import Key

SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # as in names that Kubernetes makes up: no vowels, no look-alikes
RETRY_S = 1.0
CRASHES_ENOUGH = 3  # in a row, until waiting for a Deployment gives up

_choice = random.SystemRandom()


class Control:
    """Objects, pods, load balancers and outages of one cluster."""

    def __init__(self, site: str, node: Node) -> None:
        """Nothing runs before `restore`."""
        self.site, self.node, self.store = site, node, node.store
        self.balancers = Balancers(node.folder.parent / "balancers.log", self._changed)
        self.services = Services(self.store, self.balancers, node.taken)
        self.pods: list[Pod] = []
        self.outage: Outage | None = None
        self._lease: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._trouble = ""  # why the last step could not be done; it is tried again
        self._specs: dict[Key, tuple[str, DeploymentSpec]] = {}
        self._dirty = asyncio.Event()
        self._changes = asyncio.Condition()
        self._loop_task: asyncio.Task[None] | None = None
        node.changed = self._changed

    async def restore(self, records: list[Record]) -> None:
        """Take up what the store holds: ports first, then pods as they were."""
        self.services.restore()
        for record in records:
            if self.store.peek(("Deployment", record.namespace, record.deployment)) is None:
                shutil.rmtree(self.node.folder / record.namespace / record.name)
            else:
                self._add(record)
        self._loop_task = asyncio.create_task(self._run(), name=f"control {self.site}")
        self._dirty.set()

    async def apply(self, wanted: Object) -> Object:
        """Create or change an object; see `LocalCluster.apply`."""
        self._working()
        wanted = objects.plain(wanted)
        key = kind, namespace, name = objects.check(wanted)
        known = namespace in ("", *objects.BUILT_IN_NAMESPACES)
        if not known and self.store.peek(("Namespace", "", namespace)) is None:
            raise ClusterError(f"{kind} {name}: the namespace {namespace!r} does not exist; apply it first.")
        existing = self.store.get(key)
        if kind == "Deployment":
            self._check_selector(existing, wanted)
            if not agents.not_run(wanted):
                read_deployment(wanted)
        if kind == "Service":
            check_service(wanted)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        version, uid = self.store.version + 1, str(uuid.uuid4())
        live, changed = objects.merge(existing, wanted, version=version, uid=uid, now=now)
        if changed:
            if kind == "Service":
                self.services.allocate(key, live)
            self.store.put(key, live)
            if kind in ("ConfigMap", "Secret"):
                for pod in self.pods:
                    pod.update_volumes()
            self._step()
            self._dirty.set()
        return self.get(key) or live

    def get(self, key: Key) -> Object | None:
        """Return a live object, its status as of now."""
        if key in agents.run_here(self.store):
            self._tell(key)
        return self.store.get(key)

    async def delete(self, key: Key) -> None:
        """Remove an object and all that follows from it; see `LocalCluster.delete`."""
        self._working()
        kind, _, name = key
        keys = [key]
        if kind == "Namespace":
            keys += [other for other in self.store.keys(namespace=name) if other[1]]
        for other in keys:
            if other[0] == "Service" and self.store.peek(other) is not None:
                self.services.forget(other)
            self.store.remove(other)
            self._specs.pop(other, None)
        ends = self._step()
        self._dirty.set()
        gone = {(other[1], other[2]) for other in keys if other[0] == "Deployment"}
        waits = [pod for pod in self.pods if (pod.record.namespace, pod.record.deployment) in gone]
        await asyncio.gather(*ends, *(self._stop(pod) for pod in waits))
        await self.balancers.settled()

    async def wait_ready(self, key: Key, timeout_s: float) -> Object:
        """Wait for an object; see `LocalCluster.wait_ready`."""
        kind, namespace, name = key
        what = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        problem = ""
        try:
            async with asyncio.timeout(timeout_s), self._changes:
                while True:
                    self._working()
                    if self.store.peek(key) is None:
                        raise ClusterError(f"{what} is not ready: it does not exist.")
                    problem, final = self._problem(key)
                    if not problem:
                        return self.get(key) or {}
                    if final:
                        raise ClusterError(f"{what} on site {self.site} does not become ready: {problem}")
                    await self._changes.wait()
        except TimeoutError:
            raise ClusterError(f"{what} on site {self.site} is not ready after {timeout_s:g} s: {problem}") from None

    def statuses(self) -> list[PodStatus]:
        """Return all pods, those that are ending too."""
        return [pod.status() for pod in self.pods]

    async def begin_outage(self, kind: OutageKind, ttl_s: float, workload: str | None) -> None:
        """Break the site or a workload; see `LocalCluster.begin_outage`."""
        if not (math.isfinite(ttl_s) and ttl_s > 0):
            raise ClusterError(f"An outage needs a lease of more than 0 s, not {ttl_s!r}: it must end by itself.")
        known = sorted({key[2] for key in agents.run_here(self.store)})
        if workload is not None and workload not in known:
            raise ClusterError(
                f"Site {self.site} has no workload {workload!r}; its workloads: {', '.join(known) or 'none'}."
            )
        await self.end_outage()
        outage = self.outage = Outage(kind, workload)
        loop = asyncio.get_running_loop()
        self._lease = loop.call_later(ttl_s, lambda: self._background(self.end_outage()))
        self.node.gates.close(outage)
        match kind:
            case OutageKind.KILL:
                processes.send(self._marks(outage), signal.SIGKILL)
                if workload is None:  # the balancers serve what goes on; they find a dead workload's pods gone
                    await self.balancers.kill()
            case OutageKind.FREEZE:
                if workload is None:
                    self.balancers.freeze()
                processes.send(self._marks(outage), signal.SIGSTOP)
        self._dirty.set()

    async def end_outage(self) -> None:
        """Let what is broken work again; nothing happens when nothing is."""
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None
        outage, self.outage = self.outage, None
        if outage is None:
            return
        match outage.kind:
            case OutageKind.KILL:
                if outage.workload is None:
                    self.balancers.heal()
            case OutageKind.FREEZE:
                processes.send(self._marks(outage), signal.SIGCONT)
                if outage.workload is None:
                    self.balancers.thaw()
        self.node.gates.open()
        self._dirty.set()

    async def close(self) -> None:
        """End all processes; objects and records stay on disk."""
        await self.end_outage()
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        await self.balancers.close()
        ends = await asyncio.gather(*(pod.stop(_nothing, keep=True) for pod in self.pods), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.services.close()
        self.pods.clear()
        for end in ends:  # only now: one pod's trouble must not keep the others
            if isinstance(end, BaseException):
                raise end

    def _changed(self) -> None:
        self._dirty.set()

    def _working(self) -> None:
        if self.outage is not None and self.outage.workload is None:
            raise ClusterError(
                f"Site {self.site} does not answer: it is in an outage ({self.outage.kind}); wait or end it."
            )

    async def _run(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            if self.outage is None or self.outage.workload is not None:
                self._step()
            async with self._changes:
                self._changes.notify_all()

    def _step(self) -> list[asyncio.Task[None]]:
        """Reconcile; what cannot be done is told by `wait_ready` and tried again. Returns as `_reconcile`."""
        try:
            ends = self._reconcile()
        except (ClusterError, OSError) as error:
            self._trouble = str(error)
            asyncio.get_running_loop().call_later(RETRY_S, self._changed)
            return []
        self._trouble = ""
        return ends

    def _reconcile(self) -> list[asyncio.Task[None]]:
        """Do the next step of every Deployment; returns the ends that it began or that are under way."""
        now = asyncio.get_running_loop().time()
        ends, here = [], agents.run_here(self.store)
        for key in here:
            spec = self._spec(key)
            mine = self._pods_of(key)
            members = [
                rollout.Member(pod.record.name, pod.record.template_hash, self._available(pod, spec, now), pod.ending)
                for pod in mine
            ]
            step = rollout.plan(spec.replicas, spec.template_hash, members, recreate=spec.recreate)
            ends += [self._stop(pod) for pod in mine if pod.record.name in step.stop]
            for _ in range(step.start):
                self._create(key, spec)
            self._tell(key)
        orphans = [
            pod
            for pod in self.pods
            if ("Deployment", pod.record.namespace, pod.record.deployment) not in here and not pod.ending
        ]
        ends += [self._stop(pod) for pod in orphans]
        self.services.route(self.pods)
        return ends

    def _tell(self, key: Key) -> None:
        """Bring a Deployment's status up to date."""
        obj, spec, mine = self.store.peek(key), self._spec(key), self._pods_of(key)
        assert obj is not None
        now = asyncio.get_running_loop().time()
        available = {pod.record.name for pod in mine if self._available(pod, spec, now)}
        self.store.set_status(key, deployments.status(obj, spec, mine, available))

    def _available(self, pod: Pod, spec: DeploymentSpec, now: float) -> bool:
        if not pod.ready or pod.ready_since is None:
            return False
        left = pod.ready_since + spec.min_ready_s - now
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._dirty.set)
        return left <= 0

    def _problem(self, key: Key) -> tuple[str, bool]:
        """Say what an object still lacks, and whether waiting is of no use."""
        if self._trouble and key[0] in ("Deployment", "Service"):
            return self._trouble, False
        if key[0] == "Service":
            return self.services.problem(key, self.pods, CRASHES_ENOUGH)
        if key in agents.run_here(self.store):
            if self.outage is not None and self.outage.covers(key[2]):
                return f"it is in an outage ({self.outage.kind})", False
            spec, now = self._spec(key), asyncio.get_running_loop().time()
            mine = self._pods_of(key)
            available = {pod.record.name for pod in mine if self._available(pod, spec, now)}
            return deployments.problem(spec, mine, available, CRASHES_ENOUGH)
        return "", False

    def _spec(self, key: Key) -> DeploymentSpec:
        obj = self.store.peek(key)
        assert obj is not None
        version = obj["metadata"]["resourceVersion"]
        if key not in self._specs or self._specs[key][0] != version:
            self._specs[key] = (version, read_deployment(obj))
        return self._specs[key][1]

    def _pods_of(self, key: Key) -> list[Pod]:
        return [pod for pod in self.pods if (pod.record.namespace, pod.record.deployment) == key[1:]]

    def _create(self, key: Key, spec: DeploymentSpec) -> None:
        suffix = "".join(_choice.choice(SUFFIX) for _ in range(5))
        name = f"{key[2]}-{spec.template_hash}-{suffix}"
        self._add(Record(name, key[1], key[2], spec.template, spec.template_hash))

    def _add(self, record: Record) -> None:
        pod = Pod(self.node, record)
        self.pods.append(pod)
        pod.start()

    def _stop(self, pod: Pod) -> "asyncio.Task[None]":
        if pod.ending:
            return pod.stop(_nothing)

        async def detached() -> None:
            self.services.route(self.pods)
            await self.balancers.settled()

        def ended(task: "asyncio.Task[None]") -> None:
            if pod in self.pods:
                self.pods.remove(pod)
            self._dirty.set()
            if not task.cancelled():
                task.exception()  # whoever waits for it hears of it; a rollout goes on

        task = pod.stop(detached)
        task.add_done_callback(ended)
        return task

    def _marks(self, outage: Outage) -> dict[str, int]:
        return {pod.record.uid: pod.pid for pod in self.pods if outage.covers(pod.record.deployment)}

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check_selector(self, existing: Object | None, wanted: Object) -> None:
        if existing is not None and existing["spec"].get("selector") != wanted.get("spec", {}).get("selector"):
            name = wanted["metadata"]["name"]
            raise ClusterError(f"Deployment {name}: spec.selector cannot be changed; delete it and create it anew.")


async def _nothing() -> None:
    """Wait for nothing."""


def read_records(folder: Path) -> list[Record]:
    """Read what is stored of pods, oldest first; raises `ClusterError` when a record cannot be read."""
    found = sorted(folder.glob("*/*/pod.json"), key=lambda path: path.parent.stat().st_ctime)
    return [Record.read(path) for path in found]
