"""Bytes to tensors and back: V2 JSON and the binary tensor extension. Pure functions, no state.

Protocol: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md; binary tensors:
github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

import functools
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from trihull_runtime.contract import DataType, Tensor
from trihull_runtime.server.errors import ModelRunError, RequestError
from trihull_runtime.server.model import NUMPY_TYPES, Array

Parameters = dict[str, bool | int | float | str]


class RequestInput(msgspec.Struct, forbid_unknown_fields=True):
    """One input as it stands in a request; `data` is still JSON text."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters = {}
    data: msgspec.Raw = msgspec.Raw()


class RequestOutput(msgspec.Struct, forbid_unknown_fields=True):
    """One output that a request asks for."""

    name: str
    parameters: Parameters = {}


class InferRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A V2 inference request."""

    inputs: list[RequestInput]
    id: str | None = None
    parameters: Parameters = {}
    outputs: list[RequestOutput] | None = None


@dataclass(frozen=True)
class Decoded:
    """A request in tensors: `binary` holds the names of the outputs that are wanted as raw bytes."""

    id: str | None
    inputs: Mapping[str, Array]
    outputs: Sequence[str]
    binary: frozenset[str]
    rows: int


_REQUEST = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()
_SCALARS: Mapping[DataType, type] = {
    DataType.BOOL: bool,
    DataType.INT32: int,
    DataType.INT64: int,
    DataType.FP32: float,
    DataType.FP64: float,
    DataType.BYTES: str,
}


def decode_request(
    body: bytes, header_size: int | None, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
) -> Decoded:
    """Read and check a request against a model's signature.

    Args:
        body: the whole body.
        header_size: length in bytes of the JSON at its start when binary tensors follow, else None.
        inputs: the signature's inputs by name.
        outputs: the signature's outputs by name.

    Raises:
        RequestError: whatever is wrong with the request, named.
    """
    if header_size is not None and not 0 < header_size <= len(body):
        problem = f"inference-header-content-length is {header_size}, but the body has {len(body)} bytes"
        raise RequestError(problem)
    rest = memoryview(body)[header_size:] if header_size is not None else memoryview(b"")
    try:
        request = _REQUEST.decode(body if header_size is None else memoryview(body)[:header_size])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the request is not valid: {error}") from error
    except RecursionError as error:
        raise RequestError("the request is not valid: JSON is nested too deeply") from error
    arrays: dict[str, Array] = {}
    for given in request.inputs:
        tensor = inputs.get(given.name)
        if tensor is None:
            raise RequestError(f"unknown input {given.name!r}; this model takes {', '.join(inputs)}")
        if given.name in arrays:
            raise RequestError(f"input {given.name!r} stands twice in the request")
        _check_declared(given, tensor)
        if "binary_data_size" in given.parameters:
            arrays[given.name], rest = _take_binary(given, tensor, rest)
        else:
            arrays[given.name] = _decode_data(given, tensor)
    if missing := [name for name in inputs if name not in arrays]:
        raise RequestError(f"missing input {', '.join(map(repr, missing))}")
    if len(rest):
        raise RequestError(f"{len(rest)} bytes follow the last binary tensor")
    rows = {array.shape[0] for array in arrays.values()}
    if len(rows) > 1:
        raise RequestError(f"the inputs differ in their number of rows: {', '.join(map(str, sorted(rows)))}")
    return _decoded(request, arrays, outputs, rows.pop())


def encode_response(
    model_name: str, model_version: str, request: Decoded, tensors: Sequence[Tensor], arrays: Sequence[Array]
) -> tuple[bytes, int | None]:
    """Write an answer.

    Returns:
        The body, and the length of its JSON part when binary tensors follow (else None).

    Raises:
        ModelRunError: the model gave a value that JSON cannot hold.
    """
    results: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for tensor, array in zip(tensors, arrays, strict=True):
        result: dict[str, Any] = {"name": tensor.name, "shape": array.shape, "datatype": tensor.datatype.value}
        if tensor.name in request.binary:
            blobs.append(_binary(tensor, array))
            result["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ModelRunError(
                    f"output {tensor.name!r} holds NaN or Infinity, which JSON cannot; ask for it as binary data"
                )
            result["data"] = array.ravel().tolist()
        results.append(result)
    answer: dict[str, Any] = {"model_name": model_name, "model_version": model_version}
    if request.id is not None:
        answer["id"] = request.id
    answer["outputs"] = results
    header = _ENCODER.encode(answer)
    return (b"".join([header, *blobs]), len(header)) if blobs else (header, None)


def _decoded(request: InferRequest, arrays: dict[str, Array], outputs: Mapping[str, Tensor], rows: int) -> Decoded:
    everything_binary = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        names = list(outputs)
        return Decoded(request.id, arrays, names, frozenset(names if everything_binary else ()), rows)
    names = []
    binary = set()
    for wanted in request.outputs:
        if wanted.name not in outputs:
            raise RequestError(f"unknown output {wanted.name!r}; this model gives {', '.join(outputs)}")
        if wanted.name in names:
            raise RequestError(f"output {wanted.name!r} stands twice in the request")
        names.append(wanted.name)
        if wanted.parameters.get("binary_data", everything_binary) is True:
            binary.add(wanted.name)
    return Decoded(request.id, arrays, names, frozenset(binary), rows)


def _check_declared(given: RequestInput, tensor: Tensor) -> None:
    if given.datatype != tensor.datatype:
        raise RequestError(f"input {given.name!r} is {given.datatype!r}; this model takes {tensor.datatype}")
    fits = len(given.shape) == len(tensor.shape) and all(
        size == said or (said < 0 and size >= 0) for size, said in zip(given.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise RequestError(
            f"input {given.name!r} has shape {given.shape}; this model takes {list(tensor.shape)} (-1 is any size)"
        )
    if given.shape[0] == 0:
        raise RequestError(f"input {given.name!r} has no rows")


@functools.cache
def _data_decoder(datatype: DataType, depth: int) -> msgspec.json.Decoder[Any]:
    kind: Any = _SCALARS[datatype]
    for _ in range(depth):
        kind = list[kind]
    return msgspec.json.Decoder(kind)


def _decode_data(given: RequestInput, tensor: Tensor) -> Array:
    if not given.data:
        raise RequestError(f"input {given.name!r} has neither data nor parameters.binary_data_size")
    # Flat or nested by the first thing inside the outer list; a nested one must be as deep as its shape says.
    start = bytes(memoryview(given.data)[:64]).translate(None, b" \n\t\r")
    nested = start.startswith(b"[[") and len(given.shape) > 1
    try:
        values = _data_decoder(tensor.datatype, len(given.shape) if nested else 1).decode(given.data)
    except msgspec.DecodeError as error:
        raise RequestError(f"input {given.name!r}: data is not {tensor.datatype} of its shape: {error}") from error
    except RecursionError as error:
        raise RequestError(f"input {given.name!r}: data is nested too deeply") from error
    expected = math.prod(given.shape)
    if not nested and len(values) != expected:
        raise RequestError(
            f"input {given.name!r} has {len(values)} values, but its shape {given.shape} needs {expected}"
        )
    try:
        with np.errstate(over="ignore"):  # told apart below, as an error of the request
            array: Array = np.array(values, dtype=NUMPY_TYPES[tensor.datatype])
    except OverflowError as error:
        raise RequestError(f"input {given.name!r} holds a number that {tensor.datatype} cannot hold") from error
    except ValueError as error:
        raise RequestError(f"input {given.name!r}: nested data is ragged; its shape is {given.shape}") from error
    if nested and list(array.shape) != given.shape:
        raise RequestError(
            f"input {given.name!r}: nested data has shape {list(array.shape)}, but the request says {given.shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RequestError(f"input {given.name!r} holds a number that {tensor.datatype} cannot hold")
    return array.reshape(given.shape)


def _take_binary(given: RequestInput, tensor: Tensor, rest: memoryview) -> tuple[Array, memoryview]:
    size = given.parameters["binary_data_size"]
    if given.data:
        raise RequestError(f"input {given.name!r} has both data and binary_data_size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0 or size > len(rest):
        problem = f"input {given.name!r}: binary_data_size is {size!r}, but {len(rest)} bytes are left"
        raise RequestError(problem)
    expected = math.prod(given.shape)
    blob = rest[:size]
    if tensor.datatype is DataType.BYTES:
        values = _split_bytes(given.name, blob)
        if len(values) != expected:
            raise RequestError(f"input {given.name!r} has {len(values)} values, its shape needs {expected}")
        array: Array = np.array(values, dtype=np.object_)
    else:
        dtype = NUMPY_TYPES[tensor.datatype].newbyteorder("<")
        if size != expected * dtype.itemsize:
            raise RequestError(
                f"input {given.name!r} has {size} bytes, but its shape {given.shape} needs {expected * dtype.itemsize}"
            )
        # A byte other than 0 and 1 would be an undefined bool in C.
        array = np.frombuffer(blob, np.uint8) != 0 if tensor.datatype is DataType.BOOL else np.frombuffer(blob, dtype)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RequestError(f"input {given.name!r} holds NaN or Infinity")
    return array.reshape(given.shape), rest[size:]


def _split_bytes(name: str, blob: memoryview) -> list[str]:
    values: list[str] = []
    place = 0
    while place < len(blob):
        if place + 4 > len(blob):
            raise RequestError(f"input {name!r}: binary data ends inside a length")
        (length,) = struct.unpack_from("<I", blob, place)
        place += 4
        if place + length > len(blob):
            raise RequestError(f"input {name!r}: binary data ends inside a value")
        try:
            values.append(str(blob[place : place + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise RequestError(f"input {name!r}: a value is not UTF-8") from error
        place += length
    return values


def _binary(tensor: Tensor, array: Array) -> bytes:
    if tensor.datatype is DataType.BYTES:
        encoded = [str(value).encode() for value in array.ravel()]
        return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    return np.ascontiguousarray(array, NUMPY_TYPES[tensor.datatype].newbyteorder("<")).tobytes()
