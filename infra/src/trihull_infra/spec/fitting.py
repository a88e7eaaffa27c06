"""Whether a replica has room on a node of its pool, on every cloud: one that has not is never scheduled."""

from collections.abc import Sequence

from trihull_infra import allocatable
from trihull_infra.cloud import Cloud
from trihull_infra.spec.pools import PoolSpec
from trihull_infra.spec.settings import ServingSpec


def problems(serving: ServingSpec, pool: PoolSpec, clouds: Sequence[Cloud]) -> dict[tuple[str, ...], str]:
    """Return what each replica asks for and no node of its pool has: keys of the environment -> what to say.

    Args:
        serving: what the replicas ask for.
        pool: the pool that they run on.
        clouds: those on which its machines are ours to choose.
    """
    found: dict[tuple[str, ...], str] = {}
    machine, name = pool.resolved, serving.pool
    nodes = {cloud: allocatable.of(cloud, machine.actual[cloud]) for cloud in clouds if cloud in machine.actual}
    cpu, memory = allocatable.millicores(serving.cpu), allocatable.mebibytes(serving.memory)

    def say(key: str, most: str, least_on: Cloud, whole: str, written: object) -> None:
        found["serving", key] = (
            f"expected at most {most}, which is what a node of pool {name} has for pods on {least_on} (machine "
            f"{machine.name} with {whole}, less what the node keeps: data/reserves.toml), found {written}; a larger "
            f"one would wait for ever: ask for less, or for a larger machine in pools.{name}"
        )

    if nodes:
        on = min(nodes, key=lambda cloud: nodes[cloud].cpu_millicores)
        if cpu > (most := nodes[on].cpu_millicores):
            say("cpu", f"{most}m", on, f"{machine.actual[on].vcpus} vCPUs", serving.cpu)
        on = min(nodes, key=lambda cloud: nodes[cloud].memory_mib)
        if memory > (most := nodes[on].memory_mib):
            say("memory", f"{most}Mi", on, f"{machine.actual[on].memory_gib:g} GiB", serving.memory)
        on = min(nodes, key=lambda cloud: nodes[cloud].accelerators)
        if serving.accelerators > (most := nodes[on].accelerators):
            say("accelerators", f"{most}", on, f"{most} accelerators", serving.accelerators)
    return found
