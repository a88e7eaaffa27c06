"""Fleets for the router's unit tests."""

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


@st.composite
def sites(draw: st.DrawFn, name: str) -> FleetSite:
    """Any site of a name: with or without endpoint, certificate, address."""
    host = draw(st.sampled_from(HOSTS))
    url = f"{draw(st.sampled_from(['http', 'https']))}://{host}:8080"
    return site(
        name,
        draw(st.integers(0, 5)),
        draw(st.integers(1, 1000)),
        url=url,
        endpoint=draw(st.sampled_from([None, Endpoint(url, f"{name}.example.org")])),
        ca_certificate=draw(st.sampled_from([None, CA])),
        state=draw(st.sampled_from(SiteState)),
        residency=draw(st.sampled_from(RESIDENCIES)),
        capacity_per_s=draw(st.sampled_from([None, 0.0, 10.0, 1000.0])),
        grpc_endpoint=draw(st.sampled_from([None, Endpoint(url, f"{name}.example.org")])),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Any fleet of up to five sites and up to three models; `lab` can always answer."""
    names = draw(st.lists(st.sampled_from(NAMES[:-1]), unique=True, max_size=4))
    models = draw(st.dictionaries(st.sampled_from(MODELS), st.just((DIGEST,)), min_size=1))
    good = site("lab", draw(st.integers(0, 5)), draw(st.integers(1, 1000)))
    listed = [*(draw(sites(name)) for name in names), good]
    return Fleet(1, "test", models, tuple(draw(st.permutations(listed))))


classes = st.builds(ResidencyClass, st.lists(st.sampled_from(RESIDENCIES), min_size=1, unique=True).map(tuple))


@st.composite
def ruled_fleets(draw: st.DrawFn) -> Fleet:
    """Any fleet with any rules: classes, hosts of classes, canaries, shadows, hedging, every model."""
    document = draw(fleets())
    names = [each.name for each in document.sites]
    some = st.lists(st.sampled_from(names), unique=True, max_size=3).map(tuple)
    models = st.sampled_from(sorted(document.models))
    named: dict[str, ResidencyClass] = draw(
        st.dictionaries(st.sampled_from(["strict", "wide", "none"]), classes, max_size=3)
    )
    hosted = draw(st.booleans())
    if named and hosted:
        first = sorted(named)[0]
        named[first] = replace(named[first], hosts=("eu.example.org", "*.eu.example.org"))
    routing = Routing(
        policy=draw(st.sampled_from([None, *Policy])),
        any_model=draw(st.booleans()),
        classes=named,
        default_class=draw(st.sampled_from([None, *sorted(named)])),
        canaries=draw(st.dictionaries(models, st.builds(Canary, some, st.integers(0, 100)), max_size=2)),
        shadows=draw(
            st.dictionaries(models, st.builds(Shadow, st.sampled_from(names), st.integers(0, 100)), max_size=2)
        ),
        repeatable=draw(st.sampled_from([(), ("/explain",), ("/explain", "/a/b")])),
        hedge_after_s=draw(st.sampled_from([None, 0.3])),
        max_in_flight=draw(st.integers(1, 10_000)),
    )
    return replace(document, routing=routing)


reasons = st.dictionaries(st.sampled_from(MODELS), st.just("it answers 4"), max_size=2)
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

    def drawn_site(name: str) -> FleetSite:
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
    listed = [*(drawn_site(name) for name in names), site("lab", rng.randint(0, 5), rng.randint(1, 1000))]
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
