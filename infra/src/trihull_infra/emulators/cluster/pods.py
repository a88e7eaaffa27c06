"""One pod: its files, its process, its probes, its restarts, its end."""

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihull_infra.emulators.cluster import containers, logs, ports, probing, processes
from trihull_infra.emulators.cluster.errors import ClusterError, ImageError, MissingError
from trihull_infra.emulators.cluster.outages import Gates
from trihull_infra.emulators.cluster.records import PodStatus, Record
from trihull_infra.emulators.cluster.runner import Plan, Runner
from trihull_infra.emulators.cluster.spec import PodSpec, read_pod
from trihull_infra.emulators.cluster.store import Store
from trihull_runtime.contract.codec import write_file

BACKOFF_S, BACKOFF_MAX_S, STEADY_S = 1.0, 60.0, 60.0  # a run of STEADY_S forgets earlier crashes
RETRY_S = 1.0
LOG_CHECK_S = 5.0
APP_LABEL = "app.kubernetes.io/name"


@dataclass
class Node:
    """What all pods of a cluster share."""

    folder: Path
    runner: Runner
    store: Store
    gates: Gates
    executor: Executor
    taken: set[int]  # ports of all clusters of this daemon
    changed: Callable[[], None]


class Pod:
    """Runs one container until it is stopped. Everything happens in the cluster's loop."""

    def __init__(self, node: Node, record: Record) -> None:
        """Make its folder and take its ports; `start` starts it.

        Raises:
            ClusterError: its template is not supported.
        """
        self.node, self.record = node, record
        self.gate = node.gates.of(record.deployment)
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
        if not self.gate.is_open:
            message = "it is in an outage"
        return PodStatus(
            name=record.name,
            namespace=record.namespace,
            app=self.spec.labels.get(APP_LABEL) or record.deployment,
            deployment=record.deployment,
            ready=self.ready and self.gate.is_open,
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
        self._task.add_done_callback(self._report_failure)

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
        """Bring mounted ConfigMaps and Secrets up to date, without a restart."""
        containers.update_volumes(self.spec, self.record, self.node.store, self.folder)

    def _report_failure(self, task: "asyncio.Task[None]") -> None:
        """Tell what kept the pod from being looked after any longer: a full disk, a bug of ours."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._wait("Failed", f"the local cluster cannot run it: {error!r}", permanent=True)

    async def _run(self) -> None:
        backoff = BACKOFF_S
        loop = asyncio.get_running_loop()
        while True:
            await self.gate.opened()
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
            began, epoch = loop.time(), self.gate.epoch
            reason = await self._supervise(process)
            self._forget_process()
            if self.ending:
                return
            self.restarts += 1
            if not self.gate.is_open or self.gate.epoch != epoch:
                self._wait("Pending", "ended by an outage")
                continue
            if loop.time() - began > STEADY_S:
                backoff, self.crashes = BACKOFF_S, 0
            self.crashes += 1
            self._wait("CrashLoopBackOff", f"{reason}; last of its log: {logs.tail(self.log) or 'nothing'}")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_S)

    async def _prepare(self) -> Plan:
        self._take_ports()  # those that are still free are kept
        container = containers.make(self.spec, self.record, self.node.store, self.folder)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.node.executor, self.node.runner.plan, container)

    async def _launch(self, plan: Plan) -> asyncio.subprocess.Process:
        await self.gate.opened()
        self._process = process = await processes.start(plan, self.log)
        self.record.pid, self.record.identity = process.pid, processes.identity(process.pid)
        self._save()
        if not self.gate.is_open:  # an outage began while it started: it must not outlive that
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
        spec, gate = self.spec, self.gate
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
            await asyncio.gather(self._task, return_exceptions=True)  # its failure is told already
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
        gate, epoch = self.gate, -1
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
