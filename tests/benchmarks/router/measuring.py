"""What clients see of an outage: each answer's time from when its request was due, before and after the fault."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.failover.load import Load, Outcome

SETTLING_S: Final = 0.5  # of the calm: connections are opened then


@dataclass(frozen=True)
class Answered:
    """One request: when it was due and when its answer (or error) was there, in seconds of one clock."""

    due: float
    end: float
    lost: bool

    @property
    def took_s(self) -> float:
        """How long the client waited; a load that comes late counts too, so no wait hides another."""
        return self.end - self.due


class TimedLoad(Load):
    """A load that keeps when each answer came."""

    def __init__(self, url: str, rate: float) -> None:
        super().__init__(url, rate=rate)
        self.rate = rate
        self._ends: dict[int, float] = {}

    async def _one(self, number: int) -> None:
        begin = time.monotonic()
        try:
            await super()._one(number)
        except ValueError:  # a proxy's own page of an error
            self.outcomes.append(Outcome(number, begin, problem="the answer is not JSON"))
        self._ends[number] = time.monotonic()

    @property
    def answered(self) -> list[Answered]:
        """Every request, in the order of sending; the schedule begins so that none was sent before it was due."""
        begin = min(each.begin - each.number / self.rate for each in self.outcomes)
        return [
            Answered(begin + each.number / self.rate, self._ends[each.number], bool(each.problem))
            for each in sorted(self.outcomes, key=lambda each: each.number)
        ]

    @property
    def problems(self) -> list[str]:
        """What was wrong with the lost ones, each kind once."""
        return sorted({each.problem for each in self.lost})


@dataclass(frozen=True)
class Outage:
    """What an outage came to.

    Attributes:
        sent: requests that the fault could meet.
        lost: those of them without a right answer.
        worst_s: the longest that one of them took until its answer or error.
        calm_p99_s: the 99th percentile before the fault.
    """

    sent: int
    lost: int
    worst_s: float
    calm_p99_s: float


def outage(answered: Sequence[Answered], fault_at: float) -> Outage:
    """Split what was answered at the moment of the fault; a request in flight then belongs to what follows."""
    first = min(each.due for each in answered)
    calm = [each for each in answered if each.end <= fault_at and each.due >= first + SETTLING_S]
    met = [each for each in answered if each.end > fault_at]
    early = sum(each.lost for each in answered if each.end <= fault_at)
    assert not early, f"{early} requests were lost before anything had happened"
    return Outage(
        len(met),
        sum(each.lost for each in met),
        max(each.took_s for each in met),
        percentile([each.took_s for each in calm], 0.99),
    )


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least so large a part of the values does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def longest_s(fault: str, calm_p99_s: float, connect_s: float, per_try_s: float) -> float:
    """Return how long a request may take at worst: a site that is silent costs a whole try, others a connection."""
    if fault in ("frozen", "blackholed"):
        return calm_p99_s + connect_s + per_try_s
    return 3 * calm_p99_s + connect_s
