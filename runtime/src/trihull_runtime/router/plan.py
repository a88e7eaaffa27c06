"""The decision: which sites may answer for a model, and in which order. Pure; no clock, no socket, no Envoy in it.

Health is not an input: Envoy checks health itself and moves traffic within milliseconds, also when this process is
dead. What is decided here is what Envoy may choose from.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from trihull_runtime.contract import Fleet, FleetSite, SiteState
from trihull_runtime.router.errors import RouterError


class Policy(enum.StrEnum):
    """How sites are ordered: `local-first` puts the router's own site before all others, `priority` obeys the fleet."""

    LOCAL_FIRST = "local-first"
    PRIORITY = "priority"


@dataclass(frozen=True)
class PlannedSite:
    """A site that may answer.

    Fields: `priority` counts from 0 without gaps; `weight` splits inside a priority; `addresses` are IP addresses;
    a `draining` site finishes what it has and gets nothing new; `share_percent` is the share of all requests while
    every site is healthy (whole numbers that sum to 100 over the model's sites).
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
class ModelPlan:
    """One model: the release digests whose answers are accepted, and its sites by priority."""

    model: str
    accepted: tuple[str, ...]
    sites: tuple[PlannedSite, ...]

    @property
    def taking(self) -> tuple[PlannedSite, ...]:
        """The sites that take new requests."""
        return tuple(site for site in self.sites if not site.draining)


@dataclass(frozen=True)
class TrafficPlan:
    """Where traffic may go: models by name; `excluded` names every site that may not answer, with the reason."""

    models: tuple[ModelPlan, ...]
    excluded: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def sites(self) -> tuple[PlannedSite, ...]:
        """Every planned site once, in the order of the first model."""
        found: dict[str, PlannedSite] = {}
        for model in self.models:
            for site in model.sites:
                found.setdefault(site.name, site)
        return tuple(found.values())


def make_plan(
    fleet: Fleet,
    policy: Policy,
    addresses: Mapping[str, tuple[str, ...]],
    own_site: str | None = None,
    overrides: Mapping[str, SiteState] | None = None,
) -> TrafficPlan:
    """Decide where each model's requests may go.

    Args:
        fleet: all sites and, per model, the accepted release digests.
        policy: how the sites are ordered.
        addresses: IP addresses per host of an endpoint; a host without any counts as unknown.
        own_site: the router's own site, for `local-first`; without it that policy orders as `priority` does.
        overrides: an operator's word per site; `draining` or `disabled` here wins over `active` in the fleet.

    Raises:
        RouterError: no model, a model without an accepted release, or no site left that takes requests. An empty plan
            would turn every answer into an error, so it is refused and what runs stays.
    """
    overrides = overrides or {}
    if not fleet.models:
        raise RouterError(f"fleet {fleet.environment!r} names no model, so there is nothing to route")
    for model, digests in fleet.models.items():
        if not digests:
            raise RouterError(
                f"fleet {fleet.environment!r} accepts no release of model {model!r}; every answer would be refused"
            )
    excluded: dict[str, str] = {}
    usable: list[tuple[FleetSite, bool]] = []
    for site in sorted(fleet.sites, key=lambda site: site.name):
        state = _state(site, overrides)
        reason = _why_not(site, state, addresses)
        if reason is None:
            usable.append((site, state is SiteState.DRAINING))
        else:
            excluded[site.name] = reason
    if all(draining for _, draining in usable):
        parts = [f"{name} {reason}" for name, reason in excluded.items()]
        parts += [f"{site.name} is draining" for site, _ in usable]
        raise RouterError(
            f"fleet {fleet.environment!r} leaves no site that takes requests: {'; '.join(parts) or 'it names no site'}"
        )
    sites = _ordered(usable, policy, own_site, addresses)
    warnings = []
    if policy is Policy.LOCAL_FIRST and own_site is not None and own_site not in {site.name for site in fleet.sites}:
        warnings.append(f"the router's own site {own_site!r} is not in the fleet; sites are ordered by priority")
    warnings += [
        f"override for {name!r} has no effect: the fleet has no such site"
        for name in overrides
        if name not in {site.name for site in fleet.sites}
    ]
    models = tuple(ModelPlan(model, tuple(fleet.models[model]), sites) for model in sorted(fleet.models))
    return TrafficPlan(models, excluded, tuple(warnings))


def _state(site: FleetSite, overrides: Mapping[str, SiteState]) -> SiteState:
    """The stricter of the fleet's and the operator's word."""
    order = [SiteState.ACTIVE, SiteState.DRAINING, SiteState.DISABLED]
    return max(site.state, overrides.get(site.name, SiteState.ACTIVE), key=order.index)


def _why_not(site: FleetSite, state: SiteState, addresses: Mapping[str, tuple[str, ...]]) -> str | None:
    if state is SiteState.DISABLED:
        return "is disabled"
    if site.endpoint is None:
        return "has no endpoint yet"
    if site.endpoint.tls and site.ca_certificate is None:
        return "speaks TLS, but the fleet has no CA certificate to verify it with"
    if not addresses.get(site.endpoint.host):
        return f"cannot be reached: the name {site.endpoint.host} does not resolve"
    return None


def _ordered(
    usable: list[tuple[FleetSite, bool]],
    policy: Policy,
    own_site: str | None,
    addresses: Mapping[str, tuple[str, ...]],
) -> tuple[PlannedSite, ...]:
    def rank(site: FleetSite) -> int:
        local = policy is Policy.LOCAL_FIRST and site.name == own_site
        return -1 if local else site.priority

    usable = sorted(usable, key=lambda entry: (rank(entry[0]), entry[0].name))
    dense = {value: index for index, value in enumerate(sorted({rank(site) for site, _ in usable}))}
    first = min(dense[rank(site)] for site, draining in usable if not draining)
    shares = _shares(
        {site.name: site.weight for site, draining in usable if not draining and dense[rank(site)] == first}
    )
    planned = []
    for site, draining in usable:
        assert site.endpoint is not None, "sites without an endpoint were excluded"
        found = tuple(sorted(set(addresses[site.endpoint.host])))
        share = shares.get(site.name, 0)
        planned.append(PlannedSite(site, dense[rank(site)], site.weight, found, draining, share))
    return tuple(planned)


def _shares(weights: Mapping[str, int]) -> dict[str, int]:
    """Split 100 by weight in whole numbers that sum to 100 (largest remainder; ties by name)."""
    total = sum(weights.values())
    exact = {name: 100 * weight / total for name, weight in weights.items()}
    shares = {name: math.floor(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: 100 - sum(shares.values())]:
        shares[name] += 1
    return shares
