"""What a Deployment tells of itself: its status, and what it still lacks. Pure functions over its pods."""

from collections.abc import Collection, Sequence

from trihull_infra.emulators.cluster.objects import Object
from trihull_infra.emulators.cluster.pods import Pod
from trihull_infra.emulators.cluster.spec import DeploymentSpec


def status(deployment: Object, spec: DeploymentSpec, pods: Sequence[Pod], available: Collection[str]) -> Object:
    """Return a Deployment's status (apps/v1 DeploymentStatus).

    Args:
        deployment: the live object.
        spec: the same, read.
        pods: all its pods.
        available: names of those that are available.
    """
    live = [pod for pod in pods if not pod.ending]
    updated = [pod for pod in live if pod.record.template_hash == spec.template_hash]
    lack, _ = problem(spec, pods, available, crashes_enough=1)
    enough = len(available) >= spec.replicas
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": len(live),
        "updatedReplicas": len(updated),
        "readyReplicas": sum(pod.ready for pod in live),
        "availableReplicas": len(available),
        "unavailableReplicas": max(0, len(live) - len(available)),
        "conditions": [
            {
                "type": "Available",
                "status": "True" if enough else "False",
                "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
                "message": f"{len(available)} of {spec.replicas} pods are available",
            },
            {
                "type": "Progressing",
                "status": "True",
                "reason": "ReplicaSetUpdated" if lack else "NewReplicaSetAvailable",
                "message": lack or "the rollout is complete",
            },
        ],
    }


def problem(
    spec: DeploymentSpec, pods: Sequence[Pod], available: Collection[str], crashes_enough: int
) -> tuple[str, bool]:
    """Say what a Deployment still lacks.

    Returns:
        What it lacks (empty: it is ready, with pods of the current template alone), and whether waiting is of no use:
        an image that cannot be run, or a container that ended `crashes_enough` times in a row.
    """
    updated = [pod for pod in pods if not pod.ending and pod.record.template_hash == spec.template_hash]
    old = [pod for pod in pods if pod.record.template_hash != spec.template_hash]
    ready = [pod for pod in updated if pod.record.name in available]
    if len(ready) == len(updated) == spec.replicas and not old:
        return "", False
    parts = [f"{len(ready)} of {spec.replicas} pods of this version are available"]
    if old:
        parts.append(f"{len(old)} of an earlier version still there")
    final = False
    for pod in updated:
        if pod.record.name not in available:
            parts.append(f"pod {pod.record.name} ({pod.phase}): {pod.status().message or 'not yet available'}")
            final = final or bool(pod.permanent) or pod.crashes >= crashes_enough
    return "; ".join(parts), final
