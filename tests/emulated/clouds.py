"""Which clouds a test of `tests/emulated` runs on: minutes of the engine on one in each run, on all by night.

What every cloud's site registers is planned in each run by `tests/parity`; every cloud is brought up, left unchanged
and taken down in each run by `tests/e2e/test_main_job.py` and `tests/emulated/deploy`.
"""

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

from tests.parity.tokens import PROVISIONED
from trihull_infra.cloud import Cloud

IN_EACH_RUN = Cloud.AWS  # the one with a real emulator behind it


def by_night(values: Iterable[object]) -> list[ParameterSet]:
    """Return parameters that only `make test-nightly` tries."""
    return [pytest.param(value, marks=pytest.mark.nightly) for value in values]


BY_NIGHT = [IN_EACH_RUN, *by_night(cloud for cloud in PROVISIONED if cloud is not IN_EACH_RUN)]
