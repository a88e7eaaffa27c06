"""Known answers: what is asked, and how an answer is judged. What travels is tested with a real Envoy in failover/."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.runtime.router.fleets import DIGEST, OTHER
from trihull_runtime.contract import DataType, KnownAnswer, KnownTensor
from trihull_runtime.router.asking import Answer
from trihull_runtime.router.conditions import Verdict
from trihull_runtime.router.envoy.refusing import RELEASE_HEADER
from trihull_runtime.router.measuring import ENOUGH, Sample, rate_per_s, sample_of, tails_s, timed_percent
from trihull_runtime.router.probing import difference, judge, request_of
from trihull_runtime.router.shadowing import differs

KNOWN = KnownAnswer(
    DIGEST,
    (KnownTensor("pixels", DataType.FP32, (1, 2), (0.5, 1.0)),),
    (KnownTensor("label", DataType.INT64, (1,), (7.0,)), KnownTensor("p", DataType.FP32, (1, 2), (0.25, 0.75))),
)


def body(label: Any = 7, p: Any = (0.25, 0.75), **more: Any) -> bytes:
    outputs = [{"name": "label", "data": [label]}, {"name": "p", "data": list(p)}]
    return json.dumps({"outputs": outputs, **more}).encode()


def answer(data: bytes, status: int = 200, release: str = DIGEST) -> Answer:
    return Answer(status, {RELEASE_HEADER: release} if release else {}, data)


def test_the_request_is_one_of_the_protocol() -> None:
    value = json.loads(request_of(KNOWN))
    assert value["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1.0]}]
    whole = replace(KNOWN, inputs=(KnownTensor("n", DataType.INT64, (1,), (3.0,)),))
    assert json.loads(request_of(whole))["inputs"][0]["data"] == [3]
    texts = replace(KNOWN, inputs=(KnownTensor("t", DataType.BYTES, (1,), (), ("a",)),))
    assert json.loads(request_of(texts))["inputs"][0]["data"] == ["a"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (body(), ""),
        (body(p=(0.25009, 0.74991)), ""),
        (body(p=[[0.25, 0.75]]), ""),
        (body(label=4), "output label is 4 at 0, expected 7"),
        (body(p=(0.2, 0.8)), "output p is 0.2 at 0"),
        (body(p=(0.25,)), "has 1 values, expected 2"),
        (body(label="7"), "output label is 7"),
        (body(p=(float("nan"), 0.75)), "output p"),
        (b'{"outputs": [{"name": "label", "data": [7]}]}', "output p is missing"),
        (b"<html>", "not one of the Open Inference Protocol"),
        (b'{"outputs": 3}', "not one of the Open Inference Protocol"),
        (b'{"outputs": [{"name": "label", "data": 7}]}', "output label is missing"),
    ],
)
def test_a_difference_is_named(data: bytes, words: str) -> None:
    found = difference(KNOWN, data)
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (answer(body()), Verdict.RIGHT),
        (answer(body(label=4)), Verdict.WRONG),
        (answer(body(label=4), release=OTHER), Verdict.STALE),
        (answer(b"", 404, OTHER), Verdict.STALE),
        (answer(b"", 500), Verdict.FAILED),
        (answer(b"", 404, ""), Verdict.FAILED),
        (answer(b"", 503), None),
        (answer(b"", 429), None),
        (answer(body(label=4), release=""), Verdict.RIGHT),  # Envoy refuses an answer that names no release
    ],
)
def test_answers_are_judged(found: Answer, verdict: Verdict | None) -> None:
    assert judge(found, (DIGEST,), {DIGEST: KNOWN})[0] is verdict


def test_any_release_is_right_where_none_is_asked_for() -> None:
    assert judge(answer(b"", release=OTHER), (), {})[0] is Verdict.RIGHT


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (answer(body(id="1")), answer(body(id="2")), ""),
        (answer(body()), answer(body(p=(0.25001, 0.74999))), ""),
        (answer(body()), answer(body(p=(0.3, 0.7))), "output p differs"),
        (answer(body()), answer(body(), 500), "status 500 where the sites answer 200"),
        (answer(body()), answer(b"x"), "not JSON"),
        (answer(b"\0"), answer(b"\1"), "not JSON"),
        (answer(body()), answer(b'{"outputs": []}'), "where the sites give label, p"),
    ],
)
def test_a_shadow_is_compared_by_outputs(ours: Answer, theirs: Answer, words: str) -> None:
    found = differs(ours, theirs)
    assert words in found
    assert bool(words) == bool(found)


def page(requests: int, buckets: dict[float, int]) -> dict[str, Any]:
    listed = [{"upper_bound": bound, "cumulative": count, "interval": 0} for bound, count in buckets.items()]
    histogram = {"name": "trihull_attempts.duration.site.aws", "buckets": listed}
    return {
        "stats": [
            {"name": "http.ingress.downstream_rq_completed", "value": requests},
            {"histograms": [histogram, {"name": "other", "buckets": []}]},
        ]
    }


def test_rates_and_tails_are_those_of_the_time_between() -> None:
    before = sample_of(page(100, {1.0: 0, 100.0: 1000, 5000.0: 1000}), 10.0)
    now = sample_of(page(1100, {1.0: 500, 100.0: 1999, 5000.0: 2001}), 20.0)
    assert rate_per_s(before, now) == 100.0
    assert tails_s(before, now) == {"aws": 5.0}  # 2 of 1,001 took longer than 100 ms
    assert rate_per_s(now, Sample(30.0, 5)) == 0.0  # another Envoy counts from 0


def test_a_tail_of_few_answers_is_none() -> None:
    before, now = Sample(0, 0), sample_of(page(1, {1.0: ENOUGH - 1}), 1)
    assert tails_s(before, now) == {}


@pytest.mark.parametrize(("per_s", "percent"), [(0.0, 100), (1000.0, 100), (2000.0, 50), (12_000.0, 8), (1e7, 1)])
def test_of_very_many_attempts_about_a_thousand_a_second_are_timed(per_s: float, percent: int) -> None:
    assert timed_percent(per_s) == percent
