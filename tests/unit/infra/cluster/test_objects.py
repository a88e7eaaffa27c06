from typing import Any

import pytest

from tests.unit.infra.cluster.conftest import deployment, eventually, namespace, port_of, service
from trihull_infra.emulators.cluster import ClusterError, LocalCluster


def test_an_object_is_stored_with_what_an_api_server_adds(cluster: LocalCluster) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": []}
    live = cluster.apply(role)
    assert live["metadata"].keys() >= {"uid", "creationTimestamp", "generation", "resourceVersion"}
    assert live["metadata"]["namespace"] == "default"
    assert cluster.get("Role", None, "r") == live
    assert cluster.wait_ready("Role", None, "r", 1) == live
    assert cluster.get("Role", "trihull", "r") is None


def test_applying_the_same_again_changes_nothing_and_a_change_is_counted(cluster: LocalCluster) -> None:
    first = cluster.apply(service(kind="ClusterIP"))
    assert cluster.apply(service(kind="ClusterIP"))["metadata"] == first["metadata"]
    assert cluster.apply(namespace())["metadata"]["generation"] == 1
    changed = service(kind="ClusterIP")
    changed["spec"]["ports"][0]["port"] = 81
    second = cluster.apply(changed)["metadata"]
    assert second["uid"] == first["metadata"]["uid"]
    assert second["generation"] == 2
    assert int(second["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    changed["metadata"]["labels"] = {"a": "b"}
    third = cluster.apply(changed)["metadata"]
    assert third["generation"] == 2
    assert third["labels"] == {"a": "b"}


def test_a_service_keeps_its_port_until_it_is_deleted(cluster: LocalCluster) -> None:
    port = port_of(cluster.apply(service()))
    changed = service()
    changed["spec"]["selector"] = {"app": "other"}
    assert port_of(cluster.apply(changed)) == port
    assert "ingress" not in cluster.apply(service(kind="ClusterIP"))["status"]["loadBalancer"]
    cluster.delete("Service", "trihull", "web")
    assert cluster.get("Service", "trihull", "web") is None
    cluster.delete("Service", "trihull", "web")


def test_deleting_a_namespace_takes_all_of_it_along(cluster: LocalCluster) -> None:
    cluster.apply(service())
    cluster.apply(deployment())
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    cluster.delete("Namespace", None, "trihull")
    eventually(lambda: cluster.pods() == [], "its pods end")
    assert cluster.get("Deployment", "trihull", "web") is None
    assert cluster.get("Service", "trihull", "web") is None


def _with(path: str, value: Any) -> dict[str, Any]:
    """A Deployment with one thing changed; `path` as in `spec.template.spec.containers.0.image`."""
    obj = deployment()
    here: Any = obj
    *parts, last = path.split(".")
    for part in parts:
        here = here[int(part)] if part.isdigit() else here[part]
    here[last] = value
    return obj


POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"


@pytest.mark.parametrize(
    ("obj", "why"),
    [
        (_with("metadata.namespace", "nowhere"), "namespace 'nowhere' does not exist"),
        (_with("metadata.name", "Not_Valid"), "Not_Valid"),
        (_with("spec.replicas", -1), "spec.replicas"),
        (_with("spec.selector", {"matchLabels": {"other": "x"}}), "matchLabels"),
        (_with("spec.strategy", {"type": "Sideways"}), "Sideways"),
        (_with(f"{POD}.initContainers", [{"name": "a"}]), "exactly one container"),
        (_with(f"{POD}.volumes", [{"name": "v", "hostPath": {"path": "/"}}]), "hostPath"),
        (_with(f"{CONTAINER}.image", ""), "image is missing"),
        (_with(f"{CONTAINER}.envFrom", [{}]), "envFrom"),
        (_with(f"{CONTAINER}.volumeMounts", [{"name": "v", "mountPath": "/v"}]), "'v'"),
        (_with(f"{CONTAINER}.readinessProbe", {"exec": {"command": ["true"]}}), "readinessProbe"),
        (_with(f"{CONTAINER}.readinessProbe", {"tcpSocket": {"port": "nope"}}), "'nope'"),
        (_with(f"{CONTAINER}.readinessProbe", {"httpGet": {"port": 8080, "scheme": "HTTPS"}}), "plain HTTP"),
        (service(kind="NodePort"), "NodePort"),
        (service() | {"spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}, "UDP"),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}}, "StatefulSet"),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "?"}}, "base64"),
        ({"kind": "Secret", "metadata": {"name": "s"}}, "apiVersion"),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {}}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}}, "no namespace"),
    ],
)
def test_what_a_local_cluster_cannot_do_is_refused_before_anything_changed(
    cluster: LocalCluster, obj: dict[str, Any], why: str
) -> None:
    with pytest.raises(ClusterError, match=why):
        cluster.apply(obj)
    if "name" in obj["metadata"]:
        assert cluster.get(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]) is None
    assert cluster.pods() == []


def test_a_deployments_selector_cannot_change(cluster: LocalCluster) -> None:
    cluster.apply(deployment())
    changed = deployment()
    changed["spec"]["selector"] = {"matchLabels": {"new": "x"}}
    changed["spec"]["template"]["metadata"]["labels"]["new"] = "x"
    with pytest.raises(ClusterError, match=r"spec\.selector cannot be changed"):
        cluster.apply(changed)
