"""Figures over recorded samples: percentiles, phases, moves; also where a phase holds nothing."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trihull_infra.drill.measures import (
    came_back_after_s,
    failures,
    measure,
    moved_after_s,
    percentile,
    share_before,
    split_phases,
)
from trihull_infra.drill.samples import OutageTimes, Outcome, Sample

OUTAGE = OutageTimes(asked_s=5.0, broken_s=5.1, healing_s=15.0, healed_s=15.5)


def timeline(sites: Sequence[tuple[float, float, str]], rate_per_s: float = 10.0) -> list[Sample]:
    """Return samples at a steady rate: (from, to, site) spans, each answer after 10 ms."""
    return [
        Sample(index / rate_per_s, 0.01, Outcome.RIGHT, site, 1)
        for start, end, site in sites
        for index in range(round(start * rate_per_s), round(end * rate_per_s))
    ]


GOOD = timeline([(0, 5, "aws"), (5, 18, "gcp"), (18, 30, "aws")])


def test_percentiles_are_nearest_rank() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0, 0.2, 0.5, 0.99, 1)] == [1, 1, 3, 5, 5]
    assert percentile([7.0], 0.5) == 7
    assert percentile([], 0.5) is None


@given(some.lists(some.floats(0, 100), min_size=1), some.floats(0, 1))
def test_a_percentile_is_one_of_the_values_with_enough_at_or_below_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_a_good_drill_has_no_failures_and_its_moves_are_measured() -> None:
    figures = measure(GOOD, "aws", OUTAGE)
    assert failures(GOOD, figures, "aws", OUTAGE) == []
    assert figures.moved_after_s == pytest.approx(0.01)
    assert figures.came_back_after_s == pytest.approx(3.01)
    assert (figures.before.sites, figures.during.sites) == ({"aws": 50}, {"gcp": 100})
    assert figures.after.requests == 150


def test_no_samples_at_all_is_a_failure_not_a_crash() -> None:
    figures = measure([], "aws", OUTAGE)
    assert figures.before.p99_s is figures.worst_s is figures.moved_after_s is figures.most_attempts is None
    assert failures([], figures, "aws", OUTAGE) == ["no request was sent"]


def test_a_phase_in_which_everything_was_lost_has_no_percentiles() -> None:
    lost = [Sample(index / 10, 1.0, Outcome.LOST, reason="no connection") for index in range(50, 150)]
    samples = [*timeline([(0, 5, "aws"), (15, 30, "aws")]), *lost]
    figures = measure(samples, "aws", OUTAGE)
    assert figures.during.p50_s is figures.during.p99_s is None
    assert figures.during.worst_s == 1.0
    assert figures.reasons == {"no connection": 100}
    assert failures(samples, figures, "aws", OUTAGE) == [
        "100 of 300 requests were lost (no connection)",
        "traffic did not move to another site",
    ]


def test_a_request_on_its_way_when_the_fault_came_belongs_to_the_outage() -> None:
    caught = Sample(4.95, 1.0, Outcome.RIGHT, "gcp", 2)
    before, during, after = split_phases([caught], OUTAGE)
    assert (before, during, after) == ([], [caught], [])


def test_traffic_has_moved_when_the_broken_site_gave_its_last_answer_and_another_follows() -> None:
    samples = timeline([(0, 5.5, "aws"), (5.5, 6, "gcp"), (6, 6.2, "aws"), (6.2, 15, "gcp")])
    assert moved_after_s(samples, "aws", OUTAGE) == pytest.approx(1.21)
    assert moved_after_s(timeline([(0, 15, "aws")]), "aws", OUTAGE) is None


def test_a_few_answers_of_the_healed_site_are_not_a_return() -> None:
    flapping = timeline([(0, 5, "aws"), (5, 18, "gcp"), (18, 18.3, "aws"), (18.3, 25, "gcp"), (25, 30, "aws")])
    assert came_back_after_s(flapping, "aws", OUTAGE) == pytest.approx(9.61, abs=0.6)
    never = timeline([(0, 5, "aws"), (5, 28.6, "gcp"), (28.6, 30, "aws")])
    assert came_back_after_s(never, "aws", OUTAGE) is None


def test_a_site_with_a_share_of_the_traffic_is_back_with_half_that_share() -> None:
    shared = [
        Sample(index / 10, 0.01, Outcome.RIGHT, "aws" if index % 3 == 0 and not 50 <= index < 180 else "gcp", 1)
        for index in range(300)
    ]
    assert share_before(shared, "aws", OUTAGE) == pytest.approx(1 / 3, abs=0.02)
    back = came_back_after_s(shared, "aws", OUTAGE)
    assert back is not None
    assert 3.0 <= back <= 3.2
    assert failures(shared, measure(shared, "aws", OUTAGE), "aws", OUTAGE) == []


def test_a_broken_site_that_answers_shows_that_the_fault_did_nothing() -> None:
    samples = timeline([(0, 30, "aws")])
    found = failures(samples, measure(samples, "aws", OUTAGE), "aws", OUTAGE)
    assert found == ["aws answered 94 requests while it was broken: the fault had no effect"]


def test_an_answer_that_a_frozen_site_gave_after_thawing_is_not_held_against_the_fault() -> None:
    thawed = [Sample(10.0, 5.5, Outcome.RIGHT, "aws", 1)]
    samples = [*GOOD, *thawed]
    assert failures(samples, measure(samples, "aws", OUTAGE), "aws", OUTAGE) == []


def test_a_site_that_had_no_traffic_fails_whatever_else_was_right() -> None:
    samples = timeline([(0, 30, "gcp")])
    found = failures(samples, measure(samples, "aws", OUTAGE), "aws", OUTAGE)
    assert found == ["aws answered nothing before the fault, so that breaking it showed nothing: choose another site"]
