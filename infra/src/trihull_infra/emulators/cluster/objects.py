"""What a local cluster does with an object before it is stored: checks, defaults and metadata. Pure functions.

Source: Kubernetes API conventions (metadata, generation, resourceVersion, server-side apply). An apply here says all
    of an
object: fields that are left out are gone, as with one field manager.
"""

import base64
import binascii
import copy
import re
from typing import Any

from trihull_infra import naming
from trihull_infra.emulators.cluster.errors import ClusterError

Object = dict[str, Any]

CLUSTER_SCOPED = frozenset(
    [
        "Namespace",
        "Node",
        "PersistentVolume",
        "StorageClass",
        "PriorityClass",
        "RuntimeClass",
        "IngressClass",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "APIService",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]
)
NOT_RUN = frozenset(
    [
        "Pod",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "PersistentVolumeClaim",
    ]
)
BUILT_IN_NAMESPACES = ("default", naming.SYSTEM)
# Where workloads are a cluster's own; agents.py tells which of them are not run.
AGENTS = {"Deployment": (naming.SYSTEM,), "DaemonSet": (naming.SYSTEM, naming.ACCELERATORS)}
# RFC 1123 subdomain, the rule of most names (API conventions, "Names").
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
ROLE_NAME = re.compile(r"[^/%]+")  # roles may hold colons (path segment rule)


def plain(value: Any) -> Any:
    """Return an object without nulls, and with whole numbers as such: the plugin protocol knows only floats."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_namespaced(kind: str) -> bool:
    """Tell whether objects of a kind live in a namespace."""
    return kind not in CLUSTER_SCOPED


def check(obj: Object) -> tuple[str, str, str]:
    """Check what every object must have.

    Returns:
        Its key: kind, namespace ("" for cluster-scoped kinds) and name.

    Raises:
        ClusterError: what is missing or wrong, and what a local cluster does not run.
    """
    kind, metadata = obj.get("kind"), obj.get("metadata")
    if not isinstance(kind, str) or not kind or not isinstance(obj.get("apiVersion"), str):
        raise ClusterError(f"An object without apiVersion and kind cannot be applied: {str(obj)[:120]}")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise ClusterError(f"This {kind} has no metadata.name; local clusters do not generate names.")
    name = metadata["name"]
    rule = ROLE_NAME if kind.endswith(("Role", "RoleBinding")) else NAME
    if rule.fullmatch(name) is None or len(name) > 253:
        raise ClusterError(
            f"{kind} {name!r}: metadata.name is not a valid name (lower case letters, digits, '-', '.')."
        )
    if kind in NOT_RUN and metadata.get("namespace") not in AGENTS.get(kind, ()):
        raise ClusterError(f"{kind} {name}: local clusters run Deployments only; a {kind} would never start.")
    if not is_namespaced(kind):
        if metadata.get("namespace"):
            raise ClusterError(f"{kind} {name}: metadata.namespace is set, but a {kind} belongs to no namespace.")
        return kind, "", name
    return kind, str(metadata.get("namespace") or "default"), name


def merge(existing: Object | None, wanted: Object, *, version: int, uid: str, now: str) -> tuple[Object, bool]:
    """Make the live object that an apply of `wanted` leads to.

    Args:
        existing: the live object, None when there is none.
        wanted: a checked object.
        version: the resource version to give when something changed.
        uid: the identity of a new object.
        now: the time, as in `2026-01-31T12:00:00Z`.

    Returns:
        The live object (status kept, spec as wanted) and whether anything changed.
    """
    kind, namespace, name = check(wanted)
    live = {key: copy.deepcopy(value) for key, value in wanted.items() if key not in ("metadata", "status")}
    if kind == "Secret":
        live["data"] = _secret_data(live, name)
        live.pop("stringData", None)
        live.setdefault("type", "Opaque")
    if kind == "Service":
        _default_service(live)
    if kind == "Namespace":
        live.setdefault("spec", {"finalizers": ["kubernetes"]})
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    for key in ("labels", "annotations", "finalizers", "ownerReferences"):
        if wanted["metadata"].get(key):
            metadata[key] = copy.deepcopy(wanted["metadata"][key])
    if existing is None:
        metadata |= {"uid": uid, "creationTimestamp": now, "generation": 1, "resourceVersion": str(version)}
        live["metadata"] = metadata
        live |= _first_status(kind)
        return live, True
    old = existing["metadata"]
    same_payload = _payload(existing) == _payload(live)
    metadata |= {key: old[key] for key in ("uid", "creationTimestamp", "generation", "resourceVersion")}
    changed = not same_payload or any(
        old.get(key) != metadata.get(key) for key in ("labels", "annotations", "finalizers", "ownerReferences")
    )
    if not same_payload:
        metadata["generation"] = old["generation"] + 1
    if changed:
        metadata["resourceVersion"] = str(version)
    live["metadata"] = metadata
    if "status" in existing:
        live["status"] = copy.deepcopy(existing["status"])
    return live, changed


def selects(selector: dict[str, str] | None, labels: dict[str, str]) -> bool:
    """Tell whether an equality selector picks these labels; an absent or empty selector picks nothing."""
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _payload(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def _first_status(kind: str) -> Object:
    if kind == "Namespace":
        return {"status": {"phase": "Active"}}
    if kind == "Service":
        return {"status": {"loadBalancer": {}}}
    if kind in ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        return {"status": {}}
    return {}


def _secret_data(secret: Object, name: str) -> dict[str, str]:
    data = dict(secret.get("data") or {})
    for key, value in data.items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ClusterError(
                f"Secret {name}: data[{key!r}] is not base64 ({error}); use stringData for text."
            ) from error
    for key, text in (secret.get("stringData") or {}).items():
        data[key] = base64.b64encode(str(text).encode()).decode()
    return data


def _default_service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
