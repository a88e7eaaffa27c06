"""What is recorded of a drill: a sample per request, the callers' moves, and when the fault began and ended."""

import enum
from dataclasses import dataclass


class Outcome(enum.StrEnum):
    """What a caller got: the right answer, none (or none that counts), or a wrong one."""

    RIGHT = "right"
    LOST = "lost"
    WRONG = "wrong"


class Loss(enum.StrEnum):
    """What a drill takes away from a site: all of it, or its router alone, while its serving goes on."""

    SITE = "site"
    ROUTER = "router"


@dataclass(frozen=True)
class Sample:
    """One request. Times are seconds from the drill's first request.

    `latency_s` counts from the *scheduled* time, so that a request that waited because others were slow shows it; for a
    lost request it is when the loss was known. `site` and `attempts` are the router's word, None when it gave none.
    `router` is the one that the request was handed to, and `sent_s` when; None when no router took a connection.
    `release` is the digest that the answer names.
    """

    scheduled_s: float
    latency_s: float
    outcome: Outcome
    site: str | None = None
    attempts: int | None = None
    reason: str = ""
    router: str | None = None
    sent_s: float | None = None
    release: str | None = None

    @property
    def completed_s(self) -> float:
        """When the caller had its answer."""
        return self.scheduled_s + self.latency_s


@dataclass(frozen=True)
class OutageTimes:
    """When the fault was asked for, when it was in force, when healing was asked for, and when that was done."""

    asked_s: float
    broken_s: float
    healing_s: float
    healed_s: float


@dataclass(frozen=True)
class Move:
    """When new requests began to go to another router, and to which."""

    at_s: float
    router: str
