"""The ring of counters behind the live page: bounds, gaps, and what it says of the time before."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.runtime.router.fleets import ADDRESSES, fleet, site
from trihull_runtime.contract import Policy
from trihull_runtime.router.history import AGE_MAX_S, CELLS_MAX, INTERVAL_S, SAMPLES_MAX, Counters, History
from trihull_runtime.router.planning import make_plan
from trihull_runtime.router.status import counters

AWS, GCP = ("digits", "aws"), ("digits", "gcp")


def test_samples_are_given_by_age_oldest_first_one_number_per_sample() -> None:
    history = History(100.0)
    history.add(102.0, {AWS: Counters(5, 1), GCP: Counters(0, 0)})
    history.add(104.0, {AWS: Counters(9, 1), GCP: Counters(3, 0)})
    assert history.to_value(105.0) == {
        "age_s": 5.0,
        "interval_s": INTERVAL_S,
        "age_max_s": AGE_MAX_S,
        "samples_max": SAMPLES_MAX,
        "ages_s": [3.0, 1.0],
        "series": [
            {"model": "digits", "site": "aws", "requests": [5, 9], "errors": [1, 1]},
            {"model": "digits", "site": "gcp", "requests": [0, 3], "errors": [0, 0]},
        ],
    }


def test_a_silent_envoy_and_a_site_that_comes_or_goes_leave_nulls() -> None:
    history = History(0.0)
    history.add(1.0, {AWS: Counters(1, 0)})
    history.add(2.0, None)
    history.add(3.0, {GCP: Counters(7, 2), AWS: Counters(2, 0)})
    history.add(4.0, {GCP: Counters(8, 2)})
    series = {each["site"]: each for each in history.to_value(4.0)["series"]}
    assert series["aws"]["requests"] == [1, None, 2, None]
    assert series["gcp"]["requests"] == [None, None, 7, 8]
    assert series["gcp"]["errors"] == [None, None, 2, 2]


def test_no_sample_at_all_is_an_empty_history() -> None:
    value = History(0.0).to_value(2.5)
    assert (value["age_s"], value["ages_s"], value["series"]) == (2.5, [], [])


def test_what_became_too_old_is_dropped_also_when_nothing_new_came() -> None:
    history = History(0.0, age_max_s=10.0)
    for at_s in (1.0, 6.0):
        history.add(at_s, {AWS: Counters(int(at_s), 0)})
    assert history.to_value(11.0)["ages_s"] == [10.0, 5.0]
    assert history.to_value(12.0)["ages_s"] == [6.0]
    history.add(16.5, {AWS: Counters(16, 0)})
    assert history.to_value(16.5)["series"][0]["requests"] == [16]


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [({"samples_max": 3}, [7, 8, 9]), ({"cells_max": 4}, [8, 9]), ({"age_max_s": 4.0}, [5, 6, 7, 8, 9])],
)
def test_each_bound_drops_the_oldest(bounds: dict[str, float], kept: list[int]) -> None:
    history = History(0.0, **bounds)  # type: ignore[arg-type]  # a case names one bound
    for number in range(10):
        history.add(float(number), {AWS: Counters(number, 0), GCP: Counters(0, 0)})
    assert history.to_value(9.0)["series"][0]["requests"] == kept


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=60),
    st.integers(1, 10),
    st.integers(1, 20),
    st.integers(1, 15),
)
def test_no_bound_is_ever_exceeded_and_the_newest_are_kept(
    sites: list[int | None], samples_max: int, cells_max: int, age_max_s: int
) -> None:
    history = History(0.0, samples_max, float(age_max_s), cells_max)
    for number, count in enumerate(sites):
        found = None if count is None else {("m", f"s{site}"): Counters(number, site) for site in range(count)}
        history.add(float(number), found)
        value = history.to_value(float(number))
        assert len(value["ages_s"]) <= samples_max
        assert all(age <= age_max_s for age in value["ages_s"])
        cells = [each for series in value["series"] for each in series["requests"] if each is not None]
        assert len(cells) <= cells_max
        assert all(
            len(series[key]) == len(value["ages_s"]) for series in value["series"] for key in ("requests", "errors")
        )
        if (count or 0) <= cells_max:
            assert value["ages_s"][-1] == 0.0
    assert history.to_value(float(len(sites)))["age_s"] == len(sites)


def test_a_full_history_fits_the_memory_that_the_documentation_states() -> None:
    """Counts with `tracemalloc`: samples of many models, until the bound on cells drops the oldest."""
    keys = [(f"model-{number}", site) for number in range(40) for site in ("aws", "gcp", "azure")]
    tracemalloc.start()
    try:
        history = History(0.0)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(SAMPLES_MAX + 100):
            big = (1 << 40) + number
            history.add(number * INTERVAL_S, {key: Counters(big, big) for key in keys})
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(history.to_value(SAMPLES_MAX * INTERVAL_S)["ages_s"]) == CELLS_MAX // len(keys)
    assert used < 4 << 20


def test_counters_are_those_of_every_model_and_site_of_the_plan() -> None:
    def host(zone: str, requests: int) -> dict[str, object]:
        stats = [{"name": "rq_total", "value": f"{requests}"}, {"name": "rq_error", "value": "1"}]
        return {"locality": {"zone": zone}, "stats": stats, "health_status": {}}

    plan = make_plan(fleet(site("aws"), site("gcp", url="http://one.example.org:1")), Policy.PRIORITY, ADDRESSES)
    hosts = [host("aws", 4), host("gcp", 2), host("gcp", 3)]
    found = counters(plan, {"cluster_statuses": [{"name": "model-digits", "host_statuses": hosts}]})
    assert found == {AWS: Counters(4, 1), GCP: Counters(5, 2)}
