import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runtime.router.fleets import (
    ADDRESSES,
    NAMES,
    drawn_fleet,
    drawn_health,
    fleets,
    healths,
    loads,
    ruled_fleets,
    unhurried,
)
from trihull_runtime.contract import Fleet, Policy, SiteState
from trihull_runtime.router.health import Load, SiteHealth, steady
from trihull_runtime.router.planning import make_plan

policies = st.sampled_from(Policy)
own_sites = st.sampled_from([None, "aws", "gcp", "azure", "elsewhere"])
window = st.floats(0.81, 1.19)
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


many = settings(unhurried, max_examples=100)
thrice = pytest.mark.parametrize("part", range(3))  # each for itself, so that none takes long


@thrice
@many
@given(document=ruled_fleets(), policy=policies, own=own_sites, health=healths, load=loads)
def test_a_plan_is_whole_whatever_the_fleet_and_its_health(
    part: int, document: Fleet, policy: Policy, own: str | None, health: dict[str, SiteHealth], load: Load
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own, None, health, load)
    assert plan == make_plan(document, policy, ADDRESSES, own, None, health, load)
    for model in plan.models:
        for sites in [model.sites, *([model.canary.sites] if model.canary else [])]:
            if not sites:
                assert model.refusal
                continue
            assert sum(entry.share_percent for entry in sites) == 100
            numbers = sorted({entry.priority for entry in sites})
            assert numbers == list(range(len(numbers)))
            assert all(entry.weight >= 1 for entry in sites)
            assert all(entry.share_percent == 0 for entry in sites if entry.priority or entry.draining)
            assert any(not entry.draining for entry in sites)
        if model.sites:
            assert sum(model.shares.values()) == 100
            assert set(model.shares) == {entry.name for entry in model.sites}


@thrice
@many
@given(document=ruled_fleets(), policy=policies, own=own_sites, health=healths, load=loads)
def test_no_unhealthy_site_has_a_share_while_an_allowed_healthy_one_exists(
    part: int, document: Fleet, policy: Policy, own: str | None, health: dict[str, SiteHealth], load: Load
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own, None, health, load)
    for model in plan.models:
        up = [entry for entry in model.taking if health.get(entry.name, SiteHealth()).up]
        if up:
            assert all(health.get(name, SiteHealth()).up for name, share in model.shares.items() if share)
            down = [entry.priority for entry in model.taking if entry not in up]
            assert all(number > max(entry.priority for entry in up) for number in down)


@thrice
@many
@given(document=ruled_fleets(), policy=policies, own=own_sites, health=healths, load=loads)
def test_a_site_that_answers_wrongly_is_absent_unless_all_do(
    part: int, document: Fleet, policy: Policy, own: str | None, health: dict[str, SiteHealth], load: Load
) -> None:
    plan = make_plan(document, policy, ADDRESSES, own, None, health, load)
    for model in plan.models:
        liars = {name for name, each in health.items() if model.model in each.wrong}
        everybody = {entry.name for entry in plan.sites}
        if not everybody <= liars:
            assert not liars & {entry.name for entry in model.sites}
            assert all((model.model, name) in plan.refused for name in liars & everybody)
        else:
            assert model.model in plan.doubted


@pytest.mark.parametrize("outages", [1_000, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_no_plan_of_a_class_holds_a_site_outside_it_in_very_many_outages(outages: int) -> None:
    rng = random.Random(20261124)
    classed = 0
    for number in range(outages):
        document, health = drawn_fleet(rng), drawn_health(rng)
        orders = {name: rng.choice(list(SiteState)) for name in rng.sample(NAMES[:-1], rng.randint(0, 2))}
        policy, own = rng.choice(list(Policy)), rng.choice([None, *NAMES])
        load = Load({name: rng.random() for name in NAMES}, rate_per_s=rng.choice([0.0, 100.0]))
        plan = make_plan(document, policy, ADDRESSES, own, orders, health, load)
        of = {entry.name: entry.residency for entry in document.sites}
        for model in plan.models:
            if model.residency_class is None:
                assert not document.routing.classes, number
                continue
            classed += 1
            allowed = document.routing.classes[model.residency_class].residencies
            canary = model.canary.sites if model.canary else ()
            assert all(entry.site.residency in allowed for entry in (*model.sites, *canary)), number
            assert model.shadow is None or of[model.shadow] in allowed, number
    assert classed > outages  # the generator does make classes


@many
@given(ruled_fleets(), policies, own_sites, healths, loads, st.data())
def test_nothing_changes_while_measures_stay_inside_their_window(
    document: Fleet,
    policy: Policy,
    own: str | None,
    health: dict[str, SiteHealth],
    load: Load,
    data: st.DataObject,
) -> None:
    def shaken(value: float) -> float:
        return value * data.draw(window)

    held = steady(Load(), load)
    plan = make_plan(document, policy, ADDRESSES, own, None, health, held)
    for _ in range(3):
        measured = Load(
            {name: shaken(value) for name, value in load.latency_s.items()},
            {name: shaken(value) for name, value in load.tail_s.items()},
            shaken(load.rate_per_s),
        )
        held = steady(held, measured)
        assert make_plan(document, policy, ADDRESSES, own, None, health, held) == plan


@unhurried
@given(fleets(), own_sites)
def test_the_order_of_healthy_sites_is_the_fleets(document: Fleet, own: str | None) -> None:
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES, own)
    for model in plan.models:
        for one in model.taking:
            for two in model.taking:
                if one.site.priority < two.site.priority:
                    assert one.priority <= two.priority


@unhurried
@given(fleets(), own_sites)
def test_local_first_puts_the_own_site_alone_in_front(document: Fleet, own: str | None) -> None:
    bare = replace(document, sites=tuple(replace(each, capacity_per_s=None) for each in document.sites))
    plan = make_plan(bare, Policy.LOCAL_FIRST, ADDRESSES, own)
    for model in plan.models:
        if own in {entry.name for entry in model.taking}:
            assert [entry.name for entry in model.taking if entry.priority == 0] == [own]
        else:
            assert plan.models == make_plan(bare, Policy.PRIORITY, ADDRESSES).models


@unhurried
@given(fleets(), policies, own_sites, st.data())
def test_the_order_of_the_document_does_not_matter(
    document: Fleet, policy: Policy, own: str | None, data: st.DataObject
) -> None:
    shuffled = replace(document, sites=tuple(data.draw(st.permutations(document.sites))))
    assert make_plan(document, policy, ADDRESSES, own) == make_plan(shuffled, policy, ADDRESSES, own)
