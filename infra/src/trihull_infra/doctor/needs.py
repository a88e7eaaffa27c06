"""What an environment needs of a cloud at most: pure, from the environment alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_infra.pools import every_share


@dataclass(frozen=True)
class NodesNeed:
    """One half of a pool at its largest; `types` as the cloud calls them, the preferred one first."""

    pool: str
    types: tuple[str, ...]
    spot: bool
    nodes: int
    vcpus: int
    accelerators: int
    accelerator_type: str | None

    @property
    def vcpus_all(self) -> int:
        """Return the vCPUs of all its nodes."""
        return self.nodes * self.vcpus

    @property
    def accelerators_all(self) -> int:
        """Return the accelerators of all its nodes."""
        return self.nodes * self.accelerators


def nodes(environment: Environment, cloud: Cloud) -> Sequence[NodesNeed]:
    """Return every half of every pool; a replaced or upgraded node's successor, for a while one more, is not in it."""
    found = []
    for share in every_share(environment.pools):
        machine = share.machine
        actual = machine.actual.get(cloud)
        if actual is None:
            continue
        found.append(
            NodesNeed(
                pool=share.name,
                types=machine.types[cloud],
                spot=share.spot,
                nodes=share.nodes_max,
                vcpus=actual.vcpus,
                accelerators=actual.accelerators,
                accelerator_type=machine.accelerator_types.get(cloud),
            )
        )
    return found


def gateways(environment: Environment, cloud: Cloud) -> int:
    """Return how many NAT gateways, each with an address, the network has on a cloud that has them by zone."""
    return len(environment.site(cloud).zone_names) if environment.protect else 1
