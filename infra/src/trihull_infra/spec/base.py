"""What all parts of an environment file are made of: strict models, and the values that several of them share."""

import ipaddress
from typing import Annotated, Any, Final

import pydantic
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo

TAG_NAME: Final = r"^[a-z][a-z0-9_-]{0,62}$"  # Google Cloud's rule for labels, the narrowest of the three
TAG_VALUE: Final = r"^[a-z0-9_-]{0,63}$"
EVERYBODY: Final = ("0.0.0.0/0", "::/0")


class Spec(pydantic.BaseModel):
    """A part of an environment file: nothing is converted, nothing unknown is taken, nothing can be changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"expected a network such as 203.0.113.7/32: {error}") from error
    return value


Network = Annotated[str, AfterValidator(_network)]
Tags = dict[Annotated[str, Field(pattern=TAG_NAME)], Annotated[str, Field(pattern=TAG_VALUE)]]
# What the escape hatch holds: a resource's type token or logical name -> the engine's names of arguments -> values.
Overrides = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:/._-]*$")], dict[str, Any]]


def at_least(key: str, value: int, info: ValidationInfo) -> int:
    """Return `value`; raises ValueError when it is below what the file says of `key`."""
    if value < info.data.get(key, 0):
        raise ValueError(f"expected at least {key}, {info.data[key]}")
    return value


def different(what: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return `values`; raises ValueError when one stands twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"expected different {what}")
    return values
