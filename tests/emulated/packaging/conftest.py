"""The digits model, trained and converted once for all tests of a session, in an environment of the user's cache."""

import platform
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.packaging.conftest import DIGITS
from trihull_packaging import spec
from trihull_packaging.spec import ModelSpec
from trihull_packaging.steps import convert, parity, train
from trihull_packaging.steps.parity import Answers, Difference
from trihull_packaging.steps.train import Trained


@dataclass(frozen=True)
class Digits:
    """What the steps `train` and `convert` gave for stacks/models/digits."""

    spec: ModelSpec
    trained: Trained
    graph: Path


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    folder = tmp_path_factory.mktemp("digits")
    model = spec.load(DIGITS)
    trained = train.run(model, DIGITS, platform.python_version(), folder)
    return Digits(model, trained, convert.run(model, trained, folder))


@pytest.fixture(scope="session")
def compared(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answers, dict[str, Difference]]:
    """What both models answered, and how far they are apart."""
    answers, differences = parity.run(digits.spec, digits.trained, digits.graph, tmp_path_factory.mktemp("compared"))
    return answers, dict(differences)
