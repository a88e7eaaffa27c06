"""Fleets for the router's unit tests."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from trihull_runtime.contract import Endpoint, Fleet, FleetSite, SiteState

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
CA = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


def site(
    name: str, priority: int = 0, weight: int = 1, *, url: str = "http://192.0.2.1:8080", **more: object
) -> FleetSite:
    """Return a site; `endpoint`, `ca_certificate` and `state` may be given."""
    values: dict[str, object] = {
        "endpoint": Endpoint(url, f"{name}.example.org"),
        "ca_certificate": CA if url.startswith("https") else None,
        "state": SiteState.ACTIVE,
        **more,
    }
    return FleetSite(name=name, cloud=name, region="r1", residency="eu", priority=priority, weight=weight, **values)  # type: ignore[arg-type]  # values by name


def fleet(*sites: FleetSite, models: dict[str, tuple[str, ...]] | None = None) -> Fleet:
    """Return a fleet of one model."""
    return Fleet(1, "test", {"digits": (DIGEST,)} if models is None else models, sites)


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
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Any fleet of up to five sites and up to three models; `lab` can always answer."""
    names = draw(st.lists(st.sampled_from(["aws", "gcp", "azure", "edge"]), unique=True, max_size=4))
    models = draw(st.dictionaries(st.sampled_from(["digits", "iris", "x"]), st.just((DIGEST,)), min_size=1))
    good = site("lab", draw(st.integers(0, 5)), draw(st.integers(1, 1000)))
    listed = [*(draw(sites(name)) for name in names), good]
    return Fleet(1, "test", models, tuple(draw(st.permutations(listed))))
