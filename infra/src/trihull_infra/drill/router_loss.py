"""The loss of a router: what callers know beforehand, and what the samples and moves say of it. Pure functions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trihull_infra.domain import HEALTH_CHECKS, DnsSpec
from trihull_infra.drill.callers import Entry
from trihull_infra.drill.measures import SETTLE_S, WINDOW, Figures, split_phases
from trihull_infra.drill.samples import Move, OutageTimes, Outcome, Sample


@dataclass(frozen=True)
class DnsFailover:
    """What DNS takes to lead callers that hold a single address to another router, by its settings; not measured.

    `adds_s` is interval_s * failures + timeout_s + ttl_s (docs/dns.md).
    """

    name: str
    cloud: str
    interval_s: int
    failures: int
    timeout_s: int
    ttl_s: int
    adds_s: int


@dataclass(frozen=True)
class RouterLoss:
    """The routers in the order in which callers use them, the lost one first, and the environment's DNS if any."""

    entries: tuple[Entry, ...]
    dns: DnsFailover | None = None


@dataclass(frozen=True)
class RouterFigures:
    """What the loss of a router cost, told apart; the three add up to the lost requests.

    `lost_in_flight` were with the router when it failed, `lost_before_move` were sent to it after that, before callers
    moved, and `lost_otherwise` are lost by anything else: sent later, to another router, or to none at all.
    `entered` is phase -> router -> requests that were handed to it.
    """

    lost_in_flight: int
    lost_before_move: int
    lost_otherwise: int
    entered: dict[str, dict[str, int]]


def dns_failover(spec: DnsSpec | None) -> DnsFailover | None:
    """Return what an environment's DNS adds, None when it has no name."""
    if spec is None:
        return None
    checks = HEALTH_CHECKS[spec.cloud]
    adds_s = checks.unwell_after_s + spec.ttl_s
    return DnsFailover(
        spec.name, spec.cloud.value, checks.interval_s, checks.failures, checks.timeout_s, spec.ttl_s, adds_s
    )


def moved_s(moves: Sequence[Move], site: str, outage: OutageTimes) -> float | None:
    """Return when callers left the router of `site` after the fault, in seconds from the first request."""
    return next((move.at_s for move in moves if move.at_s >= outage.asked_s and move.router != site), None)


def came_back_s(samples: Sequence[Sample], moves: Sequence[Move], site: str, outage: OutageTimes) -> float | None:
    """Return when callers were back at the router of `site` for good: `WINDOW` answers came by it since."""
    if not moves or moves[-1].router != site or moves[-1].at_s < outage.healing_s:
        return None
    back = moves[-1].at_s
    answers = [sample for sample in samples if _answered(sample, site) and (sample.sent_s or 0.0) >= back]
    return back if len(answers) >= WINDOW else None


def measure_router(
    samples: Sequence[Sample], moves: Sequence[Move], site: str, outage: OutageTimes
) -> tuple[RouterFigures, float | None, float | None]:
    """Return the figures of a router's loss, after how long callers moved, and how long after healing they were back.

    A request counts as in flight when it was sent before the fault was in force and its loss was known after the fault
    was asked for.
    """
    moved = moved_s(moves, site, outage)
    in_flight = before_move = otherwise = 0
    for sample in samples:
        if sample.outcome is not Outcome.LOST:
            continue
        sent = sample.sent_s
        ours = sample.router == site and sent is not None and sample.completed_s >= outage.asked_s
        if not ours or sent is None or (moved is not None and sent > moved) or sent >= outage.healing_s:
            otherwise += 1
        elif sent < outage.broken_s:
            in_flight += 1
        else:
            before_move += 1
    entered = {
        name: dict(Counter(sample.router for sample in phase if sample.router is not None).most_common())
        for name, phase in zip(("before", "during", "after"), split_phases(samples, outage), strict=True)
    }
    back = came_back_s(samples, moves, site, outage)
    return (
        RouterFigures(in_flight, before_move, otherwise, entered),
        None if moved is None else moved - outage.asked_s,
        None if back is None else back - outage.healing_s,
    )


def router_failures(
    samples: Sequence[Sample],
    moves: Sequence[Move],
    figures: Figures,
    router: RouterFigures,
    site: str,
    outage: OutageTimes,
) -> list[str]:
    """Return why the drill failed, worst first; empty when it passed.

    Requests that the dead router took with it are the price of its loss, not a failure; any other lost request is one.
    """
    found = []
    first = next(iter(figures.reasons), "")
    if router.lost_otherwise:
        found.append(
            f"{router.lost_otherwise} of {figures.requests} requests were lost that had not been sent to the router of "
            f"{site} before callers moved ({first})"
        )
    if figures.wrong:
        found.append(f"{figures.wrong} of {figures.requests} answers were wrong ({first})")
    if not figures.requests:
        return [*found, "no request was sent"]
    if any(move.at_s < outage.asked_s for move in moves):
        return [*found, f"callers left the router of {site} before the fault, so that breaking it showed nothing"]
    late = sum(
        _answered(sample, site)
        and sample.sent_s is not None
        and sample.sent_s >= outage.broken_s + SETTLE_S
        and sample.completed_s < outage.healing_s
        for sample in samples
    )
    if late:
        found.append(f"the router of {site} answered {late} requests while it was broken: the fault had no effect")
    elif figures.moved_after_s is None:
        found.append("callers did not move to another router")
    if figures.came_back_after_s is None:
        found.append(f"callers did not come back to the router of {site}")
    return found


def _answered(sample: Sample, router: str) -> bool:
    return sample.router == router and sample.outcome is not Outcome.LOST
