"""What the fleet says about traffic: who may answer whom, in which order, and how sites are known to answer rightly."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from trihull_runtime.contract.codec import NAME, Digest, Name, Pattern, Range
from trihull_runtime.contract.errors import ContractError
from trihull_runtime.contract.manifest import DataType

HOSTNAME = r"(\*\.)?[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?)*"
HEADER = r"[a-z0-9]([a-z0-9\-]{0,62}[a-z0-9])?"


class Policy(enum.StrEnum):
    """How a router orders the healthy sites that may answer.

    `local-first` puts the router's own site before all others and then goes by priority; `priority` goes by priority
    alone; `weighted` splits over all sites by weight; `fastest` goes by observed latency.
    """

    LOCAL_FIRST = "local-first"
    PRIORITY = "priority"
    WEIGHTED = "weighted"
    FASTEST = "fastest"


@dataclass(frozen=True)
class ResidencyClass:
    """Requests of this class are answered by sites of these residencies and by no other, whatever happens.

    `hosts` are names (`*.example.org` too) under which clients reach the router: their requests are of this class.
    """

    residencies: tuple[Name, ...]
    hosts: tuple[Annotated[str, Pattern(HOSTNAME)], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a class that nobody could ever serve."""
        if not self.residencies:
            raise ContractError("ResidencyClass", "residencies", "is empty: no site could ever answer")


@dataclass(frozen=True)
class Canary:
    """Sites that try a new release: they get `percent` of the requests, and those whose `header` says `always`.

    `never` in that header keeps a request away from them. When none of them is healthy, the other sites answer.
    """

    sites: tuple[Name, ...]
    percent: Annotated[int, Range(minimum=0, maximum=100)]
    header: Annotated[str, Pattern(HEADER)] = "x-trihull-canary"


@dataclass(frozen=True)
class Shadow:
    """A site that gets a copy of `percent` of the requests; its answers are compared and counted, never passed on."""

    site: Name
    percent: Annotated[int, Range(minimum=0, maximum=100)]


@dataclass(frozen=True)
class KnownTensor:
    """A tensor of the Open Inference Protocol V2, flattened in row-major order: `numbers`, or `texts` for BYTES."""

    name: str
    datatype: DataType
    shape: tuple[Annotated[int, Range(minimum=0)], ...]
    numbers: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownAnswer:
    """A request, and the answer that a release must give to it: numbers within `tolerance`, texts exactly.

    Routers ask every site, and a site that answers otherwise gets no requests.
    """

    release_digest: Digest
    inputs: tuple[KnownTensor, ...]
    outputs: tuple[KnownTensor, ...]
    tolerance: Annotated[float, Range(minimum=0)] = 1e-4

    def __post_init__(self) -> None:
        """Refuse an answer that says nothing."""
        for side in ("inputs", "outputs"):
            if not getattr(self, side):
                raise ContractError("KnownAnswer", side, "is empty")


@dataclass(frozen=True)
class Routing:
    """The rules of a fleet. Empty, every site of the fleet may answer every request.

    Fields:
        policy: None leaves it to each router's own setting.
        any_model: route every model name and accept any release: for servers that name none.
        classes: residency classes by name. Where there are any, a request without one (by its client's key or token,
            or by the host it is for) is of the `default_class`, and refused without that.
        canaries, shadows, known_answers: by model.
        repeatable: paths below a model (`/explain`) whose POSTs may be sent a second time as infer requests are.
        hedge_after_s: send an idempotent request to a second site when the first has not answered after this time; the
            first answer wins. It doubles work at sites that are merely slow. None: never.
        max_in_flight: requests of a model that may wait for its sites at once; more are shed with 503 and Retry-After.
    """

    policy: Policy | None = None
    any_model: bool = False
    classes: Mapping[Name, ResidencyClass] = field(default_factory=dict)
    default_class: Name | None = None
    canaries: Mapping[Name, Canary] = field(default_factory=dict)
    shadows: Mapping[Name, Shadow] = field(default_factory=dict)
    known_answers: Mapping[Name, tuple[KnownAnswer, ...]] = field(default_factory=dict)
    repeatable: tuple[Annotated[str, Pattern(r"(/[A-Za-z0-9_\-]+)+")], ...] = ()
    hedge_after_s: Annotated[float, Range(minimum=0.001, maximum=60)] | None = None
    max_in_flight: Annotated[int, Range(minimum=1, maximum=1_000_000)] = 4096

    def __post_init__(self) -> None:
        """Refuse a default class that does not exist, a host of two classes, and class names Envoy could confuse."""
        if self.default_class is not None and self.default_class not in self.classes:
            raise ContractError("Routing", "default_class", f"is {self.default_class!r}, which `classes` does not hold")
        seen: dict[str, str] = {}
        for name, each in self.classes.items():
            check_name("Routing", f"classes.{name}", name)
            for host in each.hosts:
                if host in seen:
                    problem = f"names {host!r}, which is of class {seen[host]!r} already"
                    raise ContractError("Routing", f"classes.{name}.hosts", problem)
                seen[host] = name


def check_name(document: str, path: str, name: str) -> None:
    """Refuse a key that is not an RFC 1123 label; raises ContractError: keys have no type of their own."""
    if re.fullmatch(NAME, name) is None:
        raise ContractError(document, path, f"is not a name ({NAME})")
