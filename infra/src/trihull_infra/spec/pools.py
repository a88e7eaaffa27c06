"""The node pools of every site, in machine classes; node counts are those of the whole pool, over all zones."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from trihull_infra import naming
from trihull_infra.machines import MACHINES, Machine
from trihull_infra.spec.base import Spec, at_least
from trihull_infra.strict_yaml import suggestion


def _machine(value: str) -> str:
    if value not in MACHINES:
        raise ValueError(f'expected one of {", ".join(MACHINES)}, found "{value}"{suggestion(value, list(MACHINES))}')
    return value


def _plain(value: str) -> str:
    if MACHINES[_machine(value)].accelerator is not None:
        raise ValueError("expected a machine class without an accelerator; those belong in pools.accelerator")
    return value


def _accelerated(value: str) -> str:
    if MACHINES[_machine(value)].accelerator is None:
        having = [name for name, machine in MACHINES.items() if machine.accelerator is not None]
        raise ValueError(f"expected a machine class with an accelerator: {', '.join(having)}")
    return value


class SystemPoolSpec(Spec):
    """Machines for what a cluster runs for itself: DNS, metrics, agents; never models, never spot."""

    machine: Annotated[str, AfterValidator(_plain)] = Field(description="a machine class (data/machines.toml)")
    nodes_min: int = Field(ge=1, le=1000, description="a whole number, at least 1: nodes of the whole pool")
    nodes_max: int = Field(ge=1, le=1000, description="a whole number, at least nodes_min")

    @field_validator("nodes_max")
    @classmethod
    def _not_below_minimum(cls, value: int, info: ValidationInfo) -> int:
        return at_least("nodes_min", value, info)

    @property
    def resolved(self) -> Machine:
        """Return the machine class that `machine` names."""
        return MACHINES[self.machine]


class PoolSpec(SystemPoolSpec):
    """Machines for models and routers; a share of them may be capacity that the cloud takes back."""

    spot_share: float = Field(ge=0, le=1, strict=False, description="a number from 0 (none) to 1 (all)")
    on_demand_fallback: bool = Field(
        default=True,
        description="true or false: whether on-demand nodes take over where spot is not to be had, up to nodes_max",
    )

    @field_validator("spot_share", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool | str):  # lax mode takes "0.5" and true; it is only lax so that 0 is a number too
            raise ValueError("expected a number from 0 (none) to 1 (all)")
        return value


class AcceleratorPoolSpec(PoolSpec):
    """Machines with accelerators; there may be none while nothing asks for one."""

    machine: Annotated[str, AfterValidator(_accelerated)] = Field(description="a machine class with an accelerator")
    nodes_min: int = Field(default=0, ge=0, le=1000, description="a whole number: nodes of the whole pool")


class PoolsSpec(Spec):
    """The node pools of every site."""

    system: SystemPoolSpec = Field(
        default=SystemPoolSpec(machine="small", nodes_min=1, nodes_max=3),
        description="the pool of what the cluster runs for itself",
    )
    serving: PoolSpec = Field(description="the pool that serves models, and where routers run")
    accelerator: AcceleratorPoolSpec | None = Field(
        default=None, description="a pool with accelerators; none when left out"
    )

    @property
    def all(self) -> dict[str, SystemPoolSpec]:
        """Return every pool by its name."""
        return {naming.SYSTEM_POOL: self.system, **self.of_workloads}

    @property
    def of_workloads(self) -> dict[str, PoolSpec]:
        """Return the pools that models may run on, by name."""
        pools: dict[str, PoolSpec] = {naming.POOL: self.serving}
        return pools if self.accelerator is None else {**pools, naming.ACCELERATOR_POOL: self.accelerator}
