import threading
import urllib.error

import pytest

from tests.unit.infra.cluster.conftest import ask, deployment, eventually, port_of, service
from trihull_infra.emulators.cluster import ClusterError, LocalCluster

STOPPING = {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}  # as a real Deployment: leave the Service, then end


def test_a_deployment_becomes_ready_and_its_service_answers_from_its_pods(cluster: LocalCluster) -> None:
    port = port_of(cluster.apply(service()))
    cluster.apply(deployment(replicas=2, env={"VERSION": "1", "POD": {"fieldRef": {"fieldPath": "metadata.name"}}}))
    live = cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert live["status"]["readyReplicas"] == live["status"]["availableReplicas"] == 2
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"] == 1
    cluster.wait_ready("Service", "trihull", "web", 30)
    names = {pod.name for pod in cluster.pods()}
    assert eventually(lambda: {ask(port)["pod"] for _ in range(4)} == names, "both pods take their turn")
    assert all(name.startswith("web-") and name.count("-") == 2 for name in names)
    assert {pod.app for pod in cluster.pods()} == {"web"}


def test_a_rolling_update_under_load_refuses_no_connection(cluster: LocalCluster) -> None:
    port = port_of(cluster.apply(service()))
    cluster.apply(deployment(replicas=2, env={"VERSION": "1"}, container=STOPPING))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    cluster.wait_ready("Service", "trihull", "web", 30)
    failures: list[Exception] = []
    seen: list[str] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                seen.append(ask(port)["version"])
            except (urllib.error.URLError, OSError, ValueError) as error:
                failures.append(error)

    clients = [threading.Thread(target=load) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        cluster.apply(deployment(replicas=2, env={"VERSION": "2"}, container=STOPPING))
        cluster.wait_ready("Deployment", "trihull", "web", 60)
        count = len(seen)
        eventually(lambda: len(seen) > count + 20, "the load goes on")
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert failures == []
    assert seen[0] == "1"
    assert seen[-1] == "2"


def test_a_template_with_a_bad_image_leaves_the_old_pods_serving_and_says_why(cluster: LocalCluster) -> None:
    port = port_of(cluster.apply(service()))
    cluster.apply(deployment(replicas=2, env={"VERSION": "1"}))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    cluster.wait_ready("Service", "trihull", "web", 30)
    cluster.apply(deployment(replicas=2, image="missing:2", env={"VERSION": "2"}))
    with pytest.raises(ClusterError, match=r"ImagePullBackOff.*missing:2"):
        cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert sum(pod.ready for pod in cluster.pods()) == 2
    assert ask(port)["version"] == "1"
    cluster.apply(deployment(replicas=2, env={"VERSION": "1"}))
    live = cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert live["status"]["replicas"] == 2


def test_a_container_that_ends_is_restarted_later_and_later_and_its_log_is_quoted(cluster: LocalCluster) -> None:
    cluster.apply(deployment(env={"FAIL": "no model"}))
    with pytest.raises(ClusterError, match=r"exited with code 7.*this is why: no model"):
        cluster.wait_ready("Deployment", "trihull", "web", 30)
    pod = eventually(lambda: [p for p in cluster.pods() if p.phase == "CrashLoopBackOff"], "it waits")[0]
    assert pod.restarts >= 3
    assert not pod.ready


@pytest.mark.usefixtures("quick_restarts")
def test_a_service_whose_pods_all_crash_is_not_waited_for(cluster: LocalCluster) -> None:
    cluster.apply(service())
    cluster.apply(deployment(env={"FAIL": "no model"}))
    with pytest.raises(ClusterError, match=r"Service trihull/web .*does not become ready: no ready pod"):
        cluster.wait_ready("Service", "trihull", "web", 60)


def test_scaling_starts_and_stops_pods_without_touching_the_others(cluster: LocalCluster) -> None:
    cluster.apply(deployment(replicas=1))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    first = cluster.pods()[0]
    cluster.apply(deployment(replicas=3))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert len(cluster.pods()) == 3
    cluster.apply(deployment(replicas=1))
    live = cluster.wait_ready("Deployment", "trihull", "web", 30)
    eventually(lambda: len(cluster.pods()) == 1, "two pods are gone")
    assert live["metadata"]["generation"] == 3
    assert cluster.pods()[0].pid == first.pid
