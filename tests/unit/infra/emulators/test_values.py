from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from trihull_infra.emulators.plugins import values
from trihull_infra.emulators.plugins.values import OUTPUT_VALUE, SIGNATURE, UNKNOWN, Secret

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text().filter(lambda text: text != values.UNKNOWN_WIRE)
    | st.just(UNKNOWN)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != SIGNATURE), inner)
)


# One recursive value in all: a dictionary of recursive values would hold a hundred leaves under each of its keys.
PROPERTIES = VALUES.map(lambda value: value if isinstance(value, dict) else {"key": value})


@given(PROPERTIES)
def test_what_goes_out_comes_back(properties: dict[str, Any]) -> None:
    assert values.from_struct(values.to_struct(properties)) == properties


def test_a_secret_is_wrapped_on_the_wire_and_open_inside() -> None:
    wire = values.to_struct({"key": Secret({"a": [1]})})
    assert wire.fields["key"].struct_value.fields[SIGNATURE].string_value == values.SECRET
    assert values.from_struct(wire) == {"key": {"a": [1]}}


def test_an_output_value_without_a_value_is_unknown() -> None:
    wire = struct_pb2.Struct()
    wire.fields["x"].struct_value.fields[SIGNATURE].string_value = OUTPUT_VALUE
    assert values.from_struct(wire) == {"x": UNKNOWN}


def test_unknowns_are_found_however_deep() -> None:
    assert values.has_unknowns({"a": [{"b": Secret(UNKNOWN)}]})
    assert not values.has_unknowns({"a": [{"b": Secret(1)}]})


def test_what_is_no_property_value_is_refused() -> None:
    with pytest.raises(TypeError, match="object is not a property value"):
        values.to_struct({"x": object()})
