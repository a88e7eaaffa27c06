"""Fleets for the router's unit tests."""

import functools
import itertools
import random
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from trihull_runtime.contract import (
    Canary,
    Client,
    Clients,
    Endpoint,
    Fleet,
    FleetSite,
    Policy,
    ResidencyClass,
    Routing,
    Shadow,
    SiteState,
)
from trihull_runtime.router.health import Load, SiteHealth

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
CA = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


def site(
    name: str, priority: int = 0, weight: int = 1, *, url: str = "http://192.0.2.1:8080", **more: object
) -> FleetSite:
    """Return a site; any other field may be given."""
    values: dict[str, object] = {
        "residency": "eu",
        "endpoint": Endpoint(url, f"{name}.example.org"),
        "ca_certificate": CA if url.startswith("https") else None,
        "state": SiteState.ACTIVE,
        **more,
    }
    return FleetSite(name=name, cloud=name, region="r1", priority=priority, weight=weight, **values)  # type: ignore[arg-type]  # values by name


def fleet(*sites: FleetSite, models: dict[str, tuple[str, ...]] | None = None) -> Fleet:
    """Return a fleet of one model."""
    return Fleet(1, "test", {"digits": (DIGEST,)} if models is None else models, sites)


RESIDENCIES = ("eu", "us", "ch")
NAMES = ("aws", "gcp", "azure", "edge", "lab")
MODELS = ("digits", "iris", "x")
HOSTS = ("192.0.2.1", "192.0.2.2", "one.example.org", "two.example.org")
ADDRESSES = {"192.0.2.1": ("192.0.2.1",), "192.0.2.2": ("192.0.2.2",), "one.example.org": ("192.0.2.3", "192.0.2.4")}


# Making a strategy takes longer than drawing from it: each is made once, also those that depend on what was drawn.
schemes, hosts = st.sampled_from(["http", "https"]), st.sampled_from(HOSTS)
priorities, weights = st.integers(0, 5), st.integers(1, 1000)
certificates, states = st.sampled_from([None, CA]), st.sampled_from(SiteState)
residencies = st.sampled_from(RESIDENCIES)
capacities = st.sampled_from([None, 0.0, 10.0, 1000.0])
some_names = st.lists(st.sampled_from(NAMES[:-1]), unique=True, max_size=4)
some_models = st.dictionaries(st.sampled_from(MODELS), st.just((DIGEST,)), min_size=1)
classes = st.builds(ResidencyClass, st.lists(residencies, min_size=1, unique=True).map(tuple))
some_classes = st.dictionaries(st.sampled_from(["strict", "wide", "none"]), classes, max_size=3)
fleet_policies = st.sampled_from([None, *Policy])
repeatable_paths = st.sampled_from([(), ("/explain",), ("/explain", "/a/b")])
hedges = st.sampled_from([None, 0.3])
limits = st.integers(1, 10_000)
percentages = st.integers(0, 100)


@functools.cache
def orders(count: int) -> st.SearchStrategy[list[int]]:
    """Every order of that many."""
    return st.permutations(range(count))


@functools.cache
def some_or_none(names: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *names])


@functools.cache
def some_canaries(models: tuple[str, ...], names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Canary]]:
    some = st.lists(st.sampled_from(names), unique=True, max_size=3).map(tuple)
    return st.dictionaries(st.sampled_from(models), st.builds(Canary, some, percentages), max_size=2)


@functools.cache
def some_shadows(models: tuple[str, ...], names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Shadow]]:
    shadow = st.builds(Shadow, st.sampled_from(names), percentages)
    return st.dictionaries(st.sampled_from(models), shadow, max_size=2)


