"""The section `routing` of an environment: how its routers choose, how many there are, and who may use them.

What routers need beyond it (canaries, shadows, a drained site) is said in the fleet while things run, not here.
"""

import enum
from collections.abc import Mapping
from typing import Annotated, Final

import pydantic
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from trihull_runtime.contract import Policy, ResidencyClass, Routing
from trihull_runtime.contract.codec import NAME
from trihull_runtime.contract.routing import HOSTNAME

SECRET_NAME: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"  # RFC 1123 subdomain  # noqa: S105 - a pattern
_Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
_Host = Annotated[str, Field(pattern=rf"^{HOSTNAME}$")]


class Timings(enum.StrEnum):
    """Which set of intervals and time limits the routers use: between clouds, or on one machine."""

    WAN = "wan"
    LAB = "lab"


class _Spec(pydantic.BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ClassSpec(_Spec):
    """A residency class: its requests are answered inside these residencies, and nowhere else."""

    residencies: tuple[_Name, ...] = Field(min_length=1, description="residencies of this environment's clouds")
    hosts: tuple[_Host, ...] = Field((), description="host names whose requests are of this class")


class RoutingSpec(_Spec):
    """The routers of every site."""

    policy: Policy = Field(description=f"one of {', '.join(Policy)}")
    replicas: int = Field(ge=1, le=100, description="a whole number, at least 1")
    replicas_max: int | None = Field(
        None, ge=1, le=100, description="a whole number, at least replicas: up to how many an autoscaler may add"
    )
    timings: Timings = Field(description="wan (between clouds) or lab (one machine)")
    classes: Mapping[_Name, ClassSpec] = Field(
        default_factory=dict, description="residency classes by name; without any, every site may answer everything"
    )
    default_class: str | None = Field(None, description="one of classes: of requests that have none of their own")
    hedge_after_s: float | None = Field(
        None, ge=0.001, le=60, strict=False, description="seconds after which a second site is asked too"
    )
    max_in_flight: int = Field(
        4096, ge=1, le=1_000_000, description="a whole number: requests of a model at once; more are shed"
    )
    clients_secret: str | None = Field(
        None, pattern=SECRET_NAME, description="a Secret of namespace trihull with clients.json: who may send requests"
    )
    tls_secret: str | None = Field(
        None,
        pattern=SECRET_NAME,
        description="a Secret of namespace trihull with tls.crt and tls.key: what clients see",
    )

    @field_validator("replicas_max")
    @classmethod
    def _not_below_replicas(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < info.data.get("replicas", 1):
            raise ValueError(f"expected at least replicas, {info.data['replicas']}")
        return value

    @field_validator("default_class")
    @classmethod
    def _known_class(cls, value: str | None, info: ValidationInfo) -> str | None:
        classes = info.data.get("classes", {})
        if value is not None and value not in classes:
            raise ValueError(f"expected one of classes: {', '.join(classes) or 'there are none'}")
        return value

    @property
    def most(self) -> int:
        """Return the largest number of routers on a site; `replicas` when nothing scales them."""
        return self.replicas if self.replicas_max is None else self.replicas_max

    @property
    def scheme(self) -> str:
        """Return how clients speak to the routers."""
        return "http" if self.tls_secret is None else "https"

    def rules(self) -> Routing:
        """Return what of this stands in the fleet."""
        return Routing(
            classes={name: ResidencyClass(each.residencies, each.hosts) for name, each in sorted(self.classes.items())},
            default_class=self.default_class,
            hedge_after_s=self.hedge_after_s,
            max_in_flight=self.max_in_flight,
        )
