"""Agents of the cluster that a local cluster cannot run: taken, told as not run, and in nobody's way."""

from typing import Any

import pytest

from tests.unit.infra.cluster.conftest import deployment, eventually
from trihull_infra.emulators.cluster import ClusterError, LocalCluster

AWAY = f"registry.example/agent@sha256:{'0' * 64}"


def agent(kind: str = "Deployment", namespace: str = "kube-system", image: str = AWAY) -> dict[str, Any]:
    obj = deployment("agent", image=image)
    obj |= {"kind": kind, "metadata": {"name": "agent", "namespace": namespace}}
    obj["spec"]["template"]["spec"]["volumes"] = [{"name": "x", "hostPath": {"path": "/var/lib/kubelet"}}]
    return obj


@pytest.mark.parametrize(
    ("kind", "namespace"),
    [("Deployment", "kube-system"), ("DaemonSet", "kube-system"), ("DaemonSet", "trihull-accelerators")],
)
def test_an_agent_is_stored_and_told_as_not_run(cluster: LocalCluster, kind: str, namespace: str) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "trihull-accelerators"}})
    live = cluster.apply(agent(kind, namespace))
    assert cluster.wait_ready(kind, namespace, "agent", 1)["metadata"]["uid"] == live["metadata"]["uid"]
    assert cluster.pods() == []
    (told,) = cluster.status()["not_run"]
    assert (told["kind"], told["namespace"], told["name"]) == (kind, namespace, "agent")
    assert AWAY in told["reason"] or "no nodes" in told["reason"]
    cluster.delete(kind, namespace, "agent")
    assert cluster.status()["not_run"] == []


def test_workloads_of_others_go_on_beside_it(cluster: LocalCluster) -> None:
    cluster.apply(agent())
    cluster.apply(deployment())
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert {pod.deployment for pod in cluster.pods()} == {"web"}
    with pytest.raises(ClusterError, match="has no workload 'agent'; its workloads: web"):
        cluster.begin_outage("kill", 60, "agent")


def test_it_is_still_not_run_after_a_restart(cluster: LocalCluster) -> None:
    cluster.apply(agent())
    cluster.reload()
    assert [one["name"] for one in cluster.status()["not_run"]] == ["agent"]
    assert cluster.pods() == []


def test_one_whose_image_is_here_runs(cluster: LocalCluster) -> None:
    obj = agent(image=f"oci-layout:///images@sha256:{'0' * 64}")
    del obj["spec"]["template"]["spec"]["volumes"]
    cluster.apply(obj)
    assert cluster.status()["not_run"] == []
    eventually(lambda: [pod for pod in cluster.pods() if pod.deployment == "agent"], "its pod is there")
    cluster.apply(agent())
    eventually(lambda: cluster.pods() == [], "what cannot run here any more ends")


def test_elsewhere_what_would_never_start_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(ClusterError, match="a DaemonSet would never start"):
        cluster.apply(agent("DaemonSet", "trihull"))
    with pytest.raises(ClusterError, match="hostPath is not supported"):
        cluster.apply(agent(namespace="trihull"))
    with pytest.raises(ClusterError, match="a StatefulSet would never start"):
        cluster.apply(agent("StatefulSet"))