def drawn_site(draw: st.DrawFn, name: str) -> FleetSite:
    """Draw any site of a name: with or without endpoint, certificate, address."""
    url = f"{draw(schemes)}://{draw(hosts)}:8080"
    return site(
        name,
        draw(priorities),
        draw(weights),
        url=url,
        endpoint=Endpoint(url, f"{name}.example.org") if draw(st.booleans()) else None,
        ca_certificate=draw(certificates),
        state=draw(states),
        residency=draw(residencies),
        capacity_per_s=draw(capacities),
        grpc_endpoint=Endpoint(url, f"{name}.example.org") if draw(st.booleans()) else None,
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Any fleet of up to five sites and up to three models; `lab` can always answer."""
    names = draw(some_names)
    models = draw(some_models)
    good = site("lab", draw(priorities), draw(weights))
    listed = [*(drawn_site(draw, name) for name in names), good]
    return Fleet(1, "test", models, tuple(listed[index] for index in draw(orders(len(listed)))))


@st.composite
def ruled_fleets(draw: st.DrawFn) -> Fleet:
    """Any fleet with any rules: classes, hosts of classes, canaries, shadows, hedging, every model."""
    document = draw(fleets())
    names = tuple(sorted(each.name for each in document.sites))
    models = tuple(sorted(document.models))
    named: dict[str, ResidencyClass] = draw(some_classes)
    hosted = draw(st.booleans())
    if named and hosted:
        first = sorted(named)[0]
        named[first] = replace(named[first], hosts=("eu.example.org", "*.eu.example.org"))
    routing = Routing(
        policy=draw(fleet_policies),
        any_model=draw(st.booleans()),
        classes=named,
        default_class=draw(some_or_none(tuple(sorted(named)))),
        canaries=draw(some_canaries(models, names)),
        shadows=draw(some_shadows(models, names)),
        repeatable=draw(repeatable_paths),
        hedge_after_s=draw(hedges),
        max_in_flight=draw(limits),
    )
    return replace(document, routing=routing)


reasons = st.sampled_from(  # of up to two models
    [dict.fromkeys(few, "it answers 4") for count in range(3) for few in itertools.combinations(MODELS, count)]
)
single_healths = st.builds(
    SiteHealth,
    up=st.booleans(),
    limit_percent=st.sampled_from([0, 5, 25, 50, 100]),
    suppressed=st.booleans(),
    wrong=reasons,
    stale=reasons,
)
healths = st.dictionaries(st.sampled_from(NAMES), single_healths, max_size=5)
seconds = st.floats(0.001, 10)
loads = st.builds(
    Load,
    st.dictionaries(st.sampled_from(NAMES), seconds),
    st.dictionaries(st.sampled_from(NAMES), seconds),
    st.sampled_from([0.0, 1.0, 100.0, 12345.6]),
)
some_clients = st.builds(
    Client,
    st.sampled_from(["mobile", "web"]),
    st.sampled_from([("k" * 20,), ("a" * 20, "b" * 20)]),
    st.sampled_from([None, "strict", "wide"]),
    st.sampled_from([None, 0.1, 0.5, 7.3, 10.0, 100_000.0]),
    st.sampled_from([None, 1, 500]),
)
clients = st.none() | st.builds(Clients, st.just(1), st.lists(some_clients, min_size=1, max_size=1).map(tuple))


def drawn_fleet(rng: random.Random, authority: str = CA) -> Fleet:
    """Any fleet with any rules, as `ruled_fleets`, but some fifty times faster: for tests of thousands."""

    def any_site(name: str) -> FleetSite:
        url = f"{rng.choice(['http', 'https'])}://{rng.choice(HOSTS)}:8080"
        return site(
            name,
            rng.randint(0, 5),
            rng.randint(1, 1000),
            url=url,
            endpoint=rng.choice([None, Endpoint(url, f"{name}.example.org"), Endpoint(url, f"{name}.example.org")]),
            ca_certificate=rng.choice([None, authority, authority, "system"]),
            state=rng.choice([*SiteState, SiteState.ACTIVE, SiteState.ACTIVE]),
            residency=rng.choice(RESIDENCIES),
            capacity_per_s=rng.choice([None, None, 0.0, 10.0, 1000.0]),
            grpc_endpoint=rng.choice([None, Endpoint(url, f"{name}.example.org")]),
        )

    names = rng.sample(NAMES[:-1], rng.randint(0, 4))
    listed = [*(any_site(name) for name in names), site("lab", rng.randint(0, 5), rng.randint(1, 1000))]
    models = rng.sample(MODELS, rng.randint(1, 3))
    residencies = [tuple(rng.sample(RESIDENCIES, rng.randint(1, 3))) for _ in range(rng.randint(0, 3))]
    named = {name: ResidencyClass(each) for name, each in zip(("strict", "wide", "none"), residencies, strict=False)}
    if named and rng.random() < 0.5:
        first = sorted(named)[0]
        named[first] = replace(named[first], hosts=("eu.example.org", "*.eu.example.org"))
    sites = [each.name for each in listed]
    canary = Canary(tuple(rng.sample(sites, rng.randint(0, len(sites)))), rng.randint(0, 100))
    routing = Routing(
        policy=rng.choice([None, *Policy]),
        any_model=rng.random() < 0.2,
        classes=named,
        default_class=rng.choice([None, *named]),
        canaries={model: canary for model in models if rng.random() < 0.3},
        shadows={model: Shadow(rng.choice(sites), rng.randint(0, 100)) for model in models if rng.random() < 0.3},
        repeatable=rng.choice([(), ("/explain",), ("/explain", "/a/b")]),
        hedge_after_s=rng.choice([None, 0.3]),
        max_in_flight=rng.randint(1, 10_000),
    )
    accepted = {model: rng.choice([(DIGEST,), (DIGEST, OTHER)]) for model in models}
    return Fleet(1, "test", accepted, tuple(listed), routing)


def drawn_health(rng: random.Random) -> dict[str, SiteHealth]:
    """Any health of any sites."""
    return {
        name: SiteHealth(
            up=rng.random() < 0.6,
            limit_percent=rng.choice([0, 5, 25, 50, 100]),
            suppressed=rng.random() < 0.2,
            wrong={model: "it answers 4" for model in MODELS if rng.random() < 0.2},
            stale={model: "it serves another" for model in MODELS if rng.random() < 0.2},
        )
        for name in rng.sample(NAMES, rng.randint(0, len(NAMES)))
    }
