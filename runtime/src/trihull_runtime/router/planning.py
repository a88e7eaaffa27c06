"""The decision: which sites may answer which requests, in which order and shares. Pure; no clock, no socket, no Envoy.

Envoy itself moves traffic off a site within milliseconds, also when this process is dead. What is decided here is what
Envoy may choose from, in which order, and what it cannot know: which site answers wrongly, comes back, or flaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trihull_runtime.contract import Fleet, FleetSite, Policy, SiteState
from trihull_runtime.router.arranging import Candidate, Rank, arrange, ranking
from trihull_runtime.router.errors import RouterError
from trihull_runtime.router.health import WELL, Load, SiteHealth
from trihull_runtime.router.plan import ANY_MODEL, CanaryPlan, ModelPlan, PlannedSite, TrafficPlan


def make_plan(
    fleet: Fleet,
    policy: Policy,
    addresses: Mapping[str, tuple[str, ...]],
    own_site: str | None = None,
    overrides: Mapping[str, SiteState] | None = None,
    health: Mapping[str, SiteHealth] | None = None,
    load: Load | None = None,
) -> TrafficPlan:
    """Decide where each model's requests may go.

    Args:
        fleet: all sites, per model the accepted release digests, and the rules of traffic.
        policy: how sites are ordered where the fleet itself does not say.
        addresses: IP addresses per host of an endpoint; a host without any counts as unknown.
        own_site: the router's own site, for `local-first`; without it that policy orders as `priority` does.
        overrides: an operator's word per site; `draining` or `disabled` here wins over `active` in the fleet.
        health: what is known per site; a site that is not named is well.
        load: what was measured, already steadied.

    Raises:
        RouterError: no model, a model without an accepted release, or no site left that takes requests. An empty plan
            would turn every answer into an error, so it is refused and what runs stays. A residency class without a
            site is no such error: its requests are refused, which is what the class is for.
    """
    overrides, health, load = overrides or {}, health or {}, load or Load()
    _refuse_empty(fleet)
    candidates, excluded = _candidates(fleet, addresses, overrides, health)
    if all(candidate.draining for candidate in candidates):
        parts = [f"{name} {reason}" for name, reason in excluded.items()]
        parts += [f"{candidate.name} is draining" for candidate in candidates]
        raise RouterError(
            f"fleet {fleet.environment!r} leaves no site that takes requests: {'; '.join(parts) or 'it names no site'}"
        )
    rank = ranking(fleet.routing.policy or policy, own_site, load, candidates)
    refused: dict[tuple[str, str], str] = {}
    doubted: list[str] = []
    models: list[ModelPlan] = []
    for model in [ANY_MODEL] if fleet.routing.any_model else sorted(fleet.models):
        seen = [replace(each, health=each.health.of(model)) for each in candidates]
        trusted = _trusted(model, seen, refused, doubted)
        classes: list[str | None] = [*sorted(fleet.routing.classes)] or [None]
        models += [_model_plan(fleet, model, each, trusted, candidates, rank, load) for each in classes]
    sites = tuple(PlannedSite(each.site, 0, each.site.weight, each.addresses, each.draining, 0) for each in candidates)
    warnings = (*_warnings(fleet, policy, own_site, overrides, models), *_doubts(doubted))
    return TrafficPlan(fleet.routing, tuple(models), sites, excluded, refused, tuple(doubted), warnings)


def _refuse_empty(fleet: Fleet) -> None:
    if not fleet.models and not fleet.routing.any_model:
        raise RouterError(f"fleet {fleet.environment!r} names no model, so there is nothing to route")
    for model, digests in fleet.models.items():
        if not digests and not fleet.routing.any_model:
            raise RouterError(
                f"fleet {fleet.environment!r} accepts no release of model {model!r}; every answer would be refused"
            )


def _candidates(
    fleet: Fleet,
    addresses: Mapping[str, tuple[str, ...]],
    overrides: Mapping[str, SiteState],
    health: Mapping[str, SiteHealth],
) -> tuple[list[Candidate], dict[str, str]]:
    """The sites that can be reached, by name, and why the others cannot."""
    candidates: list[Candidate] = []
    excluded: dict[str, str] = {}
    for site in sorted(fleet.sites, key=lambda site: site.name):
        state = _state(site, overrides)
        reason = _why_not(site, state, addresses)
        if reason is not None:
            excluded[site.name] = reason
            continue
        assert site.endpoint is not None, "sites without an endpoint were excluded"
        found = tuple(sorted(set(addresses[site.endpoint.host])))
        draining = state is SiteState.DRAINING
        candidates.append(Candidate(site, found, draining, health.get(site.name, WELL)))
    return candidates, excluded


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


def _trusted(
    model: str,
    candidates: Sequence[Candidate],
    refused: dict[tuple[str, str], str],
    doubted: list[str],
) -> list[Candidate]:
    """The sites whose answers for a model may be used.

    A site that answers wrongly is left out, also when no other is healthy: an error is better than a wrong answer. When
    *every* site is said to answer wrongly, what it is compared with is more likely wrong than all of them: all stay.
    Stale sites are left out while another is not; when all are, they stay, and Envoy refuses their answers one by one
    until one serves what is accepted.
    """
    right = [each for each in candidates if model not in each.health.wrong]
    if candidates and not right:
        doubted.append(model)
        right = list(candidates)
    else:
        refused |= {(model, each.name): each.health.wrong[model] for each in candidates if model in each.health.wrong}
    fresh = [each for each in right if model not in each.health.stale]
    if not fresh:
        return right
    refused |= {(model, each.name): each.health.stale[model] for each in right if model in each.health.stale}
    return fresh


def _model_plan(
    fleet: Fleet,
    model: str,
    residency_class: str | None,
    trusted: Sequence[Candidate],
    candidates: Sequence[Candidate],
    rank: Rank,
    load: Load,
) -> ModelPlan:
    routing = fleet.routing
    allowed = None if residency_class is None else routing.classes[residency_class].residencies
    inside = [each for each in trusted if allowed is None or each.site.residency in allowed]
    accepted = () if model == ANY_MODEL else tuple(fleet.models[model])
    shadow = routing.shadows.get(model)
    mirrored = shadow is not None and any(
        each.name == shadow.site and (allowed is None or each.site.residency in allowed) for each in candidates
    )
    answering = [each for each in inside if shadow is None or each.name != shadow.site]
    plan = ModelPlan(
        model,
        residency_class,
        accepted,
        (),
        shadow=shadow.site if shadow is not None and mirrored else None,
        shadow_percent=shadow.percent if shadow is not None and mirrored else 0,
    )
    if all(each.draining for each in answering):
        where = "" if allowed is None else f" inside {', '.join(allowed)}, where requests of this class must stay"
        return replace(plan, refusal=f"no site may answer for this model{where}")
    canary = routing.canaries.get(model)
    trying = {each.name for each in answering if canary is not None and each.name in canary.sites}
    settled = {each.name for each in answering} - trying
    if canary is None or not trying or not settled:
        sites = arrange(answering, rank, load)
        return replace(plan, sites=sites, tail_s=_tail(sites, load))
    sites, ahead = arrange(answering, rank, load, last=trying), arrange(answering, rank, load, last=settled)
    return replace(
        plan,
        sites=sites,
        canary=CanaryPlan(canary.percent, canary.header, ahead),
        tail_s=_tail((*sites, *ahead), load),
    )


def _tail(sites: Sequence[PlannedSite], load: Load) -> float | None:
    tails = [load.tail_s.get(site.name) for site in sites if site.share_percent]
    known = [tail for tail in tails if tail is not None]
    return max(known) if known and len(known) == len(tails) else None


def _warnings(
    fleet: Fleet,
    policy: Policy,
    own_site: str | None,
    overrides: Mapping[str, SiteState],
    models: Sequence[ModelPlan],
) -> list[str]:
    known = {site.name for site in fleet.sites}
    warnings = []
    if (fleet.routing.policy or policy) is Policy.LOCAL_FIRST and own_site is not None and own_site not in known:
        warnings.append(f"the router's own site {own_site!r} is not in the fleet; sites are ordered by priority")
    warnings += [
        f"override for {name!r} has no effect: the fleet has no such site" for name in overrides if name not in known
    ]
    warnings += [f"{model.key}: {model.refusal}; its requests get 503" for model in models if model.refusal]
    return warnings


def _doubts(doubted: Sequence[str]) -> list[str]:
    return [
        f"no site gives the known answer of {model}: the known answer itself is doubted, and every site goes on"
        for model in doubted
    ]
