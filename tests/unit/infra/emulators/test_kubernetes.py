import json
from typing import Any

import pytest

from trihull_infra.emulators.cluster.objects import is_namespaced
from trihull_infra.emulators.plugins.kubernetes import AUTONAMED, SKIP, TIMEOUT, KubernetesProvider
from trihull_infra.emulators.plugins.provider import InitError, Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.values import UNKNOWN, Secret
from trihull_infra.errors import EmulatorError

SERVER = "https://site.example"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SPEC = {"selector": {"matchLabels": {"a": "b"}}, "template": {}}


def urn(token: str) -> Urn:
    return Urn("local-x", "p", token, "Thing", f"urn:pulumi:local-x::p::{token}::Thing")


def kubeconfig(server: str = SERVER) -> str:
    return json.dumps(
        {
            "clusters": [
                {"name": "other", "cluster": {"server": "https://o"}},
                {"name": "c", "cluster": {"server": server}},
            ],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


class Cluster:
    """Keeps objects, and fails to become ready when told to."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str | None, str], dict[str, Any]] = {}
        self.waited: list[tuple[str, float]] = []
        self.problem = ""

    def apply(self, obj: dict[str, Any]) -> dict[str, Any]:
        metadata = obj["metadata"]
        live = {**obj, "metadata": {**metadata, "resourceVersion": str(len(self.waited))}, "status": {"replicas": 1}}
        self.objects[obj["kind"], metadata.get("namespace"), metadata["name"]] = live
        return live

    def get(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        return self.objects.get((kind, namespace, name))

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        self.objects.pop((kind, namespace, name), None)

    def wait_ready(self, kind: str, namespace: str | None, name: str, timeout_s: float) -> dict[str, Any]:
        self.waited.append((kind, timeout_s))
        if self.problem:
            raise EmulatorError(self.problem)
        return self.objects[kind, namespace, name]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def provider(cluster: Cluster) -> KubernetesProvider:
    def find(url: str) -> Cluster:
        if url != SERVER:
            raise EmulatorError(f"{url} is not an emulated cluster")
        return cluster

    made = KubernetesProvider(find, is_namespaced)
    made.configure({"kubeconfig": kubeconfig()}, "")
    return made


def deployment(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n", **metadata},
        "spec": SPEC,
    }


def test_the_current_contexts_cluster_is_used_and_any_other_is_refused(provider: KubernetesProvider) -> None:
    with pytest.raises(EmulatorError, match=r"https://real\.example is not an emulated cluster"):
        provider.configure({"kubeconfig": kubeconfig("https://real.example")}, "")


@pytest.mark.parametrize(
    "configuration", [{}, {"kubeconfig": ""}, {"kubeconfig": "~/.kube/config"}, {"kubeconfig": "{"}]
)
def test_a_provider_without_a_readable_kubeconfig_is_refused(
    provider: KubernetesProvider, configuration: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError, match="kubeconfig"):
        provider.configure(configuration, "")
    assert provider.check_config(urn("x"), configuration)


def test_what_is_left_out_is_filled_in(provider: KubernetesProvider) -> None:
    inputs, failures = provider.check(urn("kubernetes:core/v1:ConfigMap"), {}, {"data": {"a": "b"}}, Naming(b"1"))
    assert failures == []
    assert (inputs["apiVersion"], inputs["kind"], inputs["metadata"]["namespace"]) == ("v1", "ConfigMap", "default")
    assert inputs["metadata"]["name"].startswith("thing-")
    again, _ = provider.check(urn("kubernetes:core/v1:ConfigMap"), inputs, {"data": {"a": "c"}}, Naming(b"2"))
    assert again["metadata"]["name"] == inputs["metadata"]["name"]
    namespace, _ = provider.check(urn("kubernetes:core/v1:Namespace"), {}, {"metadata": {"name": "x"}}, Naming())
    assert "namespace" not in namespace["metadata"]


def test_a_field_the_api_does_not_know_is_refused_however_deep(provider: KubernetesProvider) -> None:
    wrong = {"spec": {"containers": [{"name": "a", "imagee": "b"}]}}
    _, failures = provider.check(urn(DEPLOYMENT), {}, {"spec": {**SPEC, "template": wrong}}, Naming())
    assert [failure.property for failure in failures] == ["spec.template.spec.containers[0].imagee"]


@pytest.mark.parametrize(
    ("token", "old", "new", "replaces"),
    [
        (DEPLOYMENT, {"spec": {"selector": {"a": 1}}}, {"spec": {"selector": {"a": 2}}}, True),
        (DEPLOYMENT, {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, False),
        (DEPLOYMENT, {"metadata": {"namespace": "a"}}, {"metadata": {"namespace": "b"}}, True),
        ("kubernetes:core/v1:ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, True),
        ("kubernetes:core/v1:Service", {"spec": {"clusterIP": "a"}}, {"spec": {"clusterIP": "b"}}, True),
        ("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}}, {"spec": {"type": "LoadBalancer"}}, False),
    ],
)
def test_immutable_fields_replace(
    provider: KubernetesProvider, token: str, old: dict[str, Any], new: dict[str, Any], replaces: bool
) -> None:
    assert provider.diff(urn(token), "n/d", old, {}, new).replaces is replaces


def test_a_config_map_may_be_mutable_by_configuration(provider: KubernetesProvider) -> None:
    provider.configure({"kubeconfig": kubeconfig(), "enableConfigMapMutable": "true"}, "")
    token = "kubernetes:core/v1:ConfigMap"
    assert not provider.diff(urn(token), "n/d", {"data": {"a": "1"}}, {}, {"data": {"a": "2"}}).replaces


def test_a_given_name_is_deleted_before_it_is_made_again_and_a_made_up_one_is_not(provider: KubernetesProvider) -> None:
    token = "kubernetes:core/v1:ConfigMap"
    given = {"metadata": {"name": "a"}, "data": {"a": "1"}}
    assert provider.diff(urn(token), "n/a", given, {}, {**given, "data": {}}).delete_before_replace
    free = {"metadata": {"name": "a", "annotations": {AUTONAMED: "true"}}, "data": {"a": "1"}}
    assert not provider.diff(urn(token), "n/a", free, {}, {**free, "data": {}}).delete_before_replace


def test_an_object_is_applied_and_waited_for(provider: KubernetesProvider, cluster: Cluster) -> None:
    resource_id, outputs = provider.create(urn(DEPLOYMENT), deployment(), False, 0)
    assert resource_id == "n/d"
    assert outputs["status"] == {"replicas": 1}
    assert cluster.waited == [("Deployment", 180)]


def test_annotations_and_timeouts_govern_the_waiting(provider: KubernetesProvider, cluster: Cluster) -> None:
    provider.create(urn(DEPLOYMENT), deployment(annotations={SKIP: "true"}), False, 0)
    assert cluster.waited == []
    provider.update(urn(DEPLOYMENT), "n/d", {}, {}, deployment(annotations={TIMEOUT: "5"}), False, 0)
    provider.update(urn(DEPLOYMENT), "n/d", {}, {}, deployment(), False, 7.0)
    assert [seconds for _, seconds in cluster.waited] == [5, 7]
    with pytest.raises(RefusedError, match="expected seconds"):
        provider.update(urn(DEPLOYMENT), "n/d", {}, {}, deployment(annotations={TIMEOUT: "soon"}), False, 0)


def test_what_does_not_become_ready_stays_with_the_reason(provider: KubernetesProvider, cluster: Cluster) -> None:
    cluster.problem = "pod d-1 ended with code 1 three times"
    with pytest.raises(InitError, match="three times") as failure:
        provider.create(urn(DEPLOYMENT), deployment(), False, 0)
    assert failure.value.resource_id == "n/d"
    assert failure.value.outputs["status"] == {"replicas": 1}


def test_an_object_of_that_name_is_not_taken_over(provider: KubernetesProvider) -> None:
    provider.create(urn(DEPLOYMENT), deployment(), False, 0)
    with pytest.raises(RefusedError, match="already exists"):
        provider.create(urn(DEPLOYMENT), deployment(), False, 0)


def test_a_preview_applies_nothing(provider: KubernetesProvider, cluster: Cluster) -> None:
    resource_id, outputs = provider.create(urn(DEPLOYMENT), deployment(), True, 0)
    assert resource_id == ""
    assert outputs["status"] is UNKNOWN
    assert cluster.objects == {}


def test_reading_again_shows_no_drift_and_real_drift_is_shown(provider: KubernetesProvider, cluster: Cluster) -> None:
    _, state = provider.create(urn(DEPLOYMENT), deployment(), False, 0)
    live = cluster.objects["Deployment", "n", "d"]
    live["metadata"]["resourceVersion"] = "99"
    live["status"]["conditions"] = [{"lastUpdateTime": "now"}]
    assert provider.read(urn(DEPLOYMENT), "n/d", deployment(), state)[2] == state
    live["spec"] = {**SPEC, "replicas": 9}
    assert provider.read(urn(DEPLOYMENT), "n/d", deployment(), state)[2]["spec"]["replicas"] == 9
    provider.delete(urn(DEPLOYMENT), "n/d", {}, {}, 0)
    assert provider.read(urn(DEPLOYMENT), "n/d", deployment(), state) == ("", {}, {})
    provider.delete(urn(DEPLOYMENT), "n/d", {}, {}, 0)


def test_secrets_stay_secret(provider: KubernetesProvider) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "n"},
        "stringData": {"a": "b"},
    }
    _, outputs = provider.create(urn("kubernetes:core/v1:Secret"), secret, False, 0)
    assert outputs["stringData"] == Secret({"a": "b"})


def test_an_unreachable_cluster_can_be_let_go(provider: KubernetesProvider) -> None:
    provider.configure({"kubeconfig": kubeconfig("https://gone.example"), "deleteUnreachable": "true"}, "")
    assert provider.read(urn(DEPLOYMENT), "n/d", {}, {}) == ("", {}, {})
    provider.delete(urn(DEPLOYMENT), "n/d", {}, {}, 0)
