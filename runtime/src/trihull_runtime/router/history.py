"""Keeps the counters of every model and site since the control process started, for whoever opens the page later. Pure.

Times are seconds of a monotonic clock and are passed in; the value for the page holds ages, so that neither a wrong
clock here nor one in the browser moves the chart.
"""

import array
import collections
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

INTERVAL_S: Final = 2.0
SAMPLES_MAX: Final = 1800
AGE_MAX_S: Final = 3600.0
# A cell is one model's counters at one site in one sample: 16 bytes. A sample itself takes about 250 bytes, so all of
# the history stays below 4 MB.
CELLS_MAX: Final = 200_000

Key = tuple[str, str]  # model (with its class, as the status names it) and site


@dataclass(frozen=True)
class Counters:
    """Attempts sent to a site and attempts that it failed, since Envoy's start."""

    requests: int
    errors: int


@dataclass(frozen=True)
class _Sample:
    """Counters at one time, two numbers for each key; no keys when Envoy did not answer."""

    at_s: float
    keys: tuple[Key, ...]
    values: "array.array[int]"


class History:
    """A ring of samples, bounded by count, age and cells: the oldest ones make room.

    Args:
        started_s: when the control process started.
        samples_max: samples that are kept at most.
        age_max_s: the age above which a sample is dropped.
        cells_max: cells of all samples together at most; with many models the history is shorter.
    """

    def __init__(
        self,
        started_s: float,
        samples_max: int = SAMPLES_MAX,
        age_max_s: float = AGE_MAX_S,
        cells_max: int = CELLS_MAX,
    ) -> None:
        self._started_s, self._age_max_s, self._cells_max = started_s, age_max_s, cells_max
        self._samples: collections.deque[_Sample] = collections.deque()
        self._samples_max = samples_max
        self._cells = 0

    def add(self, at_s: float, counters: Mapping[Key, Counters] | None) -> None:
        """Take the counters of one moment, later than all before; None when Envoy did not answer."""
        keys = tuple(counters or ())
        if self._samples and self._samples[-1].keys == keys:
            keys = self._samples[-1].keys  # shared: the same sites for hours
        numbers = ((each.requests, each.errors) for each in (counters or {}).values())
        values = array.array("Q", itertools.chain.from_iterable(numbers))
        self._samples.append(_Sample(at_s, keys, values))
        self._cells += len(keys)
        while self._samples and self._surplus(at_s):
            self._cells -= len(self._samples.popleft().keys)

    def _surplus(self, now_s: float) -> bool:
        return (
            len(self._samples) > self._samples_max
            or self._cells > self._cells_max
            or self._samples[0].at_s < now_s - self._age_max_s
        )

    def to_value(self, now_s: float) -> dict[str, Any]:
        """Return plain values for JSON.

        `age_s` is how long the control process has run; `ages_s` are the samples' ages, oldest first; each of `series`
        has one number per sample, null where the site was not in the plan or Envoy did not answer.
        """
        samples = [sample for sample in self._samples if sample.at_s >= now_s - self._age_max_s]
        keys = list(dict.fromkeys(key for sample in samples for key in sample.keys))
        requests: dict[Key, list[int | None]] = {key: [None] * len(samples) for key in keys}
        errors: dict[Key, list[int | None]] = {key: [None] * len(samples) for key in keys}
        for place, sample in enumerate(samples):
            for index, key in enumerate(sample.keys):
                requests[key][place] = sample.values[2 * index]
                errors[key][place] = sample.values[2 * index + 1]
        return {
            "age_s": round(now_s - self._started_s, 3),
            "interval_s": INTERVAL_S,
            "age_max_s": self._age_max_s,
            "samples_max": self._samples_max,
            "ages_s": [round(now_s - sample.at_s, 3) for sample in samples],
            "series": [
                {"model": model, "site": site, "requests": requests[model, site], "errors": errors[model, site]}
                for model, site in keys
            ],
        }
