"""Where pods may run, and which of them gives way: nodes, spot, zones, priorities."""

from collections.abc import Mapping
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta, scheduling

from trihull_infra import naming, provider, specs
from trihull_infra.pools import PoolShare, shares
from trihull_infra.program import Program

# Below 1 000 000 000, where those of the system begin (Kubernetes, "Pod Priority and Preemption"). Serving waits for a
# node where there is none and ends nobody else's pods; it comes before pods without a priority in the queue. A router
# is what answers for the whole site, so it may take the place of a model's replica.
PRIORITIES: Final[Mapping[str, tuple[int, str]]] = {
    naming.SERVING: (100_000, "Never"),
    naming.ROUTER: (200_000, "PreemptLowerPriority"),
}
ACCELERATORS: Final = "nvidia.com/gpu"  # what NVIDIA's device plugin calls them, on every cloud
SPREAD: Final = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")


def priorities(begun: Program, opts: pulumi.ResourceOptions) -> dict[str, scheduling.v1.PriorityClass]:
    """Register the priorities of serving and routers; both belong to the cluster, not to a namespace.

    An API server lets neither value be changed, so a change makes the class anew; running pods keep what they got.
    """
    fixed = pulumi.ResourceOptions(replace_on_changes=["value", "preemptionPolicy"], delete_before_replace=True)
    return {
        name: scheduling.v1.PriorityClass(
            name,
            metadata=meta.v1.ObjectMetaArgs(name=name, labels=begun.environment.labels),
            value=value,
            preemption_policy=preemption,
            global_default=False,
            description=f"pods of {name}",
            opts=pulumi.ResourceOptions.merge(opts, fixed),
        )
        for name, (value, preemption) in PRIORITIES.items()
    }


def halves(begun: Program, pool: str) -> tuple[PoolShare, ...]:
    """Return the halves of a pool as the cloud has them; none where the nodes are not ours to make."""
    if not specs.provisions(begun.cloud):
        return ()
    return shares(pool, begun.environment.pools.all[pool])


def tolerations(begun: Program, pool: str) -> list[core.v1.TolerationArgs]:
    """Return what lets pods onto the nodes of a pool: our own taints of it, and those that the cloud adds."""
    declared, taints = provider.capabilities(begun.cloud), dict[str, str]()
    for half in halves(begun, pool):
        taints |= half.taints
        taints |= declared.spot_taints if half.spot else {}
        taints |= declared.accelerator_taints if half.machine.accelerator is not None else {}
    return [
        core.v1.TolerationArgs(key=key, operator="Equal", value=value, effect="NoSchedule")
        for key, value in taints.items()
    ]


def affinity(begun: Program, pool: str) -> core.v1.AffinityArgs | None:
    """Return a wish for spot nodes where the pool has any: on-demand nodes are the fallback; else None."""
    if not any(half.spot for half in halves(begun, pool)):
        return None
    spot = core.v1.NodeSelectorRequirementArgs(key=naming.SPOT_LABEL, operator="In", values=["true"])
    return core.v1.AffinityArgs(
        node_affinity=core.v1.NodeAffinityArgs(
            preferred_during_scheduling_ignored_during_execution=[
                core.v1.PreferredSchedulingTermArgs(
                    weight=100, preference=core.v1.NodeSelectorTermArgs(match_expressions=[spot])
                )
            ]
        )
    )
