"""A running container, whichever engine runs it: what the kernel says about it, and how it is asked."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TRIHULL: Final = (sys.executable, "-c", "from trihull_runtime.cli import main; main()")
MODEL: Final = "digits"


def run(*command: str | Path, timeout_s: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a failure shows what it wrote."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done


def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> float:
    """Wait for a condition; returns the seconds it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - begun


def alive(pid: int) -> bool:
    """Whether a process is there, and more than an entry that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True)
class Container:
    """A running container's first process, the address that it is asked at, and the network that clients are in.

    Without a network of theirs (`clients` is empty) they ask from inside the container's own.
    """

    pid: int
    host: str = "127.0.0.1"
    clients: str = ""

    def inside(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of this machine's programs in the container's network."""
        return run("nsenter", f"--net=/proc/{self.pid}/ns/net", *command, check=check)

    def client(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of this machine's programs where clients are."""
        if not self.clients:
            return self.inside(*command, check=check)
        return run("nsenter", f"--net=/run/netns/{self.clients}", *command, check=check)

    def answers(self, path: str, port: int = 8080) -> bool:
        """Whether an address gives 200."""
        code = (
            "import sys, urllib.request as u\n"
            "try: sys.exit(u.urlopen(sys.argv[1], timeout=2).status != 200)\n"
            "except OSError: sys.exit(1)"
        )
        url = f"http://{self.host}:{port}{path}"
        return self.client(sys.executable, "-I", "-c", code, url, check=False).returncode == 0

    def wait_ready(self) -> None:
        """Wait until the model can be asked."""
        until(lambda: self.answers("/v2/health/ready"), "ready")

    def wait_ready_closely(self) -> None:
        """Wait until the model can be asked, looking every 5 ms: for those who measure it."""
        code = (
            "import sys, time, urllib.request as u\n"
            "end = time.monotonic() + 30\n"
            "while time.monotonic() < end:\n"
            "    try: sys.exit(u.urlopen(sys.argv[1], timeout=2).status != 200)\n"
            "    except OSError: time.sleep(0.005)\n"
            "sys.exit(1)"
        )
        self.client(sys.executable, "-I", "-c", code, f"http://{self.host}:8080/v2/health/ready")

    def check(self, rows: Path) -> str:
        """Ask for every row and compare with the bare model's answers; returns what the command printed."""
        url = f"http://{self.host}:8080"
        return self.client(*TRIHULL, "predict", "--url", url, MODEL, "--rows", rows, "--check").stdout

    def status(self, name: str) -> str:
        """Return a field of /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))

    def environment(self) -> dict[str, str]:
        """Return the process's environment."""
        data = Path(f"/proc/{self.pid}/environ").read_bytes().decode()
        return dict(entry.split("=", 1) for entry in data.split("\0") if "=" in entry)

    def sent(self) -> dict[str, int]:
        """Return how often anything in the container's network called out or tried to (/proc/net/snmp, RFC 4022)."""
        lines = [line.split() for line in Path(f"/proc/{self.pid}/net/snmp").read_text().splitlines()]
        found = {
            names[0] + name: int(value)
            for names, values in zip(lines[::2], lines[1::2], strict=True)
            for name, value in zip(names[1:], values[1:], strict=True)
        }
        return {name: found[name] for name in ("Tcp:ActiveOpens", "Udp:OutDatagrams", "Ip:OutNoRoutes")}

    def cgroup(self, controller: str) -> Path:
        """Return the folder of a controller's limits, in either version of cgroups (cgroups(7))."""
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return Path("/sys/fs/cgroup", controllers, path.lstrip("/"))
            if not controllers and Path("/sys/fs/cgroup/cgroup.controllers").exists():
                return Path("/sys/fs/cgroup", path.lstrip("/"))
        raise AssertionError(f"no cgroup of {controller} holds process {self.pid}")

    @property
    def memory_limit_bytes(self) -> int:
        """How much memory the kernel lets the container have."""
        folder = self.cgroup("memory")
        files = [path for path in (folder / "memory.max", folder / "memory.limit_in_bytes") if path.exists()]
        return int(files[0].read_text())

    @property
    def root(self) -> Path:
        """The container's root, seen from this machine."""
        return Path(f"/proc/{self.pid}/root")
