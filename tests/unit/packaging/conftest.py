"""The digits model, trained once for all tests of a session in an environment and a cache of the session's own."""

import platform
from dataclasses import dataclass
from pathlib import Path

import pytest

from trihull_packaging import spec
from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps import convert, train
from trihull_packaging.steps.train import Trained

DIGITS = Path(__file__).parents[3] / "stacks" / "models" / "digits"


@dataclass(frozen=True)
class Digits:
    """What the steps `train` and `convert` gave for stacks/models/digits."""

    spec: ModelSpec
    trained: Trained
    graph: Path
    cache: Path


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("digits")
    model = spec.load(DIGITS)
    with pytest.MonkeyPatch.context() as patch:  # no longer than this: other tests have caches of their own
        patch.setenv("TRIHULL_CACHE", str(cache))
        trained = train.run(model, DIGITS, platform.python_version(), folder)
        return Digits(model, trained, convert.run(model, trained, folder), cache)
