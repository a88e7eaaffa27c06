"""What is recorded of a drill: one sample per request, and when the site was broken and healed."""

import enum
from dataclasses import dataclass


class Outcome(enum.StrEnum):
    """What a caller got: the right answer, none (or none that counts), or a wrong one."""

    RIGHT = "right"
    LOST = "lost"
    WRONG = "wrong"


@dataclass(frozen=True)
class Sample:
    """One request. Times are seconds from the drill's first request.

    `latency_s` counts from the *scheduled* time, so that a request that waited because others were slow shows it; for a
    lost request it is when the loss was known. `site` and `attempts` are the router's word, None when it gave none.
    """

    scheduled_s: float
    latency_s: float
    outcome: Outcome
    site: str | None = None
    attempts: int | None = None
    reason: str = ""

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
