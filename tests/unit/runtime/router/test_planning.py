"""Single decisions, one by one; what holds for all of them is in test_plan."""

from dataclasses import replace

import pytest

from tests.unit.runtime.router.fleets import ADDRESSES, CA, DIGEST, OTHER, fleet, site
from trihull_runtime.contract import Canary, Fleet, Policy, ResidencyClass, Routing, Shadow, SiteState
from trihull_runtime.router.errors import RouterError
from trihull_runtime.router.health import Load, SiteHealth
from trihull_runtime.router.plan import ModelPlan, PlannedSite, TrafficPlan
from trihull_runtime.router.planning import make_plan


def only(plan: TrafficPlan) -> tuple[PlannedSite, ...]:
    """The sites of the only model."""
    (model,) = plan.models
    return model.sites


def shares(plan: TrafficPlan) -> dict[str, int]:
    return {entry.name: entry.share_percent for entry in only(plan)}


def order(plan: TrafficPlan) -> list[list[str]]:
    """The sites that take requests, priority by priority."""
    taking = [entry for entry in only(plan) if not entry.draining]
    numbers = sorted({entry.priority for entry in taking})
    return [sorted(entry.name for entry in taking if entry.priority == number) for number in numbers]


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
    assert shares(plan) == {"aws": 67, "gcp": 33, "azure": 0}


def test_a_draining_first_choice_passes_its_share_on() -> None:
    document = fleet(site("aws", 0, state=SiteState.DRAINING), site("gcp", 1))
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES)
    assert shares(plan) == {"aws": 0, "gcp": 100}


def test_every_model_is_planned_with_its_own_releases() -> None:
    document = fleet(site("aws", url="https://192.0.2.1:1", ca_certificate=CA), models={"b": (DIGEST,), "a": (DIGEST,)})
    plan = make_plan(document, Policy.PRIORITY, ADDRESSES)
    assert [(model.model, model.accepted) for model in plan.models] == [("a", (DIGEST,)), ("b", (DIGEST,))]


THREE = fleet(site("aws", 0), site("gcp", 1), site("azure", 2))


def planned(document: Fleet = THREE, policy: Policy = Policy.PRIORITY, **health: SiteHealth) -> TrafficPlan:
    return make_plan(document, policy, ADDRESSES, health=health)


def test_a_site_that_is_down_goes_to_the_end() -> None:
    assert order(planned(aws=SiteHealth(up=False))) == [["gcp"], ["azure"], ["aws"]]


def test_when_every_site_is_said_to_be_down_all_share_alike() -> None:
    down = SiteHealth(up=False)
    plan = planned(aws=down, gcp=down, azure=down)
    assert order(plan) == [["aws", "azure", "gcp"]]
    assert shares(plan) == {"aws": 34, "azure": 33, "gcp": 33}


def test_a_site_that_comes_back_gets_its_share_in_steps_and_the_next_ones_the_rest() -> None:
    steps = [shares(planned(aws=SiteHealth(limit_percent=limit))) for limit in (5, 25, 50, 100)]
    assert [step["aws"] for step in steps] == [5, 25, 50, 100]
    assert [step["gcp"] for step in steps] == [95, 75, 50, 0]


def test_a_lone_site_that_comes_back_gets_everything() -> None:
    assert shares(planned(fleet(site("aws")), aws=SiteHealth(limit_percent=5))) == {"aws": 100}


def test_a_flapping_site_is_asked_after_all_others() -> None:
    assert order(planned(aws=SiteHealth(suppressed=True))) == [["gcp"], ["azure"], ["aws"]]


def test_what_is_above_a_sites_capacity_goes_to_the_next_site() -> None:
    document = fleet(site("aws", 0, capacity_per_s=60.0), site("gcp", 1, capacity_per_s=30.0), site("azure", 2))
    found = {
        rate: shares(make_plan(document, Policy.PRIORITY, ADDRESSES, load=Load(rate_per_s=rate)))
        for rate in (50.0, 100.0, 200.0)
    }
    assert found[50.0] == {"aws": 100, "gcp": 0, "azure": 0}
    assert found[100.0] == {"aws": 60, "gcp": 30, "azure": 10}
    assert found[200.0] == {"aws": 30, "gcp": 15, "azure": 55}


def test_a_site_that_comes_back_takes_the_lesser_of_its_step_and_its_capacity() -> None:
    document = fleet(site("aws", 0, capacity_per_s=60.0), site("gcp", 1))
    found = {
        (step, rate): shares(
            make_plan(
                document,
                Policy.PRIORITY,
                ADDRESSES,
                health={"aws": SiteHealth(limit_percent=step)},
                load=Load(rate_per_s=rate),
            )
        )["aws"]
        for step in (25, 100)
        for rate in (100.0, 600.0)
    }
    assert found == {(25, 100.0): 25, (25, 600.0): 10, (100, 100.0): 60, (100, 600.0): 10}


