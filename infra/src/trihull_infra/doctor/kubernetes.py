"""What can be said of a cluster that is there already: its kubeconfig, and whether its API server answers.

Its owner says what it has room for; nothing of that is asked. The context is read as the provider reads it.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from trihull_infra import contexts
from trihull_infra.doctor import findings
from trihull_infra.doctor.findings import Finding
from trihull_infra.doctor.seam import ApiServer, Asked, pem
from trihull_infra.errors import SpecError
from trihull_infra.providers.kubernetes.spec import KubernetesSpec

OWNERS: Final = "the cluster is its owner's"


def host(asked: Asked) -> str:
    """Return the API server's own address: there is no cloud to ask for the time."""
    return _context(asked).server


def credentials(asked: Asked) -> Sequence[Finding]:
    """Say whether the context is there, and whether the program that logs in is on PATH."""
    found = _context(asked)
    user: Mapping[str, Any] = json.loads(found.kubeconfig)["users"][0]["user"]
    seen = f"context {asked.spec.account}: {found.server}"
    command = user.get("exec", {}).get("command")
    if command and shutil.which(command) is None:
        return [findings.failed(f"{seen}; its login program {command} is not on PATH", f"install {command}")]
    if not user:
        return [findings.warning(f"{seen}; its user has no credentials", "complete the user in the kubeconfig")]
    return [findings.ok(seen)]


def apis(asked: Asked) -> Sequence[Finding]:
    """Say nothing: a cluster has no services to turn on."""
    return [findings.not_asked(OWNERS)]


def quotas(asked: Asked) -> Sequence[Finding]:
    """Say nothing: what nodes there are is not asked for."""
    replicas = asked.environment.serving.replicas_max
    return [findings.not_asked(f"{OWNERS}: see that its nodes have room for {replicas} replicas")]


def offers(asked: Asked) -> Sequence[Finding]:
    """Say nothing: its nodes are there already."""
    return [findings.not_asked(OWNERS)]


def versions(asked: Asked) -> Sequence[Finding]:
    """Say nothing: who upgrades it is not ours."""
    return [findings.not_asked(OWNERS)]


def cluster(asked: Asked) -> ApiServer | None:
    """Return the address of the context's cluster."""
    found = _context(asked)
    parts = urlsplit(found.server)
    authority = json.loads(found.kubeconfig)["clusters"][0]["cluster"].get("certificate-authority-data")
    return ApiServer(parts.hostname or "", parts.port or 443, pem(authority))


def problem(error: Exception) -> Finding:
    """Say what is wrong with the kubeconfig."""
    do = "correct clouds.kubernetes.context or kubeconfig; `kubectl config get-contexts` lists what is there"
    text = findings.plain(error)
    return findings.failed(text if isinstance(error, SpecError) else f"{type(error).__name__}: {text}", do)


def _context(asked: Asked) -> contexts.Context:
    """Read the site's context; raises SpecError."""
    assert isinstance(asked.spec, KubernetesSpec)
    paths = contexts.files(asked.spec.kubeconfig, asked.folder, os.environ)
    return contexts.extract(paths, asked.spec.context, f"{asked.environment.name}.yaml: clouds.{asked.cloud}")
