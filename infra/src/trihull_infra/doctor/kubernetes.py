"""What can be said of a cluster that is there already: its kubeconfig, and whether its API server answers.

Its owner says what it has room for; nothing of that is asked. Source of the kubeconfig's keys: Kubernetes, "Organizing
Cluster Access Using kubeconfig Files"; of `/version`: discovery that every cluster answers.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.seam import ApiServer, Asked, pem
from trihull_infra.providers.kubernetes.spec import KubernetesSpec

_OWNERS: Final = "the cluster is its owner's"


class KubeconfigError(Exception):
    """The kubeconfig cannot be read, or lacks what the environment names."""


def host(asked: Asked) -> str:
    """Return the API server's own address: there is no cloud to ask for the time."""
    return str(_named(asked)[0].get("server", ""))


def credentials(asked: Asked) -> Sequence[Finding]:
    """Say whether the context is there, and whether the program that logs in is on PATH."""
    assert isinstance(asked.spec, KubernetesSpec)
    cluster, user = _named(asked)
    seen = f"context {asked.spec.context} of {_path(asked)}: {cluster.get('server')}"
    command = user.get("exec", {}).get("command")
    if command and shutil.which(command) is None:
        return [findings.failed(f"{seen}; its login program {command} is not on PATH", f"install {command}")]
    if not user:
        return [findings.warning(f"{seen}; its user has no credentials", "complete the user in the kubeconfig")]
    return [findings.ok(seen)]


def apis(asked: Asked) -> Sequence[Finding]:
    """Say nothing: a cluster has no services to turn on."""
    return [findings.not_asked(_OWNERS)]


def quotas(asked: Asked) -> Sequence[Finding]:
    """Say nothing: what nodes there are is not asked for."""
    return [
        findings.not_asked(
            f"{_OWNERS}: see that its nodes have room for {asked.environment.serving.replicas_max} replicas"
        )
    ]


def offers(asked: Asked) -> Sequence[Finding]:
    """Say nothing: its nodes are there already."""
    return [findings.not_asked(_OWNERS)]


def versions(asked: Asked) -> Sequence[Finding]:
    """Say nothing: who upgrades it is not ours."""
    return [findings.not_asked(_OWNERS)]


def cluster(asked: Asked) -> ApiServer | None:
    """Return the address of the context's cluster."""
    found = _named(asked)[0]
    parts = urlsplit(str(found.get("server", "")))
    ca, file = pem(found.get("certificate-authority-data")), found.get("certificate-authority")
    if ca is None and file:
        ca = (_path(asked).parent / file).read_text(encoding="utf-8")
    return ApiServer(parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443), ca)


def problem(error: Exception) -> Finding:
    """Say what is wrong with the kubeconfig."""
    do = "correct clouds.kubernetes.context or kubeconfig; `kubectl config get-contexts` lists what is there"
    if isinstance(error, KubeconfigError | OSError | yaml.YAMLError | ValueError):
        return findings.failed(findings.plain(error), do)
    return findings.failed(f"{type(error).__name__}: {findings.plain(error)}", do)


def _path(asked: Asked) -> Path:
    """Return the kubeconfig that is named, relative to the environment's file, else the user's own."""
    assert isinstance(asked.spec, KubernetesSpec)
    if asked.spec.kubeconfig is not None:
        return asked.folder / asked.spec.kubeconfig
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def _named(asked: Asked) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return cluster and user of the context; raises KubeconfigError, OSError, YAMLError."""
    assert isinstance(asked.spec, KubernetesSpec)
    path, context = _path(asked), asked.spec.context
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise KubeconfigError(f"{path} is no kubeconfig")
    chosen = _entry(found, "contexts", "context", context)
    if chosen is None:
        there = ", ".join(str(one.get("name")) for one in found.get("contexts") or ()) or "none"
        raise KubeconfigError(f"{path} has no context {context}; it has {there}")
    cluster_of = _entry(found, "clusters", "cluster", chosen.get("cluster"))
    if cluster_of is None:
        raise KubeconfigError(f"{path}: context {context} names a cluster that is not there: {chosen.get('cluster')}")
    return cluster_of, _entry(found, "users", "user", chosen.get("user")) or {}


def _entry(kubeconfig: Mapping[str, Any], many: str, one: str, name: object) -> Mapping[str, Any] | None:
    found = next((entry for entry in kubeconfig.get(many) or () if entry.get("name") == name), None)
    return None if found is None else found.get(one) or {}
