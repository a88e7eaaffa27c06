"""Which clouds a test of `tests/emulated` runs on: minutes of the engine on one in each run, on all by night.

What every cloud's site registers is planned in each run by `tests/parity`; every cloud is brought up, left unchanged
and taken down in each run by `tests/e2e/test_main_job.py` and `tests/emulated/deploy`.
"""

import pytest

from tests.parity.tokens import PROVISIONED
from trihull_infra.cloud import Cloud

IN_EACH_RUN = Cloud.AWS  # the one with a real emulator behind it
BY_NIGHT = [cloud if cloud is IN_EACH_RUN else pytest.param(cloud, marks=pytest.mark.nightly) for cloud in PROVISIONED]
