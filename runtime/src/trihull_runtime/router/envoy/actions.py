"""What is done with a request: within which times, and what may be sent again to another site."""

from collections.abc import Mapping, Sequence

from trihull_runtime.router.envoy.refusing import stale_release
from trihull_runtime.router.envoy.values import Json, extension, seconds
from trihull_runtime.router.plan import ModelPlan, PlannedSite, TrafficPlan
from trihull_runtime.router.timings import Timings

RETRIABLE_STATUS = [429, 500, 502, 503, 504]
MOST_RETRIES = 4  # with many sites: five tries tell enough, and more would be a storm of their own
TAIL_FACTOR = 4  # a try may take this many times the observed tail latency
SAFE = "connect-failure,refused-stream,reset-before-request"  # the site cannot have begun to work on it
IDEMPOTENT = "connect-failure,refused-stream,reset-before-request,reset,gateway-error,retriable-status-codes"


def to_model(cluster: str, model: ModelPlan, plan: TrafficPlan, timings: Timings) -> Json:
    """A request that may be sent again: one try per site, each within what sites were observed to need."""
    tries = 1 + retries(model.sites)
    hedge = plan.routing.hedge_after_s
    one_s = per_try_s(model, timings) if hedge is None else hedge
    policy: Json = {
        **elsewhere(model.sites),
        "retry_on": f"{IDEMPOTENT},retriable-headers" if model.accepted else IDEMPOTENT,
        "retriable_status_codes": RETRIABLE_STATUS,
        "per_try_timeout": seconds(one_s),
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.100s"},
    }
    if model.accepted:
        policy["retriable_headers"] = [stale_release(model.accepted)]
    timeout_s = max(timings.request_s, timings.per_try_s * tries + 1)  # else the last try is cut short
    found = action(cluster, timeout_s, policy)
    if hedge is not None:
        found["hedge_policy"] = {"hedge_on_per_try_timeout": True}
    return found


def per_try_s(model: ModelPlan, timings: Timings) -> float:
    """Return how long one try may take, in seconds: some times the observed tail, in steps of a quarter second."""
    if model.tail_s is None:
        return timings.per_try_s
    wanted = -(-TAIL_FACTOR * model.tail_s // 0.25) * 0.25
    return min(timings.per_try_s, max(timings.per_try_min_s, wanted))


def to_model_once(cluster: str, model: ModelPlan, timings: Timings) -> Json:
    """Return the action of a request that must not be repeated: elsewhere only when no site can have begun with it."""
    return action(cluster, timings.unsafe_s, {**elsewhere(model.sites), "retry_on": SAFE})


def to_model_streaming(cluster: str, model: ModelPlan, timings: Timings) -> Json:
    """An answer that comes in pieces: no end is set, but silence is; it is tried elsewhere before its first byte."""
    policy = {
        **elsewhere(model.sites),
        "retry_on": IDEMPOTENT,
        "retriable_status_codes": RETRIABLE_STATUS,
        "per_try_idle_timeout": seconds(timings.stream_idle_s),
    }
    return action(cluster, 0.0, policy)


def action(cluster: str, timeout_s: float, policy: Mapping[str, object]) -> Json:
    """Return a route's action: where to, within which time (seconds, 0: no limit), and how it is retried."""
    return {
        "cluster": cluster,
        "timeout": seconds(timeout_s),
        "auto_host_rewrite": True,
        "retry_policy": dict(policy),
    }


def retries(sites: Sequence[PlannedSite]) -> int:
    """Return one try less than there are sites, and not more than `MOST_RETRIES`.

    A lone site gets a second try, for a connection that broke. Sites that drain are counted, so that a drain changes no
    route.
    """
    return max(1, min(len(sites) - 1, MOST_RETRIES))


def elsewhere(sites: Sequence[PlannedSite]) -> Json:
    """A retry goes to a host and a priority that were not tried; `previous_hosts` alone cannot leave a priority."""
    host = extension(
        "envoy.retry_host_predicates.previous_hosts",
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    )
    priority = extension(
        "envoy.retry_priorities.previous_priorities",
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        update_frequency=1,
    )
    return {
        "num_retries": retries(sites),
        "retry_host_predicate": [host],
        "host_selection_retry_max_attempts": 5,
        "retry_priority": priority,
    }
