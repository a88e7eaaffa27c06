"""Kubernetes objects and certificates through the real engine."""

import shutil
from pathlib import Path

import pytest
from cryptography import x509

from tests.emulated.conftest import REPOSITORY, Make, OperationError
from tests.unit.infra.drill.scripted import wait_until
from trihull_infra.emulators import showing
from trihull_infra.emulators.capabilities import emulation
from trihull_infra.emulators.client import Daemon
from trihull_infra.errors import EmulatorError


def test_objects_are_made_kept_replaced_and_removed(stack: Make, daemon: Daemon) -> None:
    site = stack("local-workloads", "workloads", data="1")
    site.up()
    assert site.outputs["config"].startswith("config-")
    assert "secret" in site.secret
    name = site.outputs["config"]
    assert set(site.up()) == {"same"}
    assert set(site.refresh()) == {"same"}
    site.options["data"] = "2"
    assert site.up()["replace"] == 1
    assert site.outputs["config"] != name, "a config map's change gives it a new name, so pods see old or new"
    site.destroy()
    assert daemon.sites() == {}


def test_a_deployment_that_cannot_run_fails_with_the_reason_and_stays_in_the_state(stack: Make, daemon: Daemon) -> None:
    site = stack("local-workloads", "workloads", data="1", deployment=True)
    with pytest.raises(OperationError, match="nowhere"):
        site.up()
    kept = [one for one in site.resources() if one["type"] == "kubernetes:apps/v1:Deployment"]
    assert len(kept) == 1
    assert kept[0]["initErrors"]
    (pod,) = daemon.sites()["gcp"]["pods"]
    with pytest.raises(EmulatorError, match=f"has no workload 'trihull-router'; its workloads: {pod['deployment']}"):
        daemon.begin_outage("gcp", "kill", 60, "trihull-router")
    daemon.begin_outage("gcp", "freeze", 60, pod["deployment"])
    assert daemon.sites()["gcp"]["pods"][0]["message"] == "it is in an outage"
    daemon.end_outage("gcp")
    daemon.begin_outage("gcp", "kill", 0.2, pod["deployment"])
    wait_until(lambda: daemon.sites()["gcp"]["pods"][0]["message"] != "it is in an outage")  # its lease has ended
    site.options["deployment"] = False
    assert site.up()["delete"] == 1


def test_agents_of_the_cluster_are_taken_and_told_as_not_run(
    stack: Make, daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy2(REPOSITORY / "tests/parity/environments/longestname1.yaml", tmp_path)
    shutil.copy2(REPOSITORY / "stacks/environments/local.yaml", tmp_path)
    site = stack("local-agents", "agents", environments=str(tmp_path))
    site.up()
    kinds = {one["type"].rpartition(":")[2] for one in site.resources()}
    wanted = {"PriorityClass", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "DaemonSet", "Deployment"}
    assert wanted <= kinds
    told = {f"{one['kind']} {one['namespace']}/{one['name']}" for one in daemon.sites()["gcp"]["not_run"]}
    assert told == {
        "Deployment kube-system/trihull-node-autoscaler",
        "DaemonSet trihull-accelerators/trihull-device-plugin",
    }
    assert daemon.sites()["gcp"]["pods"] == []
    showing.status(daemon.status())
    shown = capsys.readouterr().out
    assert "gcp: Deployment kube-system/trihull-node-autoscaler is stored and not run here: its image" in shown
    assert emulation("kubernetes:apps/v1:DaemonSet") == "stored: never run"
    assert set(site.up()) == {"same"}
    assert set(site.refresh()) == {"same"}


def test_certificates_are_made_once_and_stay(stack: Make, home: Path) -> None:
    site = stack("local-tls", "certificates", hours=100)
    assert set(site.preview()) == {"create"}
    site.up()
    first = site.outputs
    assert site.secret == {"key"}
    leaf, authority = (x509.load_pem_x509_certificate(first[name].encode()) for name in ("leaf", "ca"))
    leaf.verify_directly_issued_by(authority)
    states = list((home / "pulumi-state").rglob("local-tls.json"))
    assert len(states) == 1
    assert "PRIVATE KEY" not in states[0].read_text(), "the engine's state holds keys encrypted only"
    assert set(site.up()) == {"same"}
    assert set(site.refresh()) == {"same"}
    assert site.outputs == first
    site.options["hours"] = 200
    assert site.up()["replace"] == 2, "a new authority signs a new leaf"
    assert site.outputs["key"] == first["key"]
