"""Health checks of one running container, as a kubelet makes them.

One difference: until the first success it asks every `FIRST_S` instead of every period, so that a local site is ready
as soon as it can be; a startup probe still has `periodSeconds * failureThreshold` before it fails.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from trihull_infra.emulators.cluster.outages import Gate
from trihull_infra.emulators.cluster.ports import HOST
from trihull_infra.emulators.cluster.spec import Probe

FIRST_S = 0.1
ANSWER_BYTES = 4096

Check = Callable[[], Awaitable[str]]


async def check(probe: Probe, port: int) -> str:
    """Ask once.

    Returns:
        What is wrong, in a few words; an empty text when it is healthy.
    """
    what = f"TCP {HOST}:{port}" if probe.path is None else f"GET http://{HOST}:{port}{probe.path}"
    try:
        async with asyncio.timeout(probe.timeout_s):
            return await _ask(probe, port, what)
    except TimeoutError:
        return f"{what}: no answer within {probe.timeout_s:g} s"
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{what}: {reason}"


async def _ask(probe: Probe, port: int, what: str) -> str:
    reader, writer = await asyncio.open_connection(HOST, port, limit=ANSWER_BYTES)
    try:
        if probe.path is None:
            return ""
        headers = {"Host": f"{HOST}:{port}", "User-Agent": "kube-probe/local", "Connection": "close"} | dict(
            probe.headers
        )
        lines = [f"GET {probe.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        try:
            status = await reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise EOFError("the answer is not HTTP") from error
        words = status.decode("latin-1").split()
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
            return f"{what}: the answer is not HTTP"
        return "" if 200 <= int(words[1]) < 400 else f"{what}: status {words[1]}"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def started(probe: Probe, port: int, gate: Gate) -> str:
    """Ask a startup probe until it succeeds or has failed for good; returns what is wrong in the end."""
    await asyncio.sleep(probe.initial_delay_s)
    spent, allowed = 0.0, probe.period_s * probe.failure_threshold
    pause = min(FIRST_S, probe.period_s)
    while True:
        problem = await asked(probe, port, gate)
        if not problem:
            return ""
        spent += pause
        if spent >= allowed:
            return problem
        await asyncio.sleep(pause)


async def watch(probe: Probe, port: int, gate: Gate, *, healthy: bool, report: Callable[[str], None]) -> None:
    """Ask again and again, and report each change: an empty text when healthy, else what is wrong. Never returns.

    Args:
        probe: what to ask.
        port: the pod's port on this machine.
        gate: in an outage nothing is asked, and what was being asked does not count.
        healthy: what it is taken for at first (readiness: not; liveness: yes, and it is first asked after one period).
        report: called in the loop.
    """
    await asyncio.sleep(probe.initial_delay_s + (probe.period_s if healthy else 0))
    good = bad = 0
    pause = probe.period_s if healthy else min(FIRST_S, probe.period_s)
    while True:
        problem = await asked(probe, port, gate)
        good, bad = (0, bad + 1) if problem else (good + 1, 0)
        if not healthy and not problem and good >= probe.success_threshold:
            healthy = True
            report("")
        elif problem and (bad >= probe.failure_threshold or not healthy):
            healthy = False
            report(problem)
        if not problem:
            pause = probe.period_s
        await asyncio.sleep(pause)


async def asked(probe: Probe, port: int, gate: Gate) -> str:
    """Ask once, outside outages; returns as `check`."""
    while True:
        await gate.opened()
        epoch = gate.epoch
        problem = await check(probe, port)
        if gate.epoch == epoch:
            return problem
