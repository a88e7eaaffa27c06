"""What is known of the sites' health and load when a plan is made: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

HYSTERESIS = 0.2  # a measured value counts as changed when it left what is held by more than this share


@dataclass(frozen=True)
class SiteHealth:
    """One site's health.

    Fields:
        up: it answers its checks and its requests.
        limit_percent: the most that it may get of all requests: less than 100 while it comes back from an outage.
        suppressed: it changed so often that it is asked after all others (flap damping).
        wrong, stale: models for which it answers wrongly, or by a release that is not accepted; to the reason.
        reason: why it is not as it should be, for people.
        models: what is known beyond that of single models.
    """

    up: bool = True
    limit_percent: int = 100
    suppressed: bool = False
    wrong: Mapping[str, str] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    models: Mapping[str, "SiteHealth"] = field(default_factory=dict)

    def of(self, model: str) -> "SiteHealth":
        """Return the health for one model: the worse of the site's own and the model's there."""
        own = self.models.get(model)
        if own is None:
            return self
        return replace(
            self,
            up=self.up and own.up,
            limit_percent=min(self.limit_percent, own.limit_percent),
            suppressed=self.suppressed or own.suppressed,
            reason=self.reason or own.reason,
        )


WELL = SiteHealth()


@dataclass(frozen=True)
class Load:
    """What was measured.

    Fields: `latency_s` is how long each site needs for a small request, `tail_s` within which time each answers all but
    one of a thousand requests, both in seconds; `rate_per_s` are the requests per second of all models.
    """

    latency_s: Mapping[str, float] = field(default_factory=dict)
    tail_s: Mapping[str, float] = field(default_factory=dict)
    rate_per_s: float = 0.0


def steady(held: Load, measured: Load, window: float = HYSTERESIS) -> Load:
    """Return the load to plan with: each value stays as it is held until the measured one leaves its window."""

    def each(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
        return {site: _steady(before.get(site), value, window) for site, value in sorted(now.items())}

    return Load(
        each(held.latency_s, measured.latency_s),
        each(held.tail_s, measured.tail_s),
        _steady(held.rate_per_s, measured.rate_per_s, window),
    )


def _steady(held: float | None, measured: float, window: float) -> float:
    inside = held is not None and abs(measured - held) <= window * held
    return held if held is not None and inside else measured
