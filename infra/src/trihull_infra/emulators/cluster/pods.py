"""One pod: its files, its process, its probes, its restarts, its end."""

import asyncio
import contextlib
import json
import shutil
import signal
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trihull_infra.emulators.cluster import logs, ports, probing, processes, volumes
from trihull_infra.emulators.cluster.errors import ClusterError, ImageError, MissingError
from trihull_infra.emulators.cluster.objects import Object
from trihull_infra.emulators.cluster.outages import Gate
from trihull_infra.emulators.cluster.processes import MARK
from trihull_infra.emulators.cluster.runner import Bind, Container, Plan, Runner
from trihull_infra.emulators.cluster.spec import PodSpec, Variable, read_pod
from trihull_infra.emulators.cluster.store import Store
from trihull_runtime.contract.codec import write_file

BACKOFF_S, BACKOFF_MAX_S, STEADY_S = 1.0, 60.0, 60.0  # a run of STEADY_S forgets earlier crashes
RETRY_S = 1.0
LOG_CHECK_S = 5.0
APP_LABEL = "app.kubernetes.io/name"


@dataclass(frozen=True)
class PodStatus:
    """A pod as others see it. `ports`: name -> port on 127.0.0.1; `pid` None while no process runs."""

    name: str
    namespace: str
    app: str
    deployment: str
    ready: bool
    phase: str
    restarts: int
    pid: int | None
    ports: dict[str, int]
    image: str
    message: str


@dataclass
class Record:
    """What a restart of the daemon must know of a pod."""

    name: str
    namespace: str
    deployment: str
    template: Object
    template_hash: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    ports: dict[str, int] = field(default_factory=dict)
    pid: int = 0
    identity: str = ""

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a record; raises `ClusterError` when it cannot be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            message = f"The pod's record {path} cannot be read ({error}); remove its folder and start again."
            raise ClusterError(message) from error


@dataclass
class Node:
    """What all pods of a cluster share."""

    folder: Path
    runner: Runner
    store: Store
    gate: Gate
    executor: Executor
    taken: set[int]  # ports of all clusters of this daemon
    changed: Callable[[], None]


