"""What happened to a site and how it is thought of: steps back, damping, pauses, liars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.runtime.router.fleets import unhurried
from trihull_runtime.router.conditions import RAMP_PERCENT, Conditions, Verdict
from trihull_runtime.router.health import SiteHealth
from trihull_runtime.router.timings import LAB, WAN

STEP = WAN.ramp_step_s


@pytest.fixture
def conditions() -> Conditions:
    return Conditions(WAN)


def of(conditions: Conditions, now: float, site: str = "aws") -> SiteHealth:
    return conditions.health(now).get(site, SiteHealth())


def test_a_site_that_nothing_happened_to_is_not_named(conditions: Conditions) -> None:
    assert conditions.health(0) == {}


def test_down_is_down_until_every_source_takes_it_back(conditions: Conditions) -> None:
    conditions.down("aws", "check", "no connection", 0)
    conditions.down("aws", "outlier", "3 x 503", 1)
    conditions.up("aws", "check", 2)
    assert not of(conditions, 2).up
    assert of(conditions, 2).reason == "3 x 503"
    conditions.up("aws", "outlier", 3)
    assert of(conditions, 3).up


def test_a_site_comes_back_in_steps(conditions: Conditions) -> None:
    conditions.down("aws", "check", "x", 0)
    conditions.up("aws", "check", 100)
    found = [of(conditions, 100 + number * STEP).limit_percent for number in range(5)]
    assert found == [*RAMP_PERCENT, 100, 100]
    assert of(conditions, 100 + 10 * STEP) == SiteHealth()


def test_an_outage_in_the_middle_of_the_steps_begins_them_anew(conditions: Conditions) -> None:
    conditions.down("aws", "check", "x", 0)
    conditions.up("aws", "check", 10)
    conditions.down("aws", "check", "x", 10 + 2 * STEP)
    conditions.up("aws", "check", 12 + 2 * STEP)
    assert of(conditions, 12 + 2 * STEP).limit_percent == RAMP_PERCENT[0]


def test_a_flapping_site_is_suppressed_and_forgiven_when_it_stays(conditions: Conditions) -> None:
    now = 0.0
    for _ in range(4):
        conditions.down("aws", "check", "x", now)
        conditions.up("aws", "check", now + 0.5)
        now += 1
    assert of(conditions, now).suppressed
    assert of(conditions, now + WAN.damping_half_life_s).suppressed
    assert not of(conditions, now + 3 * WAN.damping_half_life_s).suppressed


def test_two_outages_far_apart_are_no_flapping(conditions: Conditions) -> None:
    for hour in range(10):
        conditions.down("aws", "check", "x", hour * 3600)
        conditions.up("aws", "check", hour * 3600 + 1)
    assert not of(conditions, 10 * 3600).suppressed


def test_an_ejection_ends_by_itself_and_lasts_longer_each_time(conditions: Conditions) -> None:
    conditions.ejected("aws", "outlier", "3 x 503", 0, "digits")
    assert not of(conditions, WAN.ejection_base_s - 0.1).of("digits").up
    assert of(conditions, WAN.ejection_base_s - 0.1).of("iris").up
    after = of(conditions, WAN.ejection_base_s + 0.1).of("digits")
    assert (after.up, after.limit_percent) == (True, RAMP_PERCENT[0])
    conditions.ejected("aws", "outlier", "3 x 503", 6, "digits")
    assert not of(conditions, 6 + 1.5 * WAN.ejection_base_s).of("digits").up


def test_a_pause_that_a_site_asked_for_is_kept_but_not_for_ever(conditions: Conditions) -> None:
    conditions.busy("aws", 7, "it answered 429", 0)
    assert not of(conditions, 6.9).up
    assert of(conditions, 7.1) == SiteHealth()
    conditions.busy("aws", 1e9, "it answered 429", 10)
    assert of(conditions, 10 + WAN.busy_max_s + 1).up


def test_truncated_answers_in_a_row_get_a_pause(conditions: Conditions) -> None:
    assert [conditions.cut_short("aws", now) for now in (0.0, 1.0, 2.0)] == [False, False, True]
    assert "cut short" in of(conditions, 2.1).reason
    assert [conditions.cut_short("gcp", now) for now in (0.0, 20.0, 40.0)] == [False, False, False]


def test_a_wrong_answer_counts_at_once_and_is_believed_again_after_three_right_ones(conditions: Conditions) -> None:
    assert conditions.answered("aws", "digits", Verdict.WRONG, "it says 4", 0)
    assert of(conditions, 0).wrong == {"digits": "it says 4"}
    told = [conditions.answered("aws", "digits", Verdict.RIGHT, "", now) for now in (1, 2, 3)]
    assert told == [False, False, True]
    assert of(conditions, 3).wrong == {}


def test_a_stale_site_is_believed_as_soon_as_it_converged(conditions: Conditions) -> None:
    conditions.answered("aws", "digits", Verdict.STALE, "old", 0)
    assert of(conditions, 0).stale == {"digits": "old"}
    assert conditions.answered("aws", "digits", Verdict.RIGHT, "", 1)
    assert of(conditions, 1).stale == {}


def test_questions_without_an_answer_take_the_model_out_there_after_three(conditions: Conditions) -> None:
    for now in range(2):
        conditions.answered("aws", "digits", Verdict.FAILED, "status 500", now)
    assert of(conditions, 2).of("digits").up
    conditions.answered("aws", "digits", Verdict.FAILED, "status 500", 2)
    assert not of(conditions, 2).of("digits").up
    assert of(conditions, 2).of("iris").up
    conditions.answered("aws", "digits", Verdict.RIGHT, "", 3)
    assert of(conditions, 3).of("digits").limit_percent == RAMP_PERCENT[0]


def test_another_envoy_knows_nothing_but_what_was_asked_stays(conditions: Conditions) -> None:
    conditions.down("aws", "check", "x", 0)
    conditions.answered("gcp", "digits", Verdict.WRONG, "it says 4", 0)
    conditions.forget_envoy()
    assert of(conditions, 1).up
    assert of(conditions, 1, "gcp").wrong


def test_sites_that_left_the_fleet_are_forgotten(conditions: Conditions) -> None:
    conditions.down("aws", "check", "x", 0)
    conditions.busy("gcp", 9, "x", 0)
    conditions.answered("azure", "digits", Verdict.WRONG, "x", 0)
    conditions.forget(["gcp"])
    assert set(conditions.health(1)) == {"gcp"}


steps = st.lists(
    st.tuples(st.sampled_from(["down", "up", "eject", "busy", "cut"]), st.sampled_from("abc"), st.floats(0, 5)),
    max_size=40,
)


@unhurried
@given(steps)
def test_left_alone_every_site_is_well_again_in_the_end(story: list[tuple[str, str, float]]) -> None:
    conditions, now = Conditions(LAB), 0.0
    for what, site, pause in story:
        now += pause
        match what:
            case "down":
                conditions.down(site, "check", "x", now)
            case "up":
                conditions.up(site, "check", now)
            case "eject":
                conditions.ejected(site, "outlier", "x", now)
            case "busy":
                conditions.busy(site, pause, "x", now)
            case _:
                conditions.cut_short(site, now)
        assert conditions.health(now) == conditions.health(now)
    for site in "abc":
        conditions.up(site, "check", now)
    conditions.health(now + LAB.ejection_max_s)  # whatever was held ends here, and the steps back begin
    later = now + LAB.ejection_max_s + 4 * LAB.ramp_step_s + 4 * LAB.damping_half_life_s
    assert all(each == SiteHealth() for each in conditions.health(later).values())
