"""Two container engines of the tests' own, each with its state in a temporary folder: Docker and containerd."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOOLS: Final = (
    "dockerd", "docker", "containerd", "ctr", "runc", "skopeo", "buildah", "qemu-aarch64-static", "nsenter", "ip",
)  # fmt: skip
TRIHULL: Final = (sys.executable, "-c", "from trihull_runtime.cli import main; main()")
MODEL: Final = "digits"
CAPABILITIES: Final = (  # what containerd grants by default
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip


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
    """A running container's first process, and the address that it is asked at inside its own network."""

    pid: int
    host: str = "127.0.0.1"

    def inside(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of this machine's programs in the container's network."""
        return run("nsenter", f"--net=/proc/{self.pid}/ns/net", *command, check=check)

    def answers(self, path: str, port: int = 8080) -> bool:
        """Whether an address gives 200."""
        code = (
            "import sys, urllib.request as u\n"
            "try: sys.exit(u.urlopen(sys.argv[1], timeout=2).status != 200)\n"
            "except OSError: sys.exit(1)"
        )
        url = f"http://{self.host}:{port}{path}"
        return self.inside(sys.executable, "-I", "-c", code, url, check=False).returncode == 0

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
        self.inside(sys.executable, "-I", "-c", code, f"http://{self.host}:8080/v2/health/ready")

    def check(self, rows: Path) -> str:
        """Ask for every row and compare with the bare model's answers; returns what the command printed."""
        url = f"http://{self.host}:8080"
        return self.inside(*TRIHULL, "predict", "--url", url, MODEL, "--rows", rows, "--check").stdout

    def status(self, name: str) -> str:
        """Return a field of /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))

    def environment(self) -> dict[str, str]:
        """Return the process's environment."""
        data = Path(f"/proc/{self.pid}/environ").read_bytes().decode()
        return dict(entry.split("=", 1) for entry in data.split("\0") if "=" in entry)

    @property
    def root(self) -> Path:
        """The container's root, seen from this machine."""
        return Path(f"/proc/{self.pid}/root")


@contextlib.contextmanager
def ended(command: Sequence[str | Path], log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon until the block ends."""
    with log.open("wb") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file, stderr=file)
    try:

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()
            return ready()

        until(is_ready, str(command[0]))
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Docker:
    """The docker command of one daemon."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix://{folder}/docker.sock"

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        return run("docker", "--host", self.address, *arguments, check=check).stdout.strip()

    @contextlib.contextmanager
    def container(self, reference: str, *options: str) -> Iterator[tuple[str, Container]]:
        """Run an image with nothing that it does not need; gives the container's id and its first process."""
        name = self(
            "run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--network", "none", "--memory", "512m", "--pids-limit", "64", "--tmpfs", "/tmp:size=16m,mode=1777",
            *options, reference,
        )  # fmt: skip
        try:
            yield name, Container(int(self("inspect", "--format", "{{.State.Pid}}", name)))
        finally:
            self("rm", "--force", name)


@contextlib.contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """Give a temporary folder with a short name: a socket's path has 107 characters at most (unix(7))."""
    with tempfile.TemporaryDirectory(prefix=f"th-{name}.", dir="/tmp") as folder:
        try:
            yield Path(folder)
        finally:  # an engine that was killed leaves what it mounted
            mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
            for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
                run("umount", mount)


@contextlib.contextmanager
def docker(folder: Path) -> Iterator[Docker]:
    """Run a Docker daemon of one's own."""
    made = Docker(folder)
    command = (
        "dockerd", "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none",
        f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--host={made.address}", f"--pidfile={folder}/pid",
    )  # fmt: skip

    def is_up() -> bool:
        return (folder / "docker.sock").exists() and run(
            "docker", "--host", made.address, "info", check=False
        ).returncode == 0

    with ended(command, folder / "log", is_up):
        yield made


class Containerd:
    """The ctr command of one daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = folder / "containerd.sock"

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        return run("ctr", "--address", self.address, "--namespace", "trihull", *arguments, check=check).stdout.strip()

    def pull(self, reference: str) -> None:
        """Pull all platforms of an image from a registry on this machine."""
        self("images", "pull", "--plain-http", "--all-platforms", "--snapshotter", "native", reference)

    @contextlib.contextmanager
    def container(self, reference: str, network: str, host: str) -> Iterator[Container]:
        """Run an image in a network namespace of one's own, with nothing else that it does not need."""
        name = f"c{time.monotonic_ns()}"
        drop = [word for capability in CAPABILITIES for word in ("--cap-drop", f"CAP_{capability}")]
        self(
            "run", "--detach", "--snapshotter", "native", "--read-only", *drop, "--memory-limit", str(512 << 20),
            "--with-ns", f"network:/run/netns/{network}",
            "--mount", "type=tmpfs,src=tmpfs,dst=/tmp,options=size=16m:mode=1777", reference, name,
        )  # fmt: skip
        try:
            lines = [line.split() for line in self("tasks", "list").splitlines()]
            yield Container(next(int(words[1]) for words in lines if words[0] == name), host)
        finally:
            self("tasks", "kill", "--signal", "SIGKILL", name, check=False)
            until(lambda: "RUNNING" not in self("tasks", "list"), "the container's end")
            self("tasks", "delete", name, check=False)
            self("containers", "delete", name)


@contextlib.contextmanager
def containerd(folder: Path) -> Iterator[Containerd]:
    """Run containerd of one's own, without the part that speaks to Kubernetes."""
    made = Containerd(folder)
    (folder / "config.toml").write_text(f"""\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{made.address}"
[ttrpc]
  address = "{made.address}.ttrpc"
""")
    command = ("containerd", "--config", folder / "config.toml")

    def is_up() -> bool:
        return run("ctr", "--address", made.address, "version", check=False).returncode == 0

    with ended(command, folder / "log", is_up):
        yield made


@contextlib.contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Make a network of two: this machine and one namespace; gives its name and the address in it. No way leads out."""
    name = f"trihull{os.getpid()}"
    outside, inside = f"th{os.getpid()}a", f"th{os.getpid()}b"
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        run("ip", "address", "add", "10.231.7.1/30", "dev", outside)
        run("ip", "link", "set", outside, "up")
        run("ip", "-n", name, "address", "add", "10.231.7.2/30", "dev", inside)
        run("ip", "-n", name, "link", "set", inside, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        yield name, "10.231.7.2"
    finally:
        run("ip", "netns", "delete", name)


def platforms(index: str) -> set[str]:
    """Return the platforms of an index's JSON."""
    return {
        f"{entry['platform']['os']}/{entry['platform']['architecture']}" for entry in json.loads(index)["manifests"]
    }
