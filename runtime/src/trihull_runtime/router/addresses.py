"""Names of sites to IP addresses: Envoy's endpoints hold addresses, so that a dead name server changes nothing."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Mapping

from trihull_runtime.contract import Fleet

LIMIT_S = 3.0


def hosts(fleet: Fleet) -> tuple[str, ...]:
    """Return every host of the fleet's endpoints once."""
    return tuple(sorted({site.endpoint.host for site in fleet.sites if site.endpoint is not None}))


async def resolve(names: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Look up all names at once.

    A name that cannot be looked up keeps its known addresses; one that never could is left out. IPv4 addresses are
    preferred where a name has both.
    """
    wanted = list(names)
    found = await asyncio.gather(*(_one(name) for name in wanted))
    answers = ((name, addresses or known.get(name, ())) for name, addresses in zip(wanted, found, strict=True))
    return {name: addresses for name, addresses in answers if addresses}


async def _one(name: str) -> tuple[str, ...]:
    try:
        return (str(ipaddress.ip_address(name)),)
    except ValueError:
        pass
    lookup = asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    try:
        answers = await asyncio.wait_for(lookup, LIMIT_S)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    for family in (socket.AF_INET, socket.AF_INET6):
        if addresses := sorted({str(answer[4][0]) for answer in answers if answer[0] == family}):
            return tuple(addresses)
    return ()
