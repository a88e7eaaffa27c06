"""The list of faults fits the sources: it cannot rot unseen between two nightly runs."""

import ast
from pathlib import Path

import pytest

from tests.mutation.fault import PROVIDERS, Area
from tests.mutation.faults import FAULTS
from tests.mutation.run import ROOT, faulty_text

BY_NAME = {fault.name: fault for fault in FAULTS}


def test_there_are_forty_faults_in_all_parts_and_six_in_the_providers() -> None:
    assert len(BY_NAME) == len(FAULTS) >= 40, "each name once"
    assert {fault.area for fault in FAULTS} == set(Area)
    assert sum(fault.area in PROVIDERS for fault in FAULTS) >= 6


@pytest.mark.parametrize("name", BY_NAME)
def test_a_fault_can_be_made(name: str) -> None:
    fault = BY_NAME[name]
    text = faulty_text(ROOT, fault)
    assert text is not None, f"{fault.file}: the old text of {name} is not there exactly once; adapt the fault to it"
    assert len(fault.breaks) > 20, "says what goes wrong"
    if fault.file.endswith(".py"):
        ast.parse(text)  # a fault that is no Python proves nothing of a test


@pytest.mark.parametrize("test", sorted({test for fault in FAULTS for test in fault.tests}))
def test_a_named_test_is_there(test: str) -> None:
    file, _, node = test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    function = node.partition("[")[0]
    names = {item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)}
    assert names if not function else function in names
    assert Path(file).parts[:2] in {("tests", "unit"), ("tests", "parity")}, "they run in seconds"


def test_every_kind_of_the_first_survey_is_among_them() -> None:
    """Of 37 faults tried by hand (issue 16) these kinds survived the unit tests."""
    assert set(BY_NAME) >= {
        "spec-everybody-by-ipv6", "envoy-token-without-expiry", "server-trailing-bytes",
        "unpacking-hard-link-to-a-link", "envoy-sni-of-an-address", "envoy-panic-threshold",
        "evidence-one-gate-of-two", "evidence-any-gate-agrees",
    }  # fmt: skip
