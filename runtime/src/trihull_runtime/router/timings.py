"""How long the router waits for what: one value per purpose, in two sets."""

from dataclasses import dataclass

from trihull_runtime.errors import UsageError


@dataclass(frozen=True)
class Timings:
    """All durations in seconds.

    `health_*`: active checks (`edge` is the pace while a site's state is changing); `connect_s`: TCP and TLS to a site;
    `per_try_s`: the longest that one attempt of an idempotent request may take, above the 99.9th percentile of a calm
    answer; `per_try_min_s`: the shortest limit that is set when sites are observed to be faster; `request_s`: all
    attempts together; `unsafe_s`: a request that must not be repeated; `stream_idle_s`: silence within a streamed
    answer; `upstream_idle_s`: an unused connection to a site, below what servers and load balancers wait, so that they
    never close one under a request; `ejection_*`: a site that keeps failing; `drain_s`: the router's own farewell;
    `resolve_s`: how often names of sites are looked up; `probe_s`: how often each site is asked for a known answer;
    `ramp_step_s`: between the steps in which a site that comes back gets its share; `damping_half_life_s`: how fast a
    site's flapping is forgotten; `busy_max_s`: the longest Retry-After of a site that is believed.
    """

    health_interval_s: float = 2.0
    health_timeout_s: float = 1.0
    health_edge_s: float = 0.5
    connect_s: float = 1.0
    per_try_s: float = 4.0
    per_try_min_s: float = 1.0
    request_s: float = 15.0
    unsafe_s: float = 60.0
    stream_idle_s: float = 15.0
    upstream_idle_s: float = 60.0
    ejection_interval_s: float = 1.0
    ejection_base_s: float = 5.0
    ejection_max_s: float = 60.0
    drain_s: float = 10.0
    resolve_s: float = 10.0
    probe_s: float = 5.0
    ramp_step_s: float = 5.0
    damping_half_life_s: float = 60.0
    busy_max_s: float = 60.0


WAN = Timings()  # across clouds: the proposal of Envoy's measured shape, not load-tested over a real WAN
LAB = Timings(
    health_interval_s=0.5,
    health_timeout_s=0.4,
    health_edge_s=0.25,
    connect_s=0.25,
    per_try_s=1.0,
    per_try_min_s=0.5,
    request_s=8.0,
    ejection_interval_s=0.5,
    ejection_base_s=2.0,
    ejection_max_s=10.0,
    drain_s=1.0,
    resolve_s=2.0,
    stream_idle_s=3.0,
    probe_s=0.5,
    ramp_step_s=0.5,
    damping_half_life_s=8.0,
    busy_max_s=10.0,
)
SETS = {"wan": WAN, "lab": LAB}


def load(name: str) -> Timings:
    """Return the set of that name; raises UsageError for another."""
    if name not in SETS:
        raise UsageError(f"timings {name!r} are unknown; choose one of {', '.join(SETS)}")
    return SETS[name]
