"""Puts sites into an order and gives each its share: policy, health and capacity become priorities and weights."""

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from trihull_runtime.contract import FleetSite, Policy
from trihull_runtime.router.health import Load, SiteHealth
from trihull_runtime.router.plan import PlannedSite, whole_percents

WEIGHT_SUM = 10_000  # Envoy's weights are whole numbers: shares to a hundredth of a percent


@dataclass(frozen=True)
class Candidate:
    """A site that can be reached."""

    site: FleetSite
    addresses: tuple[str, ...]
    draining: bool
    health: SiteHealth

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name


Rank = Callable[[Candidate], int]


def ranking(policy: Policy, own_site: str | None, load: Load, candidates: Sequence[Candidate]) -> Rank:
    """How the policy orders sites: smaller comes first, equal ones share by weight."""
    match policy:
        case Policy.LOCAL_FIRST:
            return lambda each: -1 if each.name == own_site else each.site.priority
        case Policy.PRIORITY:
            return lambda each: each.site.priority
        case Policy.WEIGHTED:
            return lambda each: 0
        case Policy.FASTEST:

            def speed(each: Candidate) -> tuple[float, int, str]:
                return (load.latency_s.get(each.name, math.inf), each.site.priority, each.name)

            order = {each.name: index for index, each in enumerate(sorted(candidates, key=speed))}
            return lambda each: order[each.name]


def arrange(
    candidates: Sequence[Candidate], rank: Rank, load: Load, last: Collection[str] = ()
) -> tuple[PlannedSite, ...]:
    """Put sites into Envoy's priorities.

    The sites with a share make priority 0, so that a site that may only take a part leaves the rest to the next ones;
    those without follow, to be asked when the ones before are dead. Healthy sites come before those in `last`, those
    before flapping ones, and what is down comes at the end: it gets nothing while anything else is up.

    When everything is said to be down, all share alike: the checks are more likely wrong, and where no priority is
    healthy Envoy does not find another for a second try, but another site of the same one it does.
    """

    def place(each: Candidate) -> tuple[int, int]:
        condition = 3 if not each.health.up else 2 if each.health.suppressed else int(each.name in last)
        return condition, rank(each)

    taking = sorted((each for each in candidates if not each.draining), key=lambda each: (place(each), each.name))
    levels = [list(level) for _, level in itertools.groupby(taking, key=place)]
    up = [level for level in levels if level[0].health.up]
    exact = _shares(up, load) if up else {each.name: Fraction(1, len(taking)) for each in taking}
    percents = whole_percents(exact)
    first = [each for each in taking if exact.get(each.name)]
    rest = [[each for each in level if not exact.get(each.name)] for level in levels]
    planned = [_planned(each, 0, max(1, round(exact[each.name] * WEIGHT_SUM)), percents[each.name]) for each in first]
    for priority, level in enumerate((level for level in rest if level), start=1):
        planned += [_planned(each, priority, each.site.weight, 0) for each in level]
    planned += [_planned(each, 0, each.site.weight, 0) for each in candidates if each.draining]
    return tuple(planned)


def _planned(each: Candidate, priority: int, weight: int, share_percent: int) -> PlannedSite:
    return PlannedSite(each.site, priority, weight, each.addresses, each.draining, share_percent)


def _shares(levels: Sequence[Sequence[Candidate]], load: Load) -> dict[str, Fraction]:
    """Fill level after level until everything is given away; a site gets no more than it may or can take.

    Returns:
        Shares as parts of 1 that sum to 1. When the sites together cannot take everything, each takes more than its
        limit by the same factor: what is too much is then shed by the sites themselves.
    """
    shares: dict[str, Fraction] = {}
    left = Fraction(1)
    for level in levels:
        given = _fill(level, left, load)
        shares |= given
        left -= sum(given.values())
        if left <= 0:
            break
    total = sum(shares.values())
    if total == 0:  # every limit is 0: the order decides alone
        weights = sum(each.site.weight for each in levels[0])
        return {each.name: Fraction(each.site.weight, weights) for each in levels[0]}
    return {name: share / total for name, share in shares.items() if share > 0}


def _fill(level: Sequence[Candidate], amount: Fraction, load: Load) -> dict[str, Fraction]:
    """Split an amount by weight; what is above a site's limit goes to the others of the level."""
    given: dict[str, Fraction] = {}
    open_sites = list(level)
    while open_sites:
        left = amount - sum(given.values())
        weights = sum(each.site.weight for each in open_sites)
        wanted = {each.name: left * each.site.weight / weights for each in open_sites}
        full = [each for each in open_sites if wanted[each.name] > _limit(each, load)]
        if not full:
            return given | wanted
        given |= {each.name: _limit(each, load) for each in full}
        open_sites = [each for each in open_sites if each.name not in given]
    return given


def _limit(each: Candidate, load: Load) -> Fraction:
    """The most that a site may take of all requests, as a part of 1."""
    limit = Fraction(each.health.limit_percent, 100)
    capacity = each.site.capacity_per_s
    if capacity is not None and load.rate_per_s > 0:
        limit = min(limit, Fraction(round(100 * capacity / load.rate_per_s), 100))
    return limit
