"""What all parts of an environment file are made of: strict models, and the values that several of them share."""

import decimal
import ipaddress
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

import pydantic
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo

TAG_NAME: Final = r"^[a-z][a-z0-9_-]{0,62}$"  # Google Cloud's rule for labels, the narrowest of the three
TAG_VALUE: Final = r"^[a-z0-9_-]{0,63}$"
# A network as wide as an eighth of all addresses belongs to nobody. 2000::/3 is all of IPv6's internet (IANA, "IPv6
# Global Unicast Address Assignments"), 0.0.0.0/1 with 128.0.0.0/1 is IPv4's.
EVERYBODY_PREFIX_MAX: Final = 3


class Spec(pydantic.BaseModel):
    """A part of an environment file: nothing is converted, nothing unknown is taken, nothing can be changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _network(value: str) -> str:
    """Return the network in the one spelling that every cloud takes: `203.0.113.7` is 203.0.113.7/32."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"expected a network such as 203.0.113.7/32: {error}") from error


def everybody(networks: Iterable[str]) -> str | None:
    """Return the network that lets everybody in, None when there is none.

    Networks count together: 0.0.0.0/1 and 128.0.0.0/1 are 0.0.0.0/0.
    """
    parsed = [ipaddress.ip_network(network) for network in networks]
    joined: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = (
        *ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv6Network)),
    )
    return next((str(one) for one in joined if one.prefixlen <= EVERYBODY_PREFIX_MAX), None)


def _cpu(value: object) -> object:
    """Return CPUs as Kubernetes writes them: whole, or in millicores; a number is as good as a text."""
    number = repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(number, str) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", number, re.ASCII):
        return number
    cores = decimal.Decimal(number)
    return f"{cores:.0f}" if cores == int(cores) else f"{cores * 1000:.0f}m"


Network = Annotated[str, AfterValidator(_network)]
Cpu = Annotated[str, BeforeValidator(_cpu, json_schema_input_type=str | float)]
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
