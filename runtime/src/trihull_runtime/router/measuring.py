"""What Envoy counts of every attempt at a site, as rates and tail latencies of the last while."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trihull_runtime.router.envoy.listeners import ATTEMPTS

TAIL = 0.999
ENOUGH = 200  # answers in a while, below which no tail is told
TIMED_PER_S = 1000  # attempts, about, above which only a share of them is timed
COUNTERS = rf"^({ATTEMPTS}\.|http\.ingress\.downstream_rq_completed$)"
_DURATION = re.compile(rf"{ATTEMPTS}\.duration\.site\.(?P<site>.+)$")


@dataclass(frozen=True)
class Sample:
    """Envoy's counters at one time: requests so far, and per site the answers up to each bound (ms -> count)."""

    at: float
    requests: int
    durations: Mapping[str, Mapping[float, int]] = field(default_factory=dict)


def sample_of(page: Mapping[str, Any], at: float) -> Sample:
    """Read Envoy's `/stats?format=json&histogram_buckets=cumulative`."""
    requests = 0
    durations: dict[str, dict[float, int]] = {}
    for entry in page.get("stats", []):
        if entry.get("name") == "http.ingress.downstream_rq_completed":
            requests = int(entry["value"])
        for histogram in entry.get("histograms", []):
            found = _DURATION.match(histogram["name"])
            if found is not None:
                durations[found["site"]] = {
                    float(bucket["upper_bound"]): int(bucket["cumulative"]) for bucket in histogram["buckets"]
                }
    return Sample(at, requests, durations)


def rate_per_s(before: Sample, now: Sample) -> float:
    """Return requests per second between two samples; 0 when Envoy was started anew in between."""
    took_s = now.at - before.at
    return max(0, now.requests - before.requests) / took_s if took_s > 0 else 0.0


def timed_percent(rate_per_s: float) -> int:
    """Return the share of attempts to time, in percent: a thousand a second tell the tail as well as all of them."""
    return 100 if rate_per_s <= TIMED_PER_S else max(1, round(100 * TIMED_PER_S / rate_per_s))


def tails_s(before: Sample, now: Sample) -> dict[str, float]:
    """Return per site the bound, in seconds, within which all but one of a thousand answers came between two samples.

    What counts are the answers that were timed. A site with fewer than `ENOUGH` of them is left out: a tail of few says
    nothing.
    """
    tails: dict[str, float] = {}
    for site, buckets in now.durations.items():
        earlier = before.durations.get(site, {})
        counts = {bound: count - earlier.get(bound, 0) for bound, count in sorted(buckets.items())}
        total = max(counts.values(), default=0)
        if total < ENOUGH:
            continue
        tails[site] = next(bound for bound, count in counts.items() if count >= TAIL * total) / 1000
    return tails
