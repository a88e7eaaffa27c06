import socket
import time
import urllib.error
from pathlib import Path

import pytest

from tests.unit.infra.cluster.conftest import HostRunner, answers, ask, deployment, eventually, port_of, service
from trihull_infra.emulators.cluster import ClusterError, LocalCluster


@pytest.fixture
def port(cluster: LocalCluster) -> int:
    """A cluster's Service with two ready pods behind it."""
    number = port_of(cluster.apply(service()))
    cluster.apply(deployment(replicas=2, env={"VERSION": "1"}))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    cluster.wait_ready("Service", "trihull", "web", 30)
    return number


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def test_kill_ends_every_pod_and_refuses_connections_until_it_is_ended(cluster: LocalCluster, port: int) -> None:
    before = {pod.pid for pod in cluster.pods()}
    cluster.begin_outage("kill", 300)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5).close()
    eventually(lambda: all(pod.pid is None for pod in cluster.pods()), "all pods are dead")
    assert not any(pod.ready for pod in cluster.pods())
    with pytest.raises(ClusterError, match="outage"):
        cluster.apply(deployment(replicas=3))
    assert cluster.status()["outage"] == "kill"
    cluster.end_outage()
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    cluster.wait_ready("Service", "trihull", "web", 30)
    assert ask(port)["version"] == "1"
    assert before.isdisjoint(pod.pid for pod in cluster.pods())


def test_freeze_lets_connections_hang_and_goes_on_where_it_stopped(cluster: LocalCluster, port: int) -> None:
    pids = {pod.pid for pod in cluster.pods()}
    cluster.begin_outage("freeze", 300)
    eventually(lambda: all(_state(pid) == "T" for pid in pids if pid), "all pods are stopped")
    with pytest.raises((TimeoutError, urllib.error.URLError), match="timed out"):
        ask(port, timeout_s=0.3)
    with socket.create_connection(("127.0.0.1", port), 5) as waiting:
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        cluster.end_outage()
        waiting.settimeout(20)
        assert waiting.recv(100).startswith(b"HTTP/1.0 200")
    assert {pod.pid for pod in cluster.pods()} == pids
    assert all(pod.restarts == 0 for pod in cluster.pods())


def test_an_outage_ends_with_its_lease(cluster: LocalCluster, port: int) -> None:
    cluster.begin_outage("kill", 0.3)
    eventually(lambda: cluster.status()["outage"] is None, "the lease ends")
    cluster.wait_ready("Service", "trihull", "web", 30)
    assert answers(port)


def test_a_second_outage_takes_the_place_of_the_first_and_of_its_lease(cluster: LocalCluster, port: int) -> None:
    cluster.begin_outage("freeze", 0.5)
    cluster.begin_outage("kill", 300)
    deadline = time.monotonic() + 1  # well beyond the first lease
    while time.monotonic() < deadline:
        assert cluster.status()["outage"] == "kill"
        time.sleep(0.05)
    assert not answers(port)


@pytest.mark.parametrize("kind", ["kill", "freeze"])
def test_closing_works_in_an_outage_and_leaves_nothing(folder: Path, kind: str) -> None:
    cluster = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
    cluster.apply(deployment() | {"metadata": {"name": "web"}})
    cluster.wait_ready("Deployment", None, "web", 30)
    pid = cluster.pods()[0].pid
    assert pid is not None
    cluster.begin_outage(kind, 300)
    cluster.close()
    assert _state(pid) == "gone"


@pytest.mark.parametrize(("kind", "ttl_s"), [("flood", 5.0), ("kill", 0.0), ("kill", float("inf")), ("kill", -1.0)])
def test_an_outage_that_is_unknown_or_would_not_end_is_refused(cluster: LocalCluster, kind: str, ttl_s: float) -> None:
    with pytest.raises(ClusterError):
        cluster.begin_outage(kind, ttl_s)
    assert cluster.status()["outage"] is None


@pytest.fixture
def two(cluster: LocalCluster, port: int) -> tuple[int, int]:
    """Ports of two workloads of one cluster: `web` with two pods, `other` with one."""
    number = port_of(cluster.apply(service("other")))
    cluster.apply(deployment("other"))
    cluster.wait_ready("Service", "trihull", "other", 30)
    return port, number


