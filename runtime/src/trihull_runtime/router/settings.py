"""What the router is told at its start: options of `trihull route`, or the environment of its container."""

import enum
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trihull_runtime.contract import Policy
from trihull_runtime.errors import UsageError
from trihull_runtime.router.envoy import AccessLog
from trihull_runtime.router.timings import WAN, Timings, load

Choice = TypeVar("Choice", bound=enum.StrEnum)


@dataclass(frozen=True)
class Settings:
    """Paths are absolute. `own_group`: see `process.EnvoyProcess`.

    `tls` holds what is shown to sites, `ingress_tls` what is shown to clients (None: they come in without TLS);
    `clients` names who may send requests (None: everybody); `admin_token` is a file with what the admin API asks for,
    which it must have on any other address than loopback; `metrics_port` serves `/metrics` and `/healthz` alone, to
    everybody who reaches it (None: they are at the admin API only).
    """

    fleet: Path
    state: Path
    site: str | None = None
    policy: Policy = Policy.LOCAL_FIRST
    host: str = "0.0.0.0"  # noqa: S104  # an ingress is there to be reached; the command line's default is loopback
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8083
    tls: Path | None = None
    ingress_tls: Path | None = None
    clients: Path | None = None
    admin_token: Path | None = None
    metrics_port: int | None = None
    timings: Timings = WAN
    access_log: AccessLog = AccessLog.TROUBLE
    own_group: bool = False

    def __post_init__(self) -> None:
        """Refuse a host name where Envoy needs an address; raises UsageError."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError as error:
            raise UsageError(f"the host {self.host!r} is not an IP address; 127.0.0.1 is this machine alone") from error
        if self.admin_token is None and not _is_loopback(self.admin_host):
            raise UsageError(
                f"the admin API at {self.admin_host} can be reached from outside, and would take orders from anybody: "
                "give it a token (--admin-token FILE), or keep it at 127.0.0.1"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a container.

    Raises:
        UsageError: a variable is missing or is not what it should be.
    """
    missing = [name for name in ("TRIHULL_FLEET", "TRIHULL_STATE") if not environment.get(name)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be set: the fleet document, and a folder the router may write")
    return Settings(
        fleet=Path(environment["TRIHULL_FLEET"]).absolute(),
        state=Path(environment["TRIHULL_STATE"]).absolute(),
        site=environment.get("TRIHULL_SITE") or None,
        policy=choice(Policy, environment.get("TRIHULL_POLICY") or Policy.LOCAL_FIRST, "TRIHULL_POLICY"),
        host=environment.get("TRIHULL_HOST") or "0.0.0.0",  # noqa: S104  # as above
        port=_port(environment, "TRIHULL_PORT_INGRESS", 8080),
        admin_host=environment.get("TRIHULL_ADMIN_HOST") or "127.0.0.1",
        admin_port=_port(environment, "TRIHULL_PORT_ADMIN", 8083),
        tls=_path(environment, "TRIHULL_TLS"),
        ingress_tls=_path(environment, "TRIHULL_INGRESS_TLS"),
        clients=_path(environment, "TRIHULL_CLIENTS"),
        admin_token=_path(environment, "TRIHULL_ADMIN_TOKEN"),
        metrics_port=_port(environment, "TRIHULL_PORT_METRICS", 0) if environment.get("TRIHULL_PORT_METRICS") else None,
        timings=load(environment.get("TRIHULL_TIMINGS") or "wan"),
        access_log=choice(AccessLog, environment.get("TRIHULL_ACCESS_LOG") or AccessLog.TROUBLE, "TRIHULL_ACCESS_LOG"),
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]).absolute() if environment.get(name) else None


def choice(kind: type[Choice], value: str, name: str) -> Choice:
    """Return the member of an enum by its value; raises UsageError that names what was expected."""
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(f"{name} is {value!r}; expected one of {', '.join(kind)}") from error


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise UsageError(f"{name} is {value!r}; expected a port from 1 to 65535")
    return int(value)
