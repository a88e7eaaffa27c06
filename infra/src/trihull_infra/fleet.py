"""Puts the fleet together: what a router knows of all sites, from what each site and its serving gave."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment
from trihull_runtime.contract import (
    EnvironmentReleases,
    Fleet,
    FleetSite,
    KnownAnswer,
    Routing,
    ServingOutputs,
    SiteOutputs,
    SiteState,
)


def assemble(
    environment: Environment,
    releases: EnvironmentReleases,
    sites: Mapping[Cloud, SiteOutputs],
    servings: Mapping[Cloud, ServingOutputs],
    previous: Fleet | None,
    known_answers: Mapping[str, tuple[KnownAnswer, ...]] | None = None,
) -> Fleet:
    """Return the fleet of an environment; a pure function.

    Region, residency, priority and weight are the environment's, and so are residency classes, hedging and limits. A
    cloud that gave nothing now (its deploy failed, or it was not asked for) keeps the certificate and the endpoint of
    `previous`: a dead control plane is no reason to drop a healthy data plane. What an operator set in the fleet is
    kept: a site's state, cost and capacity, its gRPC endpoint, canaries, shadows, and what may be repeated.

    Args:
        environment: what is asked for; its clouds are the fleet's sites, in their order.
        releases: names the accepted digests of each model.
        sites: outputs of the site stacks that are known.
        servings: outputs of the serving stacks that are known.
        previous: the fleet as it stands, None when there is none yet.
        known_answers: of the releases, by model.
    """
    known = {site.name: site for site in previous.sites} if previous is not None else {}
    return Fleet(
        version=Fleet.CURRENT,
        environment=environment.name,
        models={model: tuple(digests) for model, digests in sorted(releases.accepted.items())},
        sites=tuple(
            _site(environment, cloud, sites.get(cloud), servings.get(cloud), known.get(cloud.value))
            for cloud in environment.clouds
        ),
        routing=_routing(environment, releases, previous, known_answers or {}),
    )


def _routing(
    environment: Environment,
    releases: EnvironmentReleases,
    previous: Fleet | None,
    known_answers: Mapping[str, tuple[KnownAnswer, ...]],
) -> Routing:
    """The environment's rules, and an operator's for those models and sites that are still there."""
    kept = previous.routing if previous is not None else Routing()
    models, sites = set(releases.accepted), {cloud.value for cloud in environment.clouds}
    return replace(
        environment.routing.rules(),
        canaries={
            model: canary
            for model, canary in kept.canaries.items()
            if model in models and sites.issuperset(canary.sites)
        },
        shadows={model: shadow for model, shadow in kept.shadows.items() if model in models and shadow.site in sites},
        repeatable=kept.repeatable,
        known_answers={model: answers for model, answers in known_answers.items() if model in models},
    )


def _site(
    environment: Environment,
    cloud: Cloud,
    site: SiteOutputs | None,
    serving: ServingOutputs | None,
    known: FleetSite | None,
) -> FleetSite:
    spec = environment.site(cloud)
    certificate = site.ca_certificate if site is not None else known.ca_certificate if known is not None else None
    endpoint = serving.endpoint if serving is not None else known.endpoint if known is not None else None
    return FleetSite(
        name=cloud.value,
        cloud=cloud.value,
        region=spec.region,
        residency=spec.residency,
        endpoint=endpoint,
        ca_certificate=certificate,
        priority=spec.priority,
        weight=spec.weight,
        cost_per_million=known.cost_per_million if known is not None else None,
        capacity_per_s=known.capacity_per_s if known is not None else None,
        state=known.state if known is not None else SiteState.ACTIVE,
        grpc_endpoint=known.grpc_endpoint if known is not None else None,
    )


def without(fleet: Fleet, names: Collection[str]) -> Fleet:
    """Return a fleet in which these sites have neither endpoint nor certificate: they were taken down on purpose."""
    sites = (replace(site, endpoint=None, ca_certificate=None) if site.name in names else site for site in fleet.sites)
    return replace(fleet, sites=tuple(sites))
