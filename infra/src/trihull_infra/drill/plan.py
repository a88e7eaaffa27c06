"""What a drill is to do: how many requests, how long calm, broken and calm again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Durations in seconds from the first request; `rate_per_s` requests at fixed times whatever the answers do.

    A request without an answer after `timeout_s` counts as lost.
    """

    rate_per_s: float = 100.0
    before_s: float = 5.0
    outage_s: float = 10.0
    after_s: float = 15.0
    timeout_s: float = 10.0

    @property
    def total_s(self) -> float:
        """Length of the load."""
        return self.before_s + self.outage_s + self.after_s

    @property
    def requests(self) -> int:
        """How many requests are sent."""
        return int(self.rate_per_s * self.total_s)

    def scheduled_s(self, index: int) -> float:
        """When request `index` is due."""
        return index / self.rate_per_s
