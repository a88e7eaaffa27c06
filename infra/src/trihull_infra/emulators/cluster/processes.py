"""Processes of pods: starting them, finding all that belong to one, ending what a dead daemon left."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.runner import Plan

LAUNCHER = Path(__file__).with_name("launcher.py")
MARK = "TRIHULL_POD_UID"  # in every pod's environment: what the pod started, however it detached, inherits it
PROC = Path("/proc")
LEFTOVER_TIMEOUT_S = 10.0


def launcher_input(plan: Plan, parent: int) -> tuple[list[str], bytes]:
    """Return the launcher's command line and what it reads from standard input."""
    return [sys.executable, "-I", "-S", str(LAUNCHER)], json.dumps(plan.to_value(parent)).encode()


async def start(plan: Plan, log: Path) -> asyncio.subprocess.Process:
    """Start a plan's process: its own session, output appended to `log`; it dies with the calling *thread* (Linux).

    Call it from a thread that lives as long as the process shall: the kernel ties the death signal to the thread.

    Raises:
        ClusterError: the machine cannot start another process.
    """
    argv, text = launcher_input(plan, os.getpid())
    # An unnamed file, not a pipe: written at once whatever its size, and no secret is left on disk.
    with tempfile.TemporaryFile() as given, log.open("ab") as output:
        given.write(text)
        given.seek(0)
        try:
            return await asyncio.create_subprocess_exec(
                *argv, stdin=given, stdout=output, stderr=output, env={}, cwd="/", start_new_session=True
            )
        except OSError as error:
            raise ClusterError(f"A process cannot be started: {error}.") from error


def identity(pid: int) -> str:
    """Name a process so that a later one with the same number has another name; empty when there is none."""
    if sys.platform == "linux":
        stat = _stat(pid)
        if not stat:
            return ""
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text().strip()}:{stat[19]}"
    # The start time, to the second, is the best that a plain POSIX system tells.
    result = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False, text=True)
    return result.stdout.strip()


def members(marks: Mapping[str, int]) -> dict[str, set[int]]:
    """Find all living processes of pods, also those that left the session of the pod's first process.

    Args:
        marks: pod uid -> pid of its first process (0 when it has none).

    Returns:
        Pod uid -> pids. Where there is no /proc, only the first process: its group is signalled as a whole.
    """
    found: dict[str, set[int]] = {uid: ({pid} if pid and alive(pid) else set()) for uid, pid in marks.items()}
    if sys.platform != "linux":
        return found
    table = {int(entry): _stat(int(entry)) for entry in os.listdir(PROC) if entry.isdigit()}  # noqa: PTH208
    table = {pid: stat for pid, stat in table.items() if stat and stat[0] not in ("Z", "X")}
    found = {uid: pids & table.keys() for uid, pids in found.items()}
    by_pid = {pid: uid for uid, pid in marks.items() if pid}
    wanted = {f"{MARK}={uid}".encode(): uid for uid in marks}
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        children.setdefault(int(stat[1]), []).append(pid)
        uid = by_pid.get(int(stat[3])) or by_pid.get(int(stat[2]))
        if uid is None and pid != os.getpid():
            uid = _marked(pid, wanted)
        if uid is not None:
            found[uid].add(pid)
    for pids in found.values():
        queue = list(pids)
        while queue:
            new = [child for child in children.get(queue.pop(), ()) if child not in pids]
            pids.update(new)
            queue.extend(new)
    return found


def send(marks: Mapping[str, int], number: signal.Signals) -> None:
    """Send a signal to all processes of pods, and again to those that they started meanwhile."""
    done: set[int] = set()
    for _ in range(5):
        new = {pid for pids in members(marks).values() for pid in pids} - done
        if not new:
            return
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if sys.platform != "linux":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, number)
        done |= new


def end_leftovers(records: Iterable[tuple[str, int, str]]) -> list[int]:
    """End processes of pods whose daemon died without ending them.

    Args:
        records: (pod uid, pid, identity) as they were stored when the pods started.

    Returns:
        The pids that were ended.

    Raises:
        ClusterError: one does not die.
    """
    # A number that by now belongs to another process is not ours to end; the mark still finds the pod's others.
    marks = {uid: pid if pid and identity(pid) == name else 0 for uid, pid, name in records}
    if not marks:
        return []
    ended: set[int] = set()
    deadline = time.monotonic() + LEFTOVER_TIMEOUT_S
    while left := {pid for pids in members(marks).values() for pid in pids}:
        if time.monotonic() > deadline:
            raise ClusterError(f"Processes {sorted(left)} of an earlier run do not end; end them and start again.")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= left
        time.sleep(0.02)
    return sorted(ended)


def alive(pid: int) -> bool:
    """Say whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stat(pid: int) -> list[str]:
    """Return what follows the name in /proc/<pid>/stat: [0] state, [1] parent, [2] group, [3] session, [19] start."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return []


def _marked(pid: int, wanted: Mapping[bytes, str]) -> str | None:
    try:
        entries = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or it has just ended
        return None
    return next((wanted[entry] for entry in entries if entry in wanted), None)
