"""Binary requests byte for byte: each byte of a body belongs to the JSON part or to one tensor, or it is refused."""

import itertools
import json
import struct
from typing import Any

import numpy as np
import pytest

from trihull_runtime.contract import DataType, Tensor
from trihull_runtime.server.codecs import Decoded, decode_request
from trihull_runtime.server.errors import RequestError

INPUTS = {
    "a": Tensor("a", DataType.FP32, (-1, 2)),
    "b": Tensor("b", DataType.INT64, (-1,)),
    "c": Tensor("c", DataType.BYTES, (-1,)),
}
OUTPUTS = {"label": Tensor("label", DataType.INT64, (-1,))}
BLOBS = {
    "a": np.array([0.5, 1.5, 2.5, 3.5], "<f4").tobytes(),
    "b": np.array([7, -7], "<i8").tobytes(),
    "c": struct.pack("<I", 2) + b"xy" + struct.pack("<I", 0),
}
SHAPES = {"a": [2, 2], "b": [2], "c": [2]}
EXTRA = {"a zero": b"\0", "a letter": b"x", "a line's end": b"\n", "a value's worth": b"\0" * 8, "JSON": b"{}"}


def header(order: str, **changes: dict[str, Any]) -> bytes:
    """The JSON part of a request whose tensors come in an order; `changes` are to the parameters of inputs."""
    inputs = [
        {
            "name": name,
            "shape": SHAPES[name],
            "datatype": INPUTS[name].datatype.value,
            "parameters": {"binary_data_size": len(BLOBS[name]), **changes.get(name, {})},
        }
        for name in order
    ]
    return json.dumps({"inputs": inputs}).encode()


def decode(head: bytes, rest: bytes, size: int | None = None) -> Decoded:
    return decode_request(head + rest, len(head) if size is None else size, INPUTS, OUTPUTS)


@pytest.mark.parametrize("order", ["".join(each) for each in itertools.permutations("abc")])
def test_tensors_are_taken_in_the_order_in_which_the_request_names_them(order: str) -> None:
    decoded = decode(header(order), b"".join(BLOBS[name] for name in order))
    assert decoded.rows == 2
    assert decoded.inputs["a"].tolist() == [[0.5, 1.5], [2.5, 3.5]]
    assert decoded.inputs["b"].tolist() == [7, -7]
    assert decoded.inputs["c"].tolist() == ["xy", ""]


@pytest.mark.parametrize("extra", EXTRA.values(), ids=EXTRA.keys())
def test_bytes_after_the_last_tensor_of_a_good_request_are_refused(extra: bytes) -> None:
    with pytest.raises(RequestError, match=f"^{len(extra)} bytes follow the last binary tensor$"):
        decode(header("abc"), b"".join(BLOBS.values()) + extra)


@pytest.mark.parametrize("extra", EXTRA.values(), ids=EXTRA.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
def test_bytes_before_or_between_tensors_are_refused(place: int, extra: bytes) -> None:
    blobs = list(BLOBS.values())
    blobs.insert(place, extra)
    with pytest.raises(RequestError):
        decode(header("abc"), b"".join(blobs))


@pytest.mark.parametrize("name", BLOBS)
@pytest.mark.parametrize("more", [-1, 1])
def test_a_tensor_that_takes_a_byte_of_its_neighbour_is_refused(name: str, more: int) -> None:
    """The body has as many bytes as before: only where one tensor ends and the next begins is said wrong."""
    for order in ("".join(each) for each in itertools.permutations("abc")):
        following = order[(order.index(name) + 1) % 3]
        sizes = {
            name: {"binary_data_size": len(BLOBS[name]) + more},
            following: {"binary_data_size": len(BLOBS[following]) - more},
        }
        with pytest.raises(RequestError):
            decode(header(order, **sizes), b"".join(BLOBS[one] for one in order))


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_body_that_ends_inside_a_tensor_is_refused(cut: int) -> None:
    with pytest.raises(RequestError, match="bytes are left"):
        decode(header("abc"), b"".join(BLOBS.values())[:-cut])


@pytest.mark.parametrize("extra", EXTRA.values(), ids=EXTRA.keys())
def test_bytes_after_a_request_without_binary_tensors_are_refused(extra: bytes) -> None:
    plain = json.dumps({"inputs": [{"name": "b", "shape": [1], "datatype": "INT64", "data": [1]}]}).encode()
    only = {"b": INPUTS["b"]}
    assert decode_request(plain, len(plain), only, OUTPUTS).rows == 1
    with pytest.raises(RequestError, match="bytes follow the last binary tensor"):
        decode_request(plain + extra, len(plain), only, OUTPUTS)
    if extra.strip():  # JSON may end in white space (RFC 8259, 2)
        with pytest.raises(RequestError, match="not valid"):
            decode_request(plain + extra, None, only, OUTPUTS)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_json_part_that_ends_elsewhere_than_is_said_is_refused(off: int) -> None:
    head = header("abc")
    with pytest.raises(RequestError, match="not valid"):
        decode(head, b"".join(BLOBS.values()), len(head) + off)


def test_white_space_that_belongs_to_the_json_part_is_no_tensor() -> None:
    assert decode(header("abc") + b" \n", b"".join(BLOBS.values())).rows == 2


@pytest.mark.parametrize("inside", [b"\0", b"z" * 4, struct.pack("<I", 1)])
def test_bytes_after_the_last_value_of_a_text_tensor_are_refused(inside: bytes) -> None:
    size = {"c": {"binary_data_size": len(BLOBS["c"]) + len(inside)}}
    with pytest.raises(RequestError, match="input 'c'"):
        decode(header("abc", **size), b"".join(BLOBS.values()) + inside)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize(("datatype", "dtype"), [(DataType.FP32, "<f4"), (DataType.FP64, "<f8")])
def test_a_binary_value_that_is_no_number_is_refused(value: float, datatype: DataType, dtype: str) -> None:
    blob = np.array([0.5, value], dtype).tobytes()
    tensor = {"name": "x", "shape": [2], "datatype": datatype.value, "parameters": {"binary_data_size": len(blob)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(RequestError, match="input 'x' holds NaN or Infinity"):
        decode_request(head + blob, len(head), {"x": Tensor("x", datatype, (-1,))}, OUTPUTS)


def test_a_binary_bool_is_true_or_false_and_nothing_else() -> None:
    blob = bytes([0, 1, 2, 255])
    tensor = {"name": "x", "shape": [4], "datatype": "BOOL", "parameters": {"binary_data_size": len(blob)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    array = decode_request(head + blob, len(head), {"x": Tensor("x", DataType.BOOL, (-1,))}, OUTPUTS).inputs["x"]
    assert array.dtype == np.bool_
    assert array.view(np.uint8).tolist() == [0, 1, 1, 1], "another byte would be an undefined bool in C"
