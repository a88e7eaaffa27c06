import base64
import os
from pathlib import Path

import pytest

from tests.unit.infra.cluster.conftest import answers, ask, deployment, eventually, port_of, service
from trihull_infra.emulators.cluster import ClusterError, LocalCluster

LIVENESS = {"livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 1, "failureThreshold": 3}}


def _config(text: str, kind: str = "ConfigMap") -> dict[str, object]:
    key = "data" if kind == "ConfigMap" else "stringData"
    metadata = {"name": "settings", "namespace": "trihull"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, key: {"settings.json": text, "other": "x"}}


def test_a_pod_gets_no_traffic_before_its_readiness_probe_succeeds(cluster: LocalCluster, tmp_path: Path) -> None:
    port = port_of(cluster.apply(service()))
    ready = tmp_path / "ready"
    cluster.apply(deployment(env={"READY_FILE": str(ready)}))
    pod = eventually(lambda: [p for p in cluster.pods() if "503" in p.message], "the probe fails")[0]
    assert (pod.phase, pod.ready) == ("Running", False)
    assert not answers(port)
    with pytest.raises(ClusterError, match=r"readiness probe failed: .*status 503"):
        cluster.wait_ready("Deployment", "trihull", "web", 0.2)
    with pytest.raises(ClusterError, match="no ready pod"):
        cluster.wait_ready("Service", "trihull", "web", 0.2)
    ready.touch()
    cluster.wait_ready("Service", "trihull", "web", 30)
    assert answers(port)
    ready.unlink()
    eventually(lambda: not answers(port), "the pod leaves the Service again")
    assert [pod.restarts for pod in cluster.pods()] == [0]


@pytest.mark.usefixtures("quick_restarts")
def test_a_failing_liveness_probe_restarts_the_container(cluster: LocalCluster, tmp_path: Path) -> None:
    sick = tmp_path / "sick"
    cluster.apply(deployment(env={"SICK_FILE": str(sick)}, container=LIVENESS))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    before = cluster.pods()[0]
    sick.touch()
    eventually(lambda: cluster.pods()[0].restarts >= 1, "it is restarted")
    assert "liveness probe failed" in cluster.pods()[0].message
    sick.unlink()
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert cluster.pods()[0].pid != before.pid


@pytest.mark.usefixtures("quick_restarts")
def test_a_startup_probe_that_never_succeeds_is_told(cluster: LocalCluster) -> None:
    probe = {"startupProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}}
    cluster.apply(deployment(env={"READY_FILE": "/nowhere/ready"}, container=probe))
    with pytest.raises(ClusterError, match=r"startup probe failed: .*status 503"):
        cluster.wait_ready("Deployment", "trihull", "web", 30)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_a_changed_config_appears_in_the_running_container(cluster: LocalCluster, kind: str) -> None:
    port = port_of(cluster.apply(service()))
    source = {"configMap": {"name": "settings"}} if kind == "ConfigMap" else {"secret": {"secretName": "settings"}}
    volume = {"volumes": [{"name": "settings", **source}]}
    mount = {"volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}]}
    cluster.apply(_config("one", kind))
    cluster.apply(deployment(env={"CONFIG": "/etc/settings/settings.json"}, container=mount, pod=volume))
    cluster.wait_ready("Service", "trihull", "web", 30)
    pid = cluster.pods()[0].pid
    assert ask(port)["config"] == "one"
    cluster.apply(_config("two", kind))
    assert ask(port)["config"] == "two"
    assert cluster.pods()[0].pid == pid


def test_a_pod_waits_for_a_config_that_is_not_there_yet(cluster: LocalCluster) -> None:
    volume = {"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}
    mount = {"volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}]}
    cluster.apply(deployment(container=mount, pod=volume))
    with pytest.raises(ClusterError, match="ConfigMap 'settings' for volume settings not found"):
        cluster.wait_ready("Deployment", "trihull", "web", 0.3)
    cluster.apply(_config("one"))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    assert [pod.restarts for pod in cluster.pods()] == [0]


def test_the_environment_is_the_pods_and_nothing_of_the_machines(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACHINE_SECRET", "hidden")
    port = port_of(cluster.apply(service()))
    cluster.apply(_config("hello", "ConfigMap"))
    cluster.apply(_config("secret text", "Secret"))
    env = {
        "PLAIN": "value",
        "NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "SPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "ADDRESS": {"fieldRef": {"fieldPath": "status.podIP"}},
        "FROM_CONFIG": {"configMapKeyRef": {"name": "settings", "key": "settings.json"}},
        "FROM_SECRET": {"secretKeyRef": {"name": "settings", "key": "settings.json"}},
        "ABSENT": {"secretKeyRef": {"name": "none", "key": "none", "optional": True}},
        "EXPANDED": "$(PLAIN)-$(TRIHULL_PORT_HTTP)-$(UNKNOWN)-$$(PLAIN)",
        "TRIHULL_HOST": "0.0.0.0",  # noqa: S104
        "TRIHULL_PORT_HTTP": "8080",
    }
    cluster.apply(deployment(env=env))
    cluster.wait_ready("Service", "trihull", "web", 30)
    seen = ask(port)["environment"]
    pod = cluster.pods()[0]
    own = str(pod.ports["http"])
    assert seen["PLAIN"] == "value"
    assert (seen["NAME"], seen["SPACE"], seen["ADDRESS"]) == (pod.name, "trihull", "127.0.0.1")
    assert (seen["FROM_CONFIG"], seen["FROM_SECRET"]) == ("hello", "secret text")
    assert seen["EXPANDED"] == f"value-{own}-$(UNKNOWN)-$(PLAIN)"
    assert (seen["TRIHULL_HOST"], seen["TRIHULL_PORT_HTTP"]) == ("127.0.0.1", own)
    assert seen.keys() - env.keys() - {"LC_CTYPE"} == {"TRIHULL_POD_UID"}


def test_a_container_that_ignores_sigterm_is_killed_after_its_grace_period(cluster: LocalCluster) -> None:
    cluster.apply(deployment(env={"STUBBORN": "1"}, pod={"terminationGracePeriodSeconds": 1}))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    pid = cluster.pods()[0].pid
    assert pid is not None
    cluster.delete("Deployment", "trihull", "web")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert cluster.pods() == []


def test_what_a_container_started_ends_with_it(cluster: LocalCluster, tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    cluster.apply(deployment(env={"CHILD_PID_FILE": str(child_file)}))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    child = int(child_file.read_text())
    os.kill(child, 0)
    cluster.delete("Deployment", "trihull", "web")
    eventually(lambda: not _running(child), "the child ends")


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_secrets_lie_in_files_that_only_their_owner_can_read(cluster: LocalCluster, folder: Path) -> None:
    cluster.apply(_config("top secret", "Secret"))
    volume = {"volumes": [{"name": "settings", "secret": {"secretName": "settings", "defaultMode": 0o444}}]}
    mount = {"volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}]}
    cluster.apply(deployment(container=mount, pod=volume))
    cluster.wait_ready("Deployment", "trihull", "web", 30)
    texts = (b"top secret", base64.b64encode(b"top secret"))
    holding = [path for path in folder.rglob("*") if path.is_file() and any(t in path.read_bytes() for t in texts)]
    assert len(holding) >= 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in holding)
