"""The escape hatch: what is set on resources, and that nothing of it goes unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trihull_infra.errors import SpecError
from trihull_infra.overrides import Hatch, merged

WHERE = "prod.yaml: clouds.aws.overrides"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


def test_objects_are_merged_key_by_key_and_all_else_whole() -> None:
    props = {"name": "a", "vpcConfig": {"publicAccess": True, "cidrs": ["a", "b"]}, "tags": {"owner": "x"}}
    changes = {"vpcConfig": {"cidrs": ["c"]}, "zonalShiftConfig": {"enabled": True}}
    assert merged(props, changes) == {
        "name": "a",
        "vpcConfig": {"publicAccess": True, "cidrs": ["c"]},
        "tags": {"owner": "x"},
        "zonalShiftConfig": {"enabled": True},
    }


def test_null_leaves_an_argument_out() -> None:
    assert merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"d": None}}) == {"b": {"c": 2}}


@given(OBJECTS)
def test_no_change_changes_nothing(props: dict[str, object]) -> None:
    assert merged(props, {}) == props


@given(OBJECTS, OBJECTS)
def test_setting_twice_is_setting_once(props: dict[str, object], changes: dict[str, object]) -> None:
    once = merged(props, changes)
    assert merged(once, changes) == once


@given(OBJECTS, OBJECTS)
def test_what_was_given_is_not_changed_itself(props: dict[str, object], changes: dict[str, object]) -> None:
    before = repr(props)
    merged(props, changes)
    assert repr(props) == before


def test_a_change_that_meets_no_resource_is_an_error() -> None:
    hatch = Hatch({"aws:eks/cluster:Clutser": {"a": 1}}, WHERE)
    with pytest.raises(SpecError, match=r"prod\.yaml: clouds\.aws\.overrides: no resource .* aws:eks/cluster:Clutser"):
        hatch.close()


def test_without_changes_nothing_is_told() -> None:
    hatch = Hatch({}, WHERE)
    hatch.open()
    hatch.close()
    assert hatch.told == []
