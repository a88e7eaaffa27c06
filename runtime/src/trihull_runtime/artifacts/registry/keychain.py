"""Who a registry's client says it is: looked up by host, when a registry asks for it and not before."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """A name and a secret for one registry; `origin` says where they came from. The secret is never shown."""

    username: str
    password: str = field(repr=False)
    origin: str


Keychain = Callable[[str], Credentials | None]  # host, with its port -> what to say there, None for anonymous


def anonymous(host: str) -> Credentials | None:
    """Know nobody."""
    return None


@dataclass(frozen=True)
class Exchanged:
    """What a cloud gave for the identity that this process has there; it holds `until` (seconds since the epoch)."""

    credentials: Credentials
    until: float
