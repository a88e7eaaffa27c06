import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.infra.cluster.conftest import HostRunner, ask, deployment, eventually, namespace, port_of, service
from trihull_infra.emulators.cluster import ClusterError, LocalCluster

OWNER = """
import sys, time
from pathlib import Path
from tests.unit.infra.cluster.conftest import HostRunner, deployment, namespace, service
from trihull_infra.emulators.cluster import LocalCluster

cluster = LocalCluster("trihull-aws", "aws", Path(sys.argv[1]), runner=HostRunner())
web = deployment(
    env={"CHILD_PID_FILE": sys.argv[2], "STUBBORN": "1"}, pod={"terminationGracePeriodSeconds": 1}
)
for obj in (namespace(), service(), web):
    cluster.apply(obj)
cluster.wait_ready("Deployment", "trihull", "web", 60)
cluster.wait_ready("Service", "trihull", "web", 60)
port = cluster.get("Service", "trihull", "web")["status"]["loadBalancer"]["ingress"][0]["ports"][0]["port"]
print(cluster.pods()[0].pid, port, flush=True)
time.sleep(300)
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_new_daemon_starts_the_same_pods_on_the_same_ports(folder: Path) -> None:
    first = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
    try:
        first.apply(namespace())
        port = port_of(first.apply(service()))
        first.apply(deployment(replicas=2, env={"VERSION": "1"}))
        first.wait_ready("Deployment", "trihull", "web", 30)
        before = {pod.name: pod.ports for pod in first.pods()}
        live = first.get("Deployment", "trihull", "web")
    finally:
        first.close()
    assert not _listening(port)
    second = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
    try:
        second.wait_ready("Deployment", "trihull", "web", 30)
        second.wait_ready("Service", "trihull", "web", 30)
        assert ask(port)["version"] == "1"
        assert {pod.name: pod.ports for pod in second.pods()} == before
        again = second.get("Deployment", "trihull", "web")
        assert live is not None
        assert again is not None
        assert again["metadata"] == live["metadata"]
    finally:
        second.close()


def test_what_a_killed_daemon_left_is_ended_by_the_next(folder: Path, tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), str(child_file)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
    )
    try:
        assert owner.stdout is not None
        pid, port = map(int, owner.stdout.readline().split())
        child = int(child_file.read_text())
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()
    try:
        # The pod's own process dies with the daemon's; what it started does not.
        eventually(
            lambda: not _alive(pid) and not _listening(port), "the pod and the load balancer die with the daemon"
        )
        assert _alive(child)
        cluster = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
        try:
            assert not _alive(child)
            cluster.wait_ready("Service", "trihull", "web", 30)
            assert _listening(port)
        finally:
            cluster.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_port_that_somebody_took_is_named_and_taken_back_when_free(folder: Path) -> None:
    first = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
    try:
        first.apply(namespace())
        port = port_of(first.apply(service()))
        first.apply(deployment())
        first.wait_ready("Service", "trihull", "web", 30)
    finally:
        first.close()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        second = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
        try:
            eventually(lambda: _problem(second, str(port)), "the port is named")
            thief.close()
            second.wait_ready("Service", "trihull", "web", 30)
            live = second.get("Service", "trihull", "web")
            assert live is not None
            assert port_of(live) == port
        finally:
            second.close()


def _problem(cluster: LocalCluster, text: str) -> bool:
    with pytest.raises(ClusterError) as caught:
        cluster.wait_ready("Service", "trihull", "web", 0.2)
    return text in str(caught.value)


def test_two_daemons_cannot_have_the_same_folder(cluster: LocalCluster, folder: Path) -> None:
    assert cluster.pods() == []
    with pytest.raises(ClusterError, match="in use by another daemon"):
        LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())


def test_closing_ends_every_process_and_gives_every_port_back(folder: Path) -> None:
    before = _children()  # of other tests in this process
    cluster = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
    try:
        cluster.apply(namespace())
        port = port_of(cluster.apply(service()))
        cluster.apply(deployment(replicas=2))
        cluster.wait_ready("Deployment", "trihull", "web", 30)
        cluster.wait_ready("Service", "trihull", "web", 30)
        pods = cluster.pods()
    finally:
        cluster.close()
    assert not any(_alive(pod.pid) for pod in pods if pod.pid)
    assert not any(_listening(number) for number in [port, *(pod.ports["http"] for pod in pods)])
    assert not set(_children()) - set(before)
    cluster.close()
    with pytest.raises(ClusterError, match="closed"):
        cluster.pods()


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(entry.parent.name))
    return found


def test_reload_starts_again_from_what_is_stored(cluster: LocalCluster) -> None:
    cluster.apply(deployment())
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    before = cluster.pods()[0]
    cluster.reload()
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    after = cluster.pods()[0]
    assert after.pid != before.pid
    assert (after.name, after.ports) == (before.name, before.ports)
