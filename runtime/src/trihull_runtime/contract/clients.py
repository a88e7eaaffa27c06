"""Who may send requests: `clients.json`. It holds keys, so it is a secret; the fleet never carries any of it."""

from dataclasses import dataclass
from typing import Annotated

from trihull_runtime.contract.codec import Document, Name, Pattern, Range
from trihull_runtime.contract.errors import ContractError

KEY = r"[\x21-\x7e]{20,512}"  # printable ASCII: it travels in a header


@dataclass(frozen=True)
class Client:
    """One client: its API keys (two while one replaces the other), its residency class, its limit per router.

    `burst` is how many requests may come at once; None means one second's worth.
    """

    name: Name
    keys: tuple[Annotated[str, Pattern(KEY, secret=True)], ...]
    residency_class: Name | None = None
    rate_per_s: Annotated[float, Range(minimum=0.1, maximum=1_000_000)] | None = None
    burst: Annotated[int, Range(minimum=1, maximum=1_000_000)] | None = None

    def __repr__(self) -> str:
        """Return a text without keys."""
        return f"Client(name={self.name!r}, keys=<{len(self.keys)} hidden>, residency_class={self.residency_class!r})"


@dataclass(frozen=True)
class Issuer:
    """Who issues JSON Web Tokens that are accepted.

    `jwks` is the issuer's JSON Web Key Set as text; `client_claim` names the client, `class_claim` its residency class
    (None: tokens carry none). Tokens without an expiry are refused.
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks: str
    client_claim: Annotated[str, Pattern(r"[A-Za-z0-9_\-.]{1,64}")] = "sub"
    class_claim: Annotated[str, Pattern(r"[A-Za-z0-9_\-.]{1,64}")] | None = None

    def __post_init__(self) -> None:
        """Refuse an issuer whose tokens would be good for any audience."""
        if not self.audiences:
            raise ContractError("Issuer", "audiences", "is empty: tokens made for others would be accepted")


@dataclass(frozen=True)
class Clients(Document):
    """Every client that may send requests; `issuers` admit more by token."""

    version: int
    clients: tuple[Client, ...] = ()
    issuers: tuple[Issuer, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two clients of one name or with one key; no message ever holds a key."""
        names = [client.name for client in self.clients]
        for name in names:
            if names.count(name) > 1:
                raise ContractError("Clients", "clients", f"names {name!r} twice")
        seen: dict[str, str] = {}
        for client in self.clients:
            for key in client.keys:
                if key in seen:
                    raise ContractError("Clients", "clients", f"{seen[key]!r} and {client.name!r} share a key")
                seen[key] = client.name
        issuers = [issuer.issuer for issuer in self.issuers]
        for issuer in issuers:
            if issuers.count(issuer) > 1:
                raise ContractError("Clients", "issuers", f"names {issuer!r} twice")
        if not self.clients and not self.issuers:
            raise ContractError("Clients", "clients", "is empty: nobody could send a request")
