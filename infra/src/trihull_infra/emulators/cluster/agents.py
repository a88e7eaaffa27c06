"""What a cluster runs for itself, and a local cluster does not: stored, told, waited for by none.

A node autoscaler or a device plugin has nothing to do here, there being no nodes, and its image lies on the
network. Failing for it would keep a site from being tried; pretending that it runs would be untrue.
"""

from typing import Final

from trihull_infra.emulators.cluster.objects import AGENTS, Object
from trihull_infra.emulators.cluster.store import Key, Store

HERE: Final = "oci-layout://"  # the only images a local cluster can have


def not_run(obj: Object) -> str:
    """Return why a workload of the cluster's own is not run here; empty for every other object."""
    kind, metadata = obj.get("kind"), obj.get("metadata") or {}
    if metadata.get("namespace") not in AGENTS.get(str(kind), ()):
        return ""
    if kind == "DaemonSet":
        return "a local cluster has no nodes, and so no pod on each of them"
    pod = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    images = [str(container.get("image") or "") for container in pod.get("containers") or []]
    away = [image for image in images if not image.startswith(HERE)]
    return f"its image {away[0]} is not on this machine" if away else ""


def run_here(store: Store) -> list[Key]:
    """Return the Deployments that a local cluster runs."""
    return [key for key in store.keys("Deployment") if not not_run(store.peek(key) or {})]


def told(store: Store) -> list[dict[str, str]]:
    """Return what is stored and not run: `kind`, `namespace`, `name`, `reason`."""
    found = ((key, not_run(store.peek(key) or {})) for kind in ("Deployment", "DaemonSet") for key in store.keys(kind))
    return [
        {"kind": kind, "namespace": namespace, "name": name, "reason": reason}
        for (kind, namespace, name), reason in found
        if reason
    ]
