"""Recorded samples to figures and a verdict: pure functions."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trihull_infra.drill.samples import OutageTimes, Outcome, Sample

WINDOW: Final = 20  # answers in a row that count as sustained
SETTLE_S: Final = 0.5  # answers that were already on their way when the fault came into force


@dataclass(frozen=True)
class PhaseFigures:
    """Latencies of one phase in seconds, None when it holds no answer."""

    requests: int
    lost: int
    wrong: int
    p50_s: float | None
    p99_s: float | None
    worst_s: float | None
    sites: dict[str, int]


@dataclass(frozen=True)
class Figures:
    """What a drill showed. `moved_after_s` and `came_back_after_s` count from the fault and from the healing."""

    requests: int
    lost: int
    wrong: int
    retried: int
    most_attempts: int | None
    worst_s: float | None
    before: PhaseFigures
    during: PhaseFigures
    after: PhaseFigures
    moved_after_s: float | None
    came_back_after_s: float | None
    reasons: dict[str, int]


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile (`share` in 0..1) of `values`, None when there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def split_phases(samples: Sequence[Sample], outage: OutageTimes) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Sort samples into before (answered before the fault), during, and after (due after the healing).

    A request that was on its way when the fault came belongs to the outage: its caller felt it.
    """
    before = [sample for sample in samples if sample.completed_s < outage.asked_s]
    after = [sample for sample in samples if sample.scheduled_s >= outage.healing_s]
    during = [
        sample for sample in samples if sample.completed_s >= outage.asked_s and sample.scheduled_s < outage.healing_s
    ]
    return before, during, after


def phase_figures(samples: Sequence[Sample]) -> PhaseFigures:
    """Return the figures of one phase; percentiles are over answers, `worst_s` over lost requests too."""
    answered = [sample.latency_s for sample in samples if sample.outcome is not Outcome.LOST]
    return PhaseFigures(
        requests=len(samples),
        lost=sum(sample.outcome is Outcome.LOST for sample in samples),
        wrong=sum(sample.outcome is Outcome.WRONG for sample in samples),
        p50_s=percentile(answered, 0.50),
        p99_s=percentile(answered, 0.99),
        worst_s=max((sample.latency_s for sample in samples), default=None),
        sites=dict(Counter(sample.site for sample in samples if sample.site is not None).most_common()),
    )


def moved_after_s(samples: Sequence[Sample], site: str, outage: OutageTimes) -> float | None:
    """Return how long after the fault traffic had left `site`: the first answer of another after its last one.

    None when no other site answered, or `site` did until the end of the outage.
    """
    answers = sorted(
        (sample.completed_s, sample.site)
        for sample in samples
        if sample.site is not None and outage.asked_s <= sample.completed_s < outage.healing_s
    )
    last = max((when for when, by in answers if by == site), default=outage.asked_s)
    first_other = next((when for when, by in answers if by != site and when >= last), None)
    return None if first_other is None else first_other - outage.asked_s


def came_back_after_s(samples: Sequence[Sample], site: str, outage: OutageTimes) -> float | None:
    """Return how long after healing `site` answered again as it did before.

    That is its first answer in the first `WINDOW` answers in a row of which it gave at least half the share that it
    gave before. None when there is no such window.
    """
    answers = sorted(
        (sample.completed_s, sample.site)
        for sample in samples
        if sample.site is not None and sample.completed_s >= outage.healing_s
    )
    needed = max(1.0, share_before(samples, site, outage) / 2 * WINDOW)
    for place in range(len(answers) - WINDOW + 1):
        when, by = answers[place]
        if by == site and sum(other == site for _, other in answers[place : place + WINDOW]) >= needed:
            return when - outage.healing_s
    return None


def share_before(samples: Sequence[Sample], site: str, outage: OutageTimes) -> float:
    """Return the share (0..1) of the answers that `site` gave before the fault."""
    answers = [sample.site for sample in samples if sample.site is not None and sample.completed_s < outage.asked_s]
    return answers.count(site) / len(answers) if answers else 0.0


def measure(samples: Sequence[Sample], site: str, outage: OutageTimes) -> Figures:
    """Return all figures of a drill on `site`."""
    before, during, after = split_phases(samples, outage)
    attempts = [sample.attempts for sample in samples if sample.attempts is not None]
    return Figures(
        requests=len(samples),
        lost=sum(sample.outcome is Outcome.LOST for sample in samples),
        wrong=sum(sample.outcome is Outcome.WRONG for sample in samples),
        retried=sum(count > 1 for count in attempts),
        most_attempts=max(attempts, default=None),
        worst_s=max((sample.latency_s for sample in samples), default=None),
        before=phase_figures(before),
        during=phase_figures(during),
        after=phase_figures(after),
        moved_after_s=moved_after_s(samples, site, outage),
        came_back_after_s=came_back_after_s(samples, site, outage),
        reasons=dict(Counter(sample.reason for sample in samples if sample.outcome is not Outcome.RIGHT).most_common()),
    )


def failures(samples: Sequence[Sample], figures: Figures, site: str, outage: OutageTimes) -> list[str]:
    """Return why the drill failed, worst first; empty when it passed.

    A drill whose fault changed nothing has shown nothing, so that counts as failed too.
    """
    found = []
    first = next(iter(figures.reasons), "")
    if figures.lost:
        found.append(f"{figures.lost} of {figures.requests} requests were lost ({first})")
    if figures.wrong:
        found.append(f"{figures.wrong} of {figures.requests} answers were wrong ({first})")
    if not figures.requests:
        found.append("no request was sent")
    elif share_before(samples, site, outage) == 0:
        found.append(
            f"{site} answered nothing before the fault, so that breaking it showed nothing: choose another site"
        )
    else:
        late = sum(
            sample.site == site
            and sample.scheduled_s >= outage.broken_s + SETTLE_S
            and sample.completed_s < outage.healing_s
            for sample in samples
        )
        if late:
            found.append(f"{site} answered {late} requests while it was broken: the fault had no effect")
        elif figures.moved_after_s is None:
            found.append("traffic did not move to another site")
        if figures.came_back_after_s is None:
            found.append(f"traffic did not come back to {site}")
    return found
