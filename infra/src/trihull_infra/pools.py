"""A pool as clouds register it: an on-demand and a spot half, since no cloud mixes both in one."""

from collections.abc import Mapping
from dataclasses import dataclass

from trihull_infra import naming
from trihull_infra.machines import Machine
from trihull_infra.spec.pools import PoolSpec, PoolsSpec, SystemPoolSpec


@dataclass(frozen=True)
class PoolShare:
    """One half of a pool; node counts are over all zones, labels and taints (all NoSchedule) are the same anywhere."""

    pool: str
    name: str
    machine: Machine
    spot: bool
    nodes_min: int
    nodes_max: int

    @property
    def labels(self) -> dict[str, str]:
        """Return the nodes' labels."""
        spot = {naming.SPOT_LABEL: "true"} if self.spot else {}
        return {naming.POOL_LABEL: self.pool, **spot, **self._accelerator}

    @property
    def taints(self) -> Mapping[str, str]:
        """Return the nodes' taints that are ours on every cloud, key to value."""
        spot = {naming.SPOT_LABEL: "true"} if self.spot else {}
        return {**spot, **self._accelerator}

    @property
    def _accelerator(self) -> dict[str, str]:
        accelerator = self.machine.accelerator
        return {} if accelerator is None else {naming.ACCELERATOR_LABEL: accelerator.class_name}


def shares(name: str, pool: SystemPoolSpec) -> tuple[PoolShare, ...]:
    """Cut a pool into its on-demand and its spot part.

    The minimum of spot nodes is rounded down (a guarantee should stand on machines that stay), the maximum to the
    nearest. Minima add up to the pool's. Without fallback maxima add up to the pool's as well; with it the on-demand
    part alone may grow to the whole, so that lost spot nodes are replaced one by one.
    """

    def share(spot: bool, nodes_min: int, nodes_max: int) -> PoolShare:
        return PoolShare(name, naming.pool(name, spot=spot), pool.resolved, spot, nodes_min, nodes_max)

    if not isinstance(pool, PoolSpec) or pool.spot_share == 0:
        return (share(False, pool.nodes_min, pool.nodes_max),)
    spot_min = int(pool.nodes_min * pool.spot_share)
    spot_max = min(max(round(pool.nodes_max * pool.spot_share), spot_min, 1), pool.nodes_max)
    steady_min, steady_max = pool.nodes_min - spot_min, pool.nodes_max - spot_max
    if steady_max < steady_min:
        steady_max, spot_max = steady_min, pool.nodes_max - steady_min
    if pool.on_demand_fallback:
        steady_max = pool.nodes_max
    parts = (share(False, steady_min, steady_max), share(True, spot_min, spot_max))
    return tuple(part for part in parts if part.nodes_max > 0)


def every_share(pools: PoolsSpec) -> tuple[PoolShare, ...]:
    """Return the halves of every pool: system, serving, accelerator."""
    return tuple(part for name, pool in pools.all.items() for part in shares(name, pool))
