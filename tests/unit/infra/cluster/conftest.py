import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trihull_infra.emulators.cluster import LocalCluster, pods
from trihull_infra.emulators.cluster.errors import ImageError
from trihull_infra.emulators.cluster.runner import Container, Plan

PROGRAM = Path(__file__).with_name("program.py")
TIMEOUT_S = 30.0


class HostRunner:
    """Runs program.py on the machine itself, so that controllers are tested without an image."""

    isolation = "none"

    def plan(self, container: Container) -> Plan:
        if container.image.startswith("missing"):
            raise ImageError(f"Image {container.image}: there is no such image.")
        places = {bind.target: str(bind.source) for bind in container.binds if bind.target != "/tmp"}
        env = {name: _moved(value, places) for name, value in container.environment.items()}
        return Plan((sys.executable, "-I", "-S", str(PROGRAM)), env, "/")


def _moved(text: str, places: dict[str, str]) -> str:
    for target, source in places.items():
        if text.startswith(f"{target}/"):
            return source + text[len(target) :]
    return text


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Poll until the condition holds and return its value; fail when it does not in time."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not in {TIMEOUT_S:g} s: {what}")


def ask(port: int, path: str = "/", timeout_s: float = 5) -> dict[str, Any]:
    """GET a pod's or Service's answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout_s) as response:
        value: dict[str, Any] = json.load(response)
        return value


def answers(port: int) -> bool:
    """Tell whether a port answers at all."""
    try:
        ask(port)
    except (urllib.error.URLError, OSError):
        return False
    return True


def namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "trihull"}}


def deployment(
    name: str = "web",
    *,
    replicas: int = 1,
    image: str = "any",
    env: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A Deployment of program.py with a readiness probe; `env` values are text or a valueFrom object."""
    variables = [
        {"name": key, "value": value} if isinstance(value, str) else {"name": key, "valueFrom": value}
        for key, value in (env or {}).items()
    ]
    readiness = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    first = {
        "name": "main",
        "image": image,
        "env": variables,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": readiness,
    }
    labels = {"app.kubernetes.io/name": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [first | (container or {})]} | (pod or {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "trihull", "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def service(name: str = "web", kind: str = "LoadBalancer") -> dict[str, Any]:
    selector = {"app.kubernetes.io/name": name}
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "trihull"},
        "spec": {"type": kind, "selector": selector, "ports": ports},
    }


def port_of(live: dict[str, Any]) -> int:
    ingress = live["status"]["loadBalancer"]["ingress"][0]
    assert ingress["ip"] == "127.0.0.1"
    number: int = ingress["ports"][0]["port"]
    return number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "clusters" / "aws"


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers that end are restarted after a fifth of the usual time."""
    monkeypatch.setattr(pods, "BACKOFF_S", pods.BACKOFF_S / 5)


@pytest.fixture
def cluster(folder: Path) -> Iterator[LocalCluster]:
    made = LocalCluster("trihull-aws", "aws", folder, runner=HostRunner())
    try:
        made.apply(namespace())
        yield made
    finally:
        made.close()
