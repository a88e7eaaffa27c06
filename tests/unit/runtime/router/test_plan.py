from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.runtime.router.fleets import ADDRESSES, CA, DIGEST, fleet, fleets, site, unhurried
from trihull_runtime.contract import Fleet, SiteState
from trihull_runtime.router.errors import RouterError
from trihull_runtime.router.plan import Policy, make_plan

policies = st.sampled_from(Policy)
own_sites = st.sampled_from([None, "aws", "gcp", "azure", "elsewhere"])
overrides = st.dictionaries(st.sampled_from(["aws", "gcp", "gone"]), st.sampled_from(SiteState))


@unhurried
@given(fleets(), policies, own_sites, overrides)
def test_every_site_is_planned_or_excluded_with_a_reason(
    document: Fleet, policy: Policy, own: str | None, orders: dict[str, SiteState]
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own, orders)
    planned = {entry.name for entry in plan.sites}
    assert planned | set(plan.excluded) == {entry.name for entry in document.sites}
    assert not planned & set(plan.excluded)
    assert all(plan.excluded.values())


@unhurried
@given(fleets(), policies, own_sites, overrides)
def test_shares_sum_to_100_and_draining_sites_have_none(
    document: Fleet, policy: Policy, own: str | None, orders: dict[str, SiteState]
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own, orders)
    for model in plan.models:
        assert sum(entry.share_percent for entry in model.sites) == 100
        assert model.taking
        assert all(entry.share_percent == 0 for entry in model.sites if entry.draining)


@unhurried
@given(fleets(), policies, own_sites, overrides)
def test_a_disabled_site_and_one_without_address_or_trust_are_never_planned(
    document: Fleet, policy: Policy, own: str | None, orders: dict[str, SiteState]
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own, orders)
    for entry in plan.sites:
        assert SiteState.DISABLED not in (entry.site.state, orders.get(entry.name))
        assert entry.site.endpoint is not None
        assert entry.addresses
        assert not entry.site.endpoint.tls or entry.site.ca_certificate


@unhurried
@given(fleets(), policies, own_sites)
def test_priorities_start_at_0_without_gaps_and_keep_the_fleets_order(
    document: Fleet, policy: Policy, own: str | None
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own)
    priorities = [entry.priority for entry in plan.sites]
    assert sorted(set(priorities)) == list(range(len(set(priorities))))
    others = [entry for entry in plan.sites if policy is Policy.PRIORITY or entry.name != own]
    for one in others:
        for two in others:
            assert (one.site.priority < two.site.priority) == (one.priority < two.priority)


@unhurried
@given(fleets(), own_sites)
def test_local_first_puts_the_own_site_alone_in_front(document: Fleet, own: str | None) -> None:
    plan = make_plan(document, Policy.LOCAL_FIRST, ADDRESSES, own)
    if own in {entry.name for entry in plan.sites}:
        assert [entry.name for entry in plan.sites if entry.priority == 0] == [own]
    else:
        assert plan.sites == make_plan(document, Policy.PRIORITY, ADDRESSES).sites


@unhurried
@given(fleets(), policies, own_sites, st.data())
def test_the_order_of_the_document_does_not_matter(
    document: Fleet, policy: Policy, own: str | None, data: st.DataObject
) -> None:
    shuffled = replace(document, sites=tuple(data.draw(st.permutations(document.sites))))
    assert make_plan(document, policy, ADDRESSES, own) == make_plan(shuffled, policy, ADDRESSES, own)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (fleet(), "names no site"),
        (fleet(site("aws"), models={}), "names no model"),
        (fleet(site("aws"), models={"digits": ()}), "accepts no release of model 'digits'"),
        (fleet(site("aws", state=SiteState.DISABLED)), "aws is disabled"),
        (fleet(site("aws", state=SiteState.DRAINING)), "aws is draining"),
        (fleet(site("aws", endpoint=None)), "aws has no endpoint yet"),
        (fleet(site("aws", url="https://192.0.2.1:1", ca_certificate=None)), "no CA certificate"),
        (fleet(site("aws", url="http://nowhere.example.org:1")), "nowhere.example.org does not resolve"),
    ],
)
def test_a_plan_without_a_site_that_takes_requests_is_refused(document: Fleet, words: str) -> None:
    with pytest.raises(RouterError, match=words):
        make_plan(document, Policy.PRIORITY, ADDRESSES)


def test_an_order_makes_a_site_stricter_never_looser() -> None:
    document = fleet(site("aws", state=SiteState.DISABLED), site("gcp"), site("azure"))
    orders = {"aws": SiteState.ACTIVE, "gcp": SiteState.DRAINING}
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES, None, orders)
    assert plan.excluded == {"aws": "is disabled"}
    assert [entry.name for entry in plan.sites if entry.draining] == ["gcp"]


def test_what_has_no_effect_is_warned_of() -> None:
    orders = {"moon": SiteState.DRAINING}
    plan = make_plan(fleet(site("aws")), Policy.LOCAL_FIRST, ADDRESSES, "mars", orders)
    assert any("'mars' is not in the fleet" in warning for warning in plan.warnings)
    assert any("'moon' has no effect" in warning for warning in plan.warnings)


def test_weights_become_shares_of_the_first_priority() -> None:
    document = fleet(site("aws", 0, 2), site("gcp", 0, 1), site("azure", 1, 5))
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES)
    assert {entry.name: entry.share_percent for entry in plan.sites} == {"aws": 67, "gcp": 33, "azure": 0}


def test_a_draining_first_choice_passes_its_share_on() -> None:
    document = fleet(site("aws", 0, state=SiteState.DRAINING), site("gcp", 1))
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES)
    assert {entry.name: entry.share_percent for entry in plan.sites} == {"aws": 0, "gcp": 100}


def test_every_model_is_planned_with_its_own_releases() -> None:
    document = fleet(site("aws", url="https://192.0.2.1:1", ca_certificate=CA), models={"b": (DIGEST,), "a": (DIGEST,)})
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES)
    assert [(model.model, model.accepted) for model in plan.models] == [("a", (DIGEST,)), ("b", (DIGEST,))]
