"""Two container engines of the tests' own, each with its state in a temporary folder: Docker and containerd."""

import contextlib
import fcntl
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.container.containers import Container, run, until

TOOLS: Final = (
    "dockerd", "docker", "containerd", "ctr", "runc", "skopeo", "buildah", "qemu-aarch64-static", "nsenter", "ip",
    "unshare", "curl",
)  # fmt: skip
CAPABILITIES: Final = (  # what containerd grants by default
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip


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
    """Give a temporary folder with a short name: a socket's path has 107 characters at most (unix(7)).

    Whoever holds the lock of its file `owner` is alive; what a killed session left is removed by the next.
    """
    for left in Path("/tmp").glob("th-*.*/owner"):
        with left.open() as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent)
    with tempfile.TemporaryDirectory(prefix=f"th-{name}.", dir="/tmp") as folder:
        unnamed = Path(folder, "owner.new")  # nobody may find it before it is locked
        with unnamed.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            unnamed.rename(unnamed.with_name("owner"))
            try:
                yield Path(folder)
            finally:  # an engine that was killed leaves what it mounted
                mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
                for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
                    run("umount", mount)


@contextlib.contextmanager
def docker(folder: Path, storage: str = "vfs") -> Iterator[Docker]:
    """Run a Docker daemon of one's own; `vfs` works on every file system, `overlay2` is what machines have."""
    folder.mkdir(exist_ok=True)
    made = Docker(folder)
    command = (
        "dockerd", f"--storage-driver={storage}", "--iptables=false", "--ip6tables=false", "--bridge=none",
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

    def tasks(self) -> dict[str, tuple[int, str]]:
        """Return what runs: its first process and its status, by name."""
        rows = [line.split() for line in self("tasks", "list").splitlines()[1:]]
        return {name: (int(pid), status) for name, pid, status in rows}

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
            made = Container(self.tasks()[name][0], host, clients_of(network))
            # ctr has no option for it
            (made.cgroup("pids") / "pids.max").write_text("64")
            yield made
        finally:
            self("tasks", "kill", "--signal", "SIGKILL", name, check=False)
            until(lambda: self.tasks().get(name, (0, ""))[1] != "RUNNING", "the container's end")
            self("tasks", "delete", name, check=False)
            self("containers", "delete", name)


@contextlib.contextmanager
def containerd(folder: Path) -> Iterator[Containerd]:
    """Run containerd of one's own, without the part that speaks to Kubernetes."""
    folder.mkdir(exist_ok=True)
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


def clients_of(network: str) -> str:
    """Return the name of the network on the other side, where clients are."""
    return f"{network}c"


@contextlib.contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Make a network of two namespaces, one for a container and one for its clients; no way leads out of either.

    Gives the container's namespace and address. This machine itself takes no part: what listens on it is out of reach.
    """
    name = f"trihull{secrets.token_hex(4)}"
    clients = clients_of(name)
    run("ip", "netns", "add", name)
    try:
        run("ip", "netns", "add", clients)
        run("ip", "-n", clients, "link", "add", "veth", "type", "veth", "peer", "name", "veth", "netns", name)
        for namespace, address in ((clients, "10.231.7.1/30"), (name, "10.231.7.2/30")):
            run("ip", "-n", namespace, "address", "add", address, "dev", "veth")
            run("ip", "-n", namespace, "link", "set", "veth", "up")
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        yield name, "10.231.7.2"
    finally:
        run("ip", "netns", "delete", name)
        run("ip", "netns", "delete", clients, check=False)  # not there when it could not be made