def _pids(cluster: LocalCluster, workload: str) -> set[int | None]:
    return {pod.pid for pod in cluster.pods() if pod.deployment == workload}


def test_a_killed_workload_refuses_while_the_others_go_on(cluster: LocalCluster, two: tuple[int, int]) -> None:
    web, other = two
    before, untouched = _pids(cluster, "web"), _pids(cluster, "other")
    cluster.begin_outage("kill", 300, "web")
    eventually(lambda: _pids(cluster, "web") == {None}, "both pods are dead")
    eventually(lambda: not answers(web), "its Service refuses")
    assert answers(other)
    assert _pids(cluster, "other") == untouched
    status = cluster.status()
    assert (status["outage"], status["outage_workload"]) == ("kill", "web")
    assert {pod.name for pod in cluster.pods() if pod.ready} == {
        pod.name for pod in cluster.pods() if pod.deployment == "other"
    }
    with pytest.raises(ClusterError, match=r"not ready after 0.2 s: it is in an outage \(kill\)"):
        cluster.wait_ready("Deployment", "trihull", "web", 0.2)
    cluster.end_outage()
    cluster.wait_ready("Service", "trihull", "web", 30)
    assert answers(web)
    assert before.isdisjoint(_pids(cluster, "web"))
    assert _pids(cluster, "other") == untouched


def test_a_frozen_workload_hangs_while_the_others_go_on(cluster: LocalCluster, two: tuple[int, int]) -> None:
    web, other = two
    pids, untouched = _pids(cluster, "web"), _pids(cluster, "other")
    cluster.begin_outage("freeze", 300, "web")
    eventually(lambda: all(_state(pid) == "T" for pid in pids if pid), "both pods are stopped")
    with pytest.raises((TimeoutError, urllib.error.URLError), match="timed out"):
        ask(web, timeout_s=0.3)
    assert answers(other)
    assert not any(_state(pid) == "T" for pid in untouched if pid)
    cluster.end_outage()
    assert ask(web)["version"] == "1"
    assert _pids(cluster, "web") == pids
    assert all(pod.restarts == 0 for pod in cluster.pods())


@pytest.mark.parametrize("kind", ["kill", "freeze"])
def test_pods_that_a_broken_workload_gets_meanwhile_are_broken_too(
    cluster: LocalCluster, two: tuple[int, int], kind: str
) -> None:
    cluster.begin_outage(kind, 300, "web")
    cluster.apply(deployment(replicas=3, env={"VERSION": "1"}))  # the site's API server goes on
    eventually(lambda: sum(pod.deployment == "web" for pod in cluster.pods()) == 3, "the third pod is made")
    cluster.apply(deployment("other", replicas=2))
    cluster.wait_ready("Deployment", "trihull", "other", 30)
    new = [pod for pod in cluster.pods() if pod.deployment == "web" and pod.pid is None]
    assert len(new) == (3 if kind == "kill" else 1)
    cluster.end_outage()
    cluster.wait_ready("Deployment", "trihull", "web", 30)


def test_a_workloads_outage_ends_with_its_lease(cluster: LocalCluster, two: tuple[int, int]) -> None:
    cluster.begin_outage("kill", 0.3, "web")
    eventually(lambda: cluster.status()["outage"] is None, "the lease ends")
    cluster.wait_ready("Service", "trihull", "web", 30)
    assert cluster.status()["outage_workload"] is None


def test_an_outage_of_the_site_takes_the_place_of_a_workloads(cluster: LocalCluster, two: tuple[int, int]) -> None:
    cluster.begin_outage("freeze", 300, "web")
    cluster.begin_outage("kill", 300)
    assert not answers(two[1])
    cluster.begin_outage("kill", 300, "web")
    cluster.wait_ready("Service", "trihull", "other", 30)
    assert answers(two[1])
    assert not answers(two[0])


def test_an_unknown_workload_is_refused_by_name_and_an_outage_that_stands_goes_on(
    cluster: LocalCluster, two: tuple[int, int]
) -> None:
    cluster.begin_outage("kill", 300, "web")
    with pytest.raises(ClusterError, match="Site aws has no workload 'wbe'; its workloads: other, web"):
        cluster.begin_outage("kill", 300, "wbe")
    assert cluster.status()["outage_workload"] == "web"
