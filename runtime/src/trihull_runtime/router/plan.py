"""Where traffic may go: the values that a decision is made of. How it is made: `planning`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from trihull_runtime.contract import FleetSite, Routing

ANY_MODEL = "*"  # the model of a plan for every name


@dataclass(frozen=True)
class PlannedSite:
    """A site that may answer.

    Fields: `priority` counts from 0 without gaps; `weight` splits inside a priority; `addresses` are IP addresses;
    a `draining` site finishes what it has and gets nothing new; `share_percent` is its share of all requests while
    health is as it was when this was planned (whole numbers that sum to 100 over the sites of a model).
    """

    site: FleetSite
    priority: int
    weight: int
    addresses: tuple[str, ...]
    draining: bool
    share_percent: int

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name


@dataclass(frozen=True)
class CanaryPlan:
    """The requests that go to the sites of a new release first: `percent` of them, and those whose `header` asks."""

    percent: int
    header: str
    sites: tuple[PlannedSite, ...]


@dataclass(frozen=True)
class ModelPlan:
    """One model and residency class (None: there are no classes): who answers, by priority.

    `accepted` are the release digests whose answers count, empty for any; `shadow` names the site that gets a copy of
    `shadow_percent` of the requests; `tail_s` is the observed tail latency of the slowest site that has a share, in
    seconds, None when it is not known of all of them; with no sites, `refusal` says why nobody may answer.
    """

    model: str
    residency_class: str | None
    accepted: tuple[str, ...]
    sites: tuple[PlannedSite, ...]
    canary: CanaryPlan | None = None
    shadow: str | None = None
    shadow_percent: int = 0
    tail_s: float | None = None
    refusal: str = ""

    @property
    def key(self) -> str:
        """How it is called where one text is needed: `model`, or `model@class`."""
        return self.model if self.residency_class is None else f"{self.model}@{self.residency_class}"

    @property
    def taking(self) -> tuple[PlannedSite, ...]:
        """The sites that take new requests."""
        return tuple(site for site in self.sites if not site.draining)

    @property
    def shares(self) -> dict[str, int]:
        """Share of all requests per site, the canary's part included; sums to 100, empty when nobody may answer."""
        exact = {site.name: Fraction(site.share_percent) for site in self.sites}
        if self.canary is not None:
            part = Fraction(self.canary.percent, 100)
            exact = {name: value * (1 - part) for name, value in exact.items()}
            for site in self.canary.sites:
                exact[site.name] += part * site.share_percent
        return whole_percents(exact) if exact else {}


@dataclass(frozen=True)
class TrafficPlan:
    """Where traffic may go.

    `models` has an entry per model and class; `sites` every site that can be reached, also those that are only asked to
    see how they are; `excluded` names every site that may not answer anything, with the reason; `refused` is what may
    not answer one model: (model, site) to the reason; `doubted` are models whose known answer *no* site gives.
    """

    routing: Routing
    models: tuple[ModelPlan, ...]
    sites: tuple[PlannedSite, ...]
    excluded: Mapping[str, str]
    refused: Mapping[tuple[str, str], str]
    doubted: tuple[str, ...]
    warnings: tuple[str, ...]


def whole_percents(exact: Mapping[str, Fraction]) -> dict[str, int]:
    """Round parts to whole percents that sum to 100 (largest remainder; ties by name)."""
    total = sum(exact.values())
    parts = {name: 100 * value / total for name, value in exact.items()}
    percents = {name: math.floor(value) for name, value in parts.items()}
    by_remainder = sorted(parts, key=lambda name: (percents[name] - parts[name], name))
    for name in by_remainder[: 100 - sum(percents.values())]:
        percents[name] += 1
    return percents
