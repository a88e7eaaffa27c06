"""The image really runs, in Docker and in containerd, with nothing that it does not need."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.container import engines
from tests.container.conftest import Published
from tests.container.containers import Container
from tests.container.engines import Containerd

pytestmark = pytest.mark.timeout(300)
SHELLS: Final = ("sh", "bash", "dash", "ash", "busybox", "zsh", "ksh")
PORTS: Final = {8080, 8082}
ELSEWHERE: Final = "192.0.2.1"  # a documentation address (RFC 5737)
SCAN: Final = """
import socket, sys
def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex((sys.argv[1], port)) == 0
print(*[port for port in range(1, 65536) if is_open(port)])
"""


@pytest.fixture(params=["docker", "containerd"])
def container(request: pytest.FixtureRequest) -> Container:
    found = request.getfixturevalue(f"in_{request.param}")
    assert isinstance(found, Container)
    return found


def test_it_answers_every_row_as_the_bare_model_does(container: Container, published: Published) -> None:
    assert "270" in container.check(published.rows)


def test_it_is_nobody_and_may_do_nothing(container: Container) -> None:
    assert container.status("Uid").split() == ["65532"] * 4
    assert container.status("Gid").split() == ["65532"] * 4
    assert {container.status(name) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {"0" * 16}
    assert container.status("NoNewPrivs") == "1"


def test_its_root_cannot_be_written_to(container: Container) -> None:
    mounts = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    (root,) = [line.split() for line in mounts if line.split()[4] == "/"]
    assert root[5].split(",")[0] == "ro"


def test_it_may_write_to_tmp_and_not_much(container: Container) -> None:
    folder = container.root / "tmp"
    assert not list(folder.iterdir())  # it has no need to
    space = os.statvfs(folder)
    assert space.f_blocks * space.f_frsize == 16 << 20


def test_its_memory_and_processes_are_limited(container: Container) -> None:
    assert container.memory_limit_bytes == 512 << 20
    assert (container.cgroup("pids") / "pids.max").read_text().strip() == "64"


def test_it_holds_no_shell_and_no_package_manager(container: Container) -> None:
    folders = [container.root / name for name in ("bin", "usr/bin", "usr/local/bin", "sbin", "usr/sbin")]
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    assert names & {*SHELLS, "apt", "dpkg", "pip", "pip3"} == set()
    assert any(name.startswith("python3") for name in names)


def test_telemetry_is_off_and_no_connection_goes_out(container: Container, published: Published) -> None:
    assert container.environment()["ORT_DISABLE_TELEMETRY"] == "1"
    container.check(published.rows)
    listening, ended = "0A", {"06", "07"}  # TIME_WAIT, CLOSE (net/tcp_states.h)
    heard = set()
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in Path(f"/proc/{container.pid}/net/{name}").read_text().splitlines()[1:]:
            _, local, remote, state = line.split()[:4]
            port, peer = (int(end.rpartition(":")[2], 16) for end in (local, remote))
            if state == listening:
                heard.add(port)
            # a client that asks from inside the container's own network shows both of its ends
            assert name == "tcp", f"{name}: {line}"
            assert port in PORTS or peer in PORTS or state in ended, line
    assert heard == PORTS


def test_from_start_to_answers_it_never_calls_out(containerd: Containerd, published: Published) -> None:
    containerd.pull(published.reference)
    with engines.network() as (name, host), containerd.container(published.reference, name, host) as container:
        container.wait_ready()
        container.check(published.rows)
        assert set(container.sent().values()) == {0}
        # What would be seen if it did: a name looked up, a connection to anywhere, one to its neighbour.
        for code in (
            f"import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'?', ('{container.host}', 53))",
            f"import socket as s; s.create_connection(('{ELSEWHERE}', 443), 2)",
            "import socket as s; s.create_connection(('10.231.7.1', 443), 2)",
        ):
            container.inside(sys.executable, "-I", "-c", code, check=False)
        assert set(container.sent().values()) == {1}


def test_its_network_reaches_nothing_else(container: Container, published: Published) -> None:
    assert container.inside("ip", "route", "show", "default").stdout == ""
    registry = int(published.reference.partition("/")[0].rpartition(":")[2])  # listens on this machine
    assert _refusal(container, ELSEWHERE, 80) == "Network is unreachable"
    assert _refusal(container, "127.0.0.1", registry) == "Connection refused"


def test_from_outside_only_its_ports_answer(in_containerd: Container) -> None:
    found = in_containerd.client(sys.executable, "-I", "-c", SCAN, in_containerd.host).stdout
    assert {int(port) for port in found.split()} == PORTS


def test_this_machine_and_the_container_do_not_see_each_other(in_containerd: Container) -> None:
    listening = in_containerd.client("cat", "/proc/self/net/tcp", "/proc/self/net/tcp6").stdout
    assert " 0A " not in listening  # nobody on the other side
    assert _refusal(in_containerd, "10.231.7.1", 22) == "Connection refused"
    own = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    assert "10.231.7." not in own


def _refusal(container: Container, host: str, port: int) -> str:
    """Return the kernel's word on a connection from inside a container."""
    code = f"import os, socket; print(os.strerror(socket.socket().connect_ex(('{host}', {port}))))"
    return container.inside(sys.executable, "-I", "-c", code).stdout.strip()