class Pod:
    """Runs one container until it is stopped. Everything happens in the cluster's loop."""

    def __init__(self, node: Node, record: Record, order: int) -> None:
        """Make its folder and take its ports; `start` starts it.

        Raises:
            ClusterError: its template is not supported.
        """
        self.node, self.record, self.order = node, record, order
        self.spec: PodSpec = read_pod(record.template, f"Pod {record.namespace}/{record.name}")
        self.folder = node.folder / record.namespace / record.name
        self.log = self.folder / "log"
        self.ready_since: float | None = None
        self.ending = False
        self.phase, self.message, self.restarts = "Pending", "", 0
        self.permanent = ""  # a reason that waiting will not mend
        self.crashes = 0  # in a row
        self._process: asyncio.subprocess.Process | None = None
        self._plan: Plan | None = None
        self._task: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self._not_ready = "has not started"
        self._take_ports()
        self._save()

    @property
    def ready(self) -> bool:
        """Tell whether Services may send it traffic."""
        return self.ready_since is not None and not self.ending

    @property
    def pid(self) -> int:
        """Return the container's process id, 0 when none runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    def status(self) -> PodStatus:
        """Return what others may see."""
        record, phase = self.record, self.phase
        message = self.message or ("" if self.ready else self._not_ready)
        if not self.node.gate.is_open:
            message = "the site is in an outage"
        return PodStatus(
            name=record.name,
            namespace=record.namespace,
            app=self.spec.labels.get(APP_LABEL) or record.deployment,
            deployment=record.deployment,
            ready=self.ready and self.node.gate.is_open,
            phase="Terminating" if self.ending else phase,
            restarts=self.restarts,
            pid=self.pid or None,
            ports=dict(record.ports),
            image=self.spec.image,
            message=message,
        )

    def start(self) -> None:
        """Begin to run."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.record.name)

    def stop(self, detached: Callable[[], Awaitable[None]], *, keep: bool = False) -> asyncio.Task[None]:
        """Begin to end, gracefully; the task is done when no process of the pod is left. May be called again.

        Args:
            detached: returns what is done when no Service sends the pod anything.
            keep: leave its files and its record, to be started again by the next daemon; the preStop hook is left
                out, for there is nothing that new requests could go to.
        """
        if self._end is None:
            self.ending = True
            self.ready_since = None
            self.node.changed()
            self._end = asyncio.get_running_loop().create_task(
                self._stop(detached, keep=keep), name=f"stop {self.record.name}"
            )
        return self._end

    def update_volumes(self) -> None:
        """Bring mounted ConfigMaps and Secrets up to date in place; what is missing meanwhile stays as it was."""
        for volume in self.spec.volumes:
            if volume.kind != "emptyDir" and (self._volume(volume.name) / volumes.DATA).exists():
                with contextlib.suppress(MissingError):  # a kubelet keeps the old files too
                    self._write_volume(volume.name)

    async def _run(self) -> None:
        backoff = BACKOFF_S
        loop = asyncio.get_running_loop()
        while True:
            await self.node.gate.opened()
            try:
                self._plan = await self._prepare()
                process = await self._launch(self._plan)
            except MissingError as error:
                self._wait("ContainerCreating", str(error))
                await asyncio.sleep(RETRY_S)
                continue
            except ImageError as error:
                self._wait("ImagePullBackOff", str(error), permanent=True)
                await asyncio.sleep(RETRY_S * 5)
                continue
            except (ClusterError, OSError) as error:
                self._wait("ContainerCreating", str(error))
                await asyncio.sleep(RETRY_S)
                continue
            began, epoch = loop.time(), self.node.gate.epoch
            reason = await self._supervise(process)
            self._forget_process()
            if self.ending:
                return
            self.restarts += 1
            if not self.node.gate.is_open or self.node.gate.epoch != epoch:
                self._wait("Pending", "ended by an outage")
                continue
            if loop.time() - began > STEADY_S:
                backoff, self.crashes = BACKOFF_S, 0
            self.crashes += 1
            self._wait("CrashLoopBackOff", f"{reason}; last of its log: {logs.tail(self.log) or 'nothing'}")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_S)

    async def _prepare(self) -> Plan:
        loop = asyncio.get_running_loop()
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "tmp").chmod(0o1777)
        for volume in self.spec.volumes:
            self._write_volume(volume.name)
        self._take_ports()  # those that are still free are kept
        binds = [Bind(self._volume(mount.volume), mount.path, mount.read_only) for mount in self.spec.mounts]
        if all(bind.target != "/tmp" for bind in binds):  # noqa: S108
            binds.append(Bind(self.folder / "tmp", "/tmp", False))  # noqa: S108
        container = Container(
            image=self.spec.image,
            command=self.spec.command,
            args=self.spec.args,
            working_dir=self.spec.working_dir,
            environment=self._environment(),
            binds=tuple(binds),
        )
        values = container.environment
        expanded = Container(
            container.image,
            None if container.command is None else tuple(expand(word, values) for word in container.command),
            None if container.args is None else tuple(expand(word, values) for word in container.args),
            container.working_dir,
            values,
            container.binds,
        )
        return await loop.run_in_executor(self.node.executor, self.node.runner.plan, expanded)

    async def _launch(self, plan: Plan) -> asyncio.subprocess.Process:
        await self.node.gate.opened()
        self._process = process = await processes.start(plan, self.log)
        self.record.pid, self.record.identity = process.pid, processes.identity(process.pid)
        self._save()
        if not self.node.gate.is_open:  # an outage began while it started: it must not outlive that
            processes.send({self.record.uid: process.pid}, signal.SIGKILL)
        self.phase, self.message, self.permanent = "Running", "", ""
        self.node.changed()
        return process

    async def _supervise(self, process: asyncio.subprocess.Process) -> str:
        """Probe a running container until it ends, or until a probe says it must; returns why it ended."""
        failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(self._probe(failed)), asyncio.create_task(self._bound_log())]
        ended = asyncio.create_task(process.wait())
        either: list[asyncio.Future[Any]] = [ended, failed]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            self.ready_since = None
            if failed.done():
                reason = failed.result()
                self.message = reason
                self.node.changed()
                await self._terminate(process)
                return reason
            code = process.returncode or 0
            return f"exited with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        finally:
            for task in [*tasks, ended]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # What the first process of a container leaves behind ends with it.
            if process.returncode is not None:
                processes.send({self.record.uid: 0}, signal.SIGKILL)

    async def _probe(self, failed: "asyncio.Future[str]") -> None:
        spec, gate = self.spec, self.node.gate
        if spec.startup is not None:
            self._not_ready = "its startup probe has not succeeded yet"
            problem = await probing.started(spec.startup, self.record.ports[spec.startup.port], gate)
            if problem:
                if not failed.done():
                    failed.set_result(f"startup probe failed: {problem}")
                return
        watches = []
        if spec.readiness is None:
            self._report_ready("")
        else:
            self._not_ready = "its readiness probe has not succeeded yet"
            port = self.record.ports[spec.readiness.port]
            watches.append(probing.watch(spec.readiness, port, gate, healthy=False, report=self._report_ready))
        if spec.liveness is not None:

            def report(problem: str) -> None:
                if problem and not failed.done():
                    failed.set_result(f"liveness probe failed: {problem}")

            port = self.record.ports[spec.liveness.port]
            watches.append(probing.watch(spec.liveness, port, gate, healthy=True, report=report))
        await asyncio.gather(*watches)

    def _report_ready(self, problem: str) -> None:
        if problem:
            self._not_ready = f"readiness probe failed: {problem}"
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = asyncio.get_running_loop().time()
            self.crashes = 0
        self.node.changed()

    async def _bound_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            logs.bound(self.log)

    async def _stop(self, detached: Callable[[], Awaitable[None]], *, keep: bool) -> None:
        await detached()
        process = self._process
        if not keep and process is not None and process.returncode is None:
            # The time to end begins with the hook, as in Kubernetes.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.spec.grace_s):
                    await self._pre_stop(process)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is not None and process.returncode is None:
            await self._terminate(process)
        processes.send({self.record.uid: 0}, signal.SIGKILL)
        self._forget_process()
        self.node.taken.difference_update(self.record.ports.values())
        if not keep:
            await asyncio.get_running_loop().run_in_executor(self.node.executor, shutil.rmtree, self.folder)

    async def _pre_stop(self, process: asyncio.subprocess.Process) -> None:
        if self.spec.stop_sleep_s:
            waiting = asyncio.create_task(process.wait())
            await asyncio.wait([waiting], timeout=self.spec.stop_sleep_s)
            waiting.cancel()
        if self.spec.stop_command and self._plan is not None:
            plan = self._plan
            hook = await processes.start(
                Plan(self.spec.stop_command, plan.env, plan.cwd, plan.root, plan.uid, plan.gid, plan.mounts), self.log
            )
            try:
                await hook.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    hook.kill()
                await hook.wait()

    async def _terminate(self, process: asyncio.subprocess.Process) -> None:
        gate, epoch = self.node.gate, -1
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        while process.returncode is None and epoch != gate.epoch:
            await gate.opened()  # a frozen process cannot end, and its time does not pass
            epoch = gate.epoch
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.spec.grace_s):
                    await process.wait()
        processes.send({self.record.uid: process.pid}, signal.SIGKILL)
        await process.wait()

    def _forget_process(self) -> None:
        self._process = None
        self.record.pid, self.record.identity = 0, ""
        self.ready_since = None
        self._save()

    def _wait(self, phase: str, message: str, *, permanent: bool = False) -> None:
        self.phase, self.message = phase, message
        self.permanent = message if permanent else ""
        self.node.changed()

    def _take_ports(self) -> None:
        for name, _ in self.spec.ports:
            port = self.record.ports.get(name)
            if port is not None and ports.is_free(port):
                self.node.taken.add(port)
                continue
            self.node.taken.discard(port or 0)
            self.record.ports[name] = ports.find(self.node.taken)
            self.node.taken.add(self.record.ports[name])

    def _save(self) -> None:
        write_file(self.folder / "pod.json", json.dumps(vars(self.record)).encode(), 0o600)

    def _volume(self, name: str) -> Path:
        return self.folder / "volumes" / name

    def _write_volume(self, name: str) -> None:
        volume = next(volume for volume in self.spec.volumes if volume.name == name)
        folder = self._volume(name)
        if volume.kind == "emptyDir":
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
            return
        kind = "ConfigMap" if volume.kind == "configMap" else "Secret"
        source = self.node.store.peek((kind, self.record.namespace, volume.origin))
        # A secret's files are for this user alone, whatever the mode: inside the container this user is the image's.
        mode = volume.mode if kind == "ConfigMap" else volume.mode & 0o700
        volumes.write(folder, volumes.content(volume, source), mode)

    def _environment(self) -> dict[str, str]:
        given = {"TRIHULL_HOST": ports.HOST, MARK: self.record.uid}
        for name, port in self.record.ports.items():
            if not name.isdigit():
                given[f"TRIHULL_PORT_{name.upper().replace('-', '_')}"] = str(port)
        result = dict(given)
        for variable in self.spec.variables:
            value = self._value(variable)
            if value is not None:
                result[variable.name] = value if variable.source else expand(value, result)
        for name in result:
            # A process of this machine listens for this machine only, whatever its pod would.
            if name.startswith("TRIHULL_") and name.endswith("_HOST"):
                result[name] = ports.HOST
        return result | given

    def _value(self, variable: Variable) -> str | None:
        if not variable.source:
            return variable.value
        if variable.source == "field":
            return {
                "metadata.name": self.record.name,
                "metadata.namespace": self.record.namespace,
                "metadata.uid": self.record.uid,
                "spec.nodeName": "local",
            }.get(variable.key, ports.HOST)
        kind = "Secret" if variable.source == "secret" else "ConfigMap"
        source = self.node.store.peek((kind, self.record.namespace, variable.origin))
        values = {} if source is None else volumes.data(source)
        if variable.key in values:
            return values[variable.key].decode()
        if variable.optional:
            return None
        what = "not found" if source is None else f"has no key {variable.key!r}"
        raise MissingError(f"{kind} {variable.origin!r} for variable {variable.name} {what}")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by a variable's value and `$$` by `$`, as Kubernetes does; an unknown `$(NAME)` stays."""
    result, rest = "", text
    while rest:
        before, dollar, rest = rest.partition("$")
        result += before
        if not dollar:
            break
        if rest.startswith("$"):
            result, rest = result + "$", rest[1:]
        elif rest.startswith("(") and ")" in rest:
            name, _, rest = rest[1:].partition(")")
            result += values.get(name, f"$({name})")
        else:
            result += "$"
    return result