def test_weighted_splits_over_all_sites() -> None:
    document = fleet(site("aws", 0, 70), site("gcp", 5, 30))
    assert shares(planned(document, Policy.WEIGHTED)) == {"aws": 70, "gcp": 30}


def test_fastest_goes_by_latency_and_what_was_never_measured_comes_last() -> None:
    plan = make_plan(THREE, Policy.FASTEST, ADDRESSES, load=Load({"azure": 0.01, "gcp": 0.02}))
    assert order(plan) == [["azure"], ["gcp"], ["aws"]]


def test_the_fleets_own_policy_wins() -> None:
    document = replace(THREE, routing=Routing(policy=Policy.WEIGHTED))
    assert shares(planned(document)) == {"aws": 34, "azure": 33, "gcp": 33}


def test_a_class_without_a_site_refuses_and_takes_no_other_with_it() -> None:
    classes = {"eu": ResidencyClass(("eu",)), "moon": ResidencyClass(("moon",))}
    plan = planned(replace(THREE, routing=Routing(classes=classes)))
    found = {model.residency_class: model for model in plan.models}
    assert found["eu"].sites
    assert not found["moon"].sites
    assert "moon" in found["moon"].refusal
    assert any("digits@moon" in warning for warning in plan.warnings)


def test_a_class_whose_only_site_is_down_keeps_it_and_no_other() -> None:
    document = fleet(site("aws", residency="ch"), site("gcp"))
    ruled = replace(document, routing=Routing(classes={"ch": ResidencyClass(("ch",))}))
    assert [entry.name for entry in only(planned(ruled, aws=SiteHealth(up=False)))] == ["aws"]


def canaried(**health: SiteHealth) -> ModelPlan:
    document = replace(THREE, routing=Routing(canaries={"digits": Canary(("gcp",), 10)}))
    return make_plan(document, Policy.PRIORITY, ADDRESSES, health=health).models[0]


def test_a_canary_gets_its_part_and_each_side_falls_back_on_the_other() -> None:
    model = canaried()
    assert model.canary is not None
    assert model.shares == {"aws": 90, "gcp": 10, "azure": 0}
    assert [entry.name for entry in model.sites] == ["aws", "azure", "gcp"]
    assert [entry.name for entry in model.canary.sites] == ["gcp", "aws", "azure"]
    assert canaried(gcp=SiteHealth(up=False)).shares == {"aws": 100, "gcp": 0, "azure": 0}


def test_a_canary_of_every_site_is_no_canary() -> None:
    document = replace(THREE, routing=Routing(canaries={"digits": Canary(("aws", "gcp", "azure"), 10)}))
    assert planned(document).models[0].canary is None


def test_a_shadow_answers_no_client() -> None:
    model = planned(replace(THREE, routing=Routing(shadows={"digits": Shadow("aws", 20)}))).models[0]
    assert (model.shadow, model.shadow_percent) == ("aws", 20)
    assert [entry.name for entry in model.sites] == ["gcp", "azure"]


def test_stale_sites_stay_when_all_are_so_that_they_may_converge() -> None:
    stale = SiteHealth(stale={"digits": "it serves an old one"})
    assert [entry.name for entry in only(planned(aws=stale))] == ["gcp", "azure"]
    assert [entry.name for entry in only(planned(aws=stale, gcp=stale, azure=stale))] == ["aws", "gcp", "azure"]


def test_a_liar_is_left_out_even_when_nobody_else_is_well() -> None:
    liar, down = SiteHealth(wrong={"digits": "it says 4"}), SiteHealth(up=False)
    plan = planned(aws=liar, gcp=down, azure=down)
    assert [entry.name for entry in only(plan)] == ["gcp", "azure"]
    assert plan.refused == {("digits", "aws"): "it says 4"}


def test_one_model_may_be_down_where_another_is_well() -> None:
    document = replace(THREE, models={"digits": (DIGEST,), "iris": (OTHER,)})
    health = SiteHealth(models={"iris": SiteHealth(up=False)})
    found = {model.model: model.shares for model in planned(document, aws=health).models}
    assert found == {"digits": {"aws": 100, "gcp": 0, "azure": 0}, "iris": {"gcp": 100, "azure": 0, "aws": 0}}


def test_the_tail_is_that_of_the_slowest_site_with_a_share() -> None:
    document = replace(THREE, routing=Routing(policy=Policy.WEIGHTED))
    known = Load(tail_s={"aws": 0.1, "gcp": 0.3, "azure": 0.2})
    assert make_plan(document, Policy.PRIORITY, ADDRESSES, load=known).models[0].tail_s == 0.3
    partly = Load(tail_s={"aws": 0.1, "gcp": 0.3})
    assert make_plan(document, Policy.PRIORITY, ADDRESSES, load=partly).models[0].tail_s is None
