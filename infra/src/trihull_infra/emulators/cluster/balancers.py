"""Keeps a cluster's forwarder process running and tells it which pods are ready."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.processes import launcher_input
from trihull_infra.emulators.cluster.runner import Plan

FORWARDER = Path(__file__).with_name("forwarder.py")
RETRY_S = 0.5
ANSWER_TIMEOUT_S = 5.0

Routes = dict[int, list[int]]


class Balancers:
    """The load balancers of one cluster. All methods run in the cluster's loop."""

    def __init__(self, log: Path, changed: Callable[[], None]) -> None:
        """Nothing is started until the first route is wanted.

        Args:
            log: takes what the forwarder complains of.
            changed: called whenever something was carried out, or could not be.
        """
        self.log, self.changed = log, changed
        self.errors: dict[int, str] = {}  # port -> why it does not listen
        self.carried_out: Routes = {}
        self._wanted: Routes = {}
        self._changed = asyncio.Event()
        self._applied = asyncio.Condition()
        self._number = self._answered = 0
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._down = False

    def want(self, routes: Routes) -> None:
        """Say what shall be; it is carried out in the background."""
        if routes == self._wanted:
            return
        self._wanted = routes
        self._number += 1
        self._changed.set()
        if self._task is None and not self._down:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="balancers")

    async def settled(self) -> None:
        """Wait until what was last wanted is carried out; returns early in an outage or when the forwarder is stuck."""
        number = self._number
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S), self._applied:
                await self._applied.wait_for(lambda: self._answered >= number or self._down or self._task is None)

    async def kill(self) -> None:
        """End the forwarder at once: its connections break, new ones are refused, until `heal`."""
        self._down = True
        await self._end()
        async with self._applied:
            self._applied.notify_all()

    def freeze(self) -> None:
        """Stop the forwarder: connections hang, until `thaw`."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen forwarder go on."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGCONT)

    def heal(self) -> None:
        """Start the forwarder again after `kill`, with what is wanted by now."""
        self._down = False
        if self._task is None and self._wanted:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="balancers")

    async def close(self) -> None:
        """End the forwarder for good."""
        self._down = True
        await self._end()

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            process = await self._start()
            try:
                await self._feed(process)
            except (ConnectionError, asyncio.IncompleteReadError, ValueError) as error:
                with self.log.open("a") as log:
                    print(f"the forwarder ended and is started again: {error!r}", file=log)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                assert process.stdin is not None
                process.stdin.close()
                await process.wait()
                self._process, self.carried_out = None, {}
            await asyncio.sleep(RETRY_S)

    async def _start(self) -> asyncio.subprocess.Process:
        plan = Plan((sys.executable, "-I", "-S", str(FORWARDER)), {}, "/")
        # The launcher reads its plan from standard input, which the forwarder needs: the plan comes by a file of its
        # own.
        argv, text = launcher_input(plan, os.getpid())
        reading, writing = os.pipe()
        try:
            os.write(writing, text)  # a few hundred bytes: it fits any pipe
            os.close(writing)
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *argv,
                    f"/dev/fd/{reading}",
                    pass_fds=(reading,),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            raise ClusterError(f"The load balancers' process cannot be started: {error}.") from error
        finally:
            os.close(reading)
        return self._process

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            self._changed.clear()
            number = self._number
            wanted = self._wanted
            routes = {str(port): targets for port, targets in wanted.items()}
            process.stdin.write(json.dumps({"id": number, "routes": routes}).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readuntil()
            self.errors = {int(port): why for port, why in json.loads(line)["errors"].items()}
            self.carried_out = wanted
            async with self._applied:
                self._answered = number
                self._applied.notify_all()
            self.changed()
            waits = [asyncio.create_task(self._changed.wait()), asyncio.create_task(process.wait())]
            try:
                # A port that somebody else has is tried again: it is the Service's and stays so.
                timeout = RETRY_S if self.errors else None
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if process.returncode is not None:
                raise ConnectionError(f"exit code {process.returncode}")
