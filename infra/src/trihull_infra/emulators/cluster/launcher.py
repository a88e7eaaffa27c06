"""Becomes a pod's process: enters its namespaces, sees to it that it dies with the daemon, then executes its command.

Started as a file (`python -I -S launcher.py`) with the plan as JSON on standard input, so that secrets in the
environment stand in no argument list and in no file. It never forks: the process that the daemon started *is* the
container's, and signals reach it. Standard library only, and nothing of ours is imported: it starts in some 20 ms.

The plan: argv, env, cwd, parent (the daemon's pid); with `root` also uid, gid (as seen inside) and mounts
[[source, target below root, read_only], ...]. An empty argv means: try all of it, execute nothing (the probe).
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

# linux/sched.h, sys/mount.h, linux/prctl.h
NEW_MOUNTS, NEW_USERS = 0x00020000, 0x10000000
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXECUTE, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
NO_ACCESS_TIME, NO_DIRECTORY_ACCESS_TIME, RELATIVE_ACCESS_TIME = 1024, 2048, 1 << 21
SET_PARENT_DEATH_SIGNAL = 1
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
CANNOT_START = 126  # as a shell says: found, but cannot be executed


class Launcher:
    """Does one plan, step by step; every step raises OSError with what it was about."""

    def __init__(self, plan: dict[str, Any]) -> None:
        """Take the plan, as the module's docstring describes it."""
        self.plan = plan
        self.libc = ctypes.CDLL(None, use_errno=True)

    def run(self) -> None:
        """Do the plan; returns only when there is nothing to execute."""
        plan = self.plan
        os.closerange(3, 256)  # the plan came through one of them; the container inherits none
        if plan.get("root"):
            self._isolate(plan["root"], plan["uid"], plan["gid"], plan["mounts"])
        os.chdir(plan["cwd"])
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            # Python ignores SIGPIPE, a shell ignores SIGINT of background jobs; both would be inherited.
            if signal.getsignal(number) in (signal.SIG_IGN, signal.default_int_handler):
                signal.signal(number, signal.SIG_DFL)
        if sys.platform == "linux":
            # After the last change of credentials, which clears it; executing an ordinary program keeps it.
            self._check(self.libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")
            if os.getppid() != plan["parent"]:
                raise OSError("the daemon ended while this pod was starting")
        if plan["argv"]:
            try:
                os.execvpe(plan["argv"][0], plan["argv"], plan["env"])  # noqa: S606
            except OSError as error:
                raise OSError(error.errno, f"{plan['argv'][0]}: {error.strerror}") from error

    def _isolate(self, root: str, uid: int, gid: int, mounts: list[tuple[str, str, bool]]) -> None:
        outside_uid, outside_gid = os.geteuid(), os.getegid()
        self._check(self.libc.unshare(NEW_USERS | NEW_MOUNTS), "unshare user and mount namespaces")
        # One identity can be mapped without privilege; it is the image's, so that the process is who the image says.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {outside_gid} 1")
        self._mount(None, "/", RECURSIVE | PRIVATE)
        self._bind(root, root, read_only=True)
        # The bind lies over `root`: from here on that path is the read-only view.
        for name in ("proc", "sys"):
            if Path("/", name).is_dir() and Path(root, name).is_dir():
                self._bind(f"/{name}", f"{root}/{name}", read_only=name == "sys")
        self._devices(f"{root}/dev")
        for source, target, read_only in mounts:
            self._bind(source, target, read_only)
        os.chroot(root)

    def _devices(self, folder: str) -> None:
        self._mount("tmpfs", folder, NO_SUID, b"tmpfs", b"mode=755,size=64m")
        for name in DEVICES:
            if Path("/dev", name).exists():
                Path(folder, name).touch()
                self._bind(f"/dev/{name}", f"{folder}/{name}", read_only=False)
        for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            Path(folder, name).symlink_to(f"/proc/self/{target}")
        Path(folder, "shm").mkdir(mode=0o1777)

    def _bind(self, source: str, target: str, read_only: bool) -> None:
        # Recursive always: a namespace with fewer rights may not look below what is mounted over a folder.
        self._mount(source, target, BIND | RECURSIVE)
        if read_only:
            self._mount(None, target, BIND | REMOUNT | READ_ONLY | _locked(target))

    def _mount(
        self, source: str | None, target: str, flags: int, kind: bytes | None = None, data: bytes | None = None
    ) -> None:
        what = None if source is None else os.fsencode(source)
        result = self.libc.mount(what, os.fsencode(target), kind, ctypes.c_ulong(flags), data)
        self._check(result, f"mount {source or 'with other flags'} at {target}")

    def _check(self, result: int, what: str) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def _locked(path: str) -> int:
    """Return the flags of a mount that a remount without privilege must repeat."""
    now = os.statvfs(path).f_flag
    pairs = (
        (os.ST_NOSUID, NO_SUID),
        (os.ST_NODEV, NO_DEVICES),
        (os.ST_NOEXEC, NO_EXECUTE),
        (os.ST_NOATIME, NO_ACCESS_TIME),
        (os.ST_NODIRATIME, NO_DIRECTORY_ACCESS_TIME),
        (os.ST_RELATIME, RELATIVE_ACCESS_TIME),
    )
    return sum(flag for bit, flag in pairs if now & bit)


def main() -> NoReturn:
    """Read the plan and do it; exit code 126 and one line on standard error when it cannot be.

    The plan comes on standard input, which the container then finds empty; or in the file named as the only argument,
    when the command has a use for its standard input.
    """
    try:
        if len(sys.argv) == 2:
            plan = json.loads(Path(sys.argv[1]).read_bytes())
        else:
            plan = json.loads(sys.stdin.buffer.read())
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
        Launcher(plan).run()
    except OSError as error:
        print(f"trihull: cannot start the container: {error.strerror or error}", file=sys.stderr, flush=True)
        sys.exit(CANNOT_START)
    sys.exit(0)


if __name__ == "__main__":
    main()
