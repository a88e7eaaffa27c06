"""Bad requests: each is refused with its own status and a message that names what is wrong, and the server lives on."""

import json
import socket
import urllib.parse
from typing import Any

import httpx
import pytest

from tests.servers import Server, health, infer_request

ROW = [0.5] * 64
FLAT = json.dumps(ROW)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "shape": [1, 64], "datatype": "FP32", "data": ROW, **changes}


def with_data(text: str, shape: str = "[1,64]") -> bytes:
    return f'{{"inputs":[{{"name":"image","shape":{shape},"datatype":"FP32","data":{text}}}]}}'.encode()


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in tensor().items() if name != key}


BAD: dict[str, tuple[bytes | dict[str, Any] | list[Any], str]] = {
    "empty body": (b"", "truncated"),
    "not json": (b"hello", "malformed"),
    "not utf-8": (b'{"inputs":[{"name":"\xff"}]}', "not valid"),
    "not an object": ([], "Expected `object`"),
    "no inputs": ({}, "missing required field `inputs`"),
    "empty inputs": ({"inputs": []}, "missing input 'image'"),
    "unknown key": ({"inputs": [tensor()], "output": []}, "unknown field `output`"),
    "unknown input": ({"inputs": [tensor(name="pixels")]}, "unknown input 'pixels'; this model takes image"),
    "input twice": ({"inputs": [tensor(), tensor()]}, "'image' stands twice"),
    "wrong datatype": ({"inputs": [tensor(datatype="FP64")]}, "this model takes FP32"),
    "unknown datatype": ({"inputs": [tensor(datatype="FLOAT")]}, "'FLOAT'"),
    "wrong shape": ({"inputs": [tensor(shape=[64])]}, "has shape [64]; this model takes [-1, 64]"),
    "wrong width": ({"inputs": [tensor(shape=[1, 63])]}, "[1, 63]"),
    "negative rows": ({"inputs": [tensor(shape=[-1, 64])]}, "[-1, 64]"),
    "no rows": ({"inputs": [tensor(shape=[0, 64], data=[])]}, "has no rows"),
    "shape is text": ({"inputs": [tensor(shape="1,64")]}, "Expected `array`"),
    "fractional shape": ({"inputs": [tensor(shape=[1.5, 64])]}, "Expected `int`"),
    "huge shape": ({"inputs": [tensor(shape=[10**15, 64])]}, "64 values, but its shape"),
    "shape beyond any integer": (with_data("[]", f"[{10**40},64]"), "0 values, but its shape"),
    "too few values": ({"inputs": [tensor(data=ROW[1:])]}, "has 63 values, but its shape [1, 64] needs 64"),
    "too many values": ({"inputs": [tensor(data=[*ROW, 1])]}, "has 65 values"),
    "no data": ({"inputs": [without("data")]}, "neither data nor"),
    "no shape": ({"inputs": [without("shape")]}, "missing required field `shape`"),
    "null data": ({"inputs": [tensor(data=None)]}, "got `null`"),
    "data is an object": ({"inputs": [tensor(data={})]}, "got `object`"),
    "text among numbers": ({"inputs": [tensor(data=["1", *ROW[1:]])]}, "got `str`"),
    "boolean among numbers": ({"inputs": [tensor(data=[True, *ROW[1:]])]}, "got `bool`"),
    "NaN": (with_data("[NaN," + FLAT[1:]), "malformed"),
    "Infinity": (with_data("[Infinity," + FLAT[1:]), "malformed"),
    "beyond FP64": (with_data("[1e999," + FLAT[1:]), "out of range"),
    "beyond FP32": (with_data("[1e39," + json.dumps(ROW[1:])[1:]), "cannot hold"),
    "ragged": (with_data("[[1,2],[3]]", "[2,64]"), "ragged"),
    "nested with another shape": (with_data(json.dumps([ROW, ROW])), "nested data has shape [2, 64]"),
    "nested too deeply for its shape": (with_data(json.dumps([[ROW]])), "is not FP32 of its shape"),
    "depth bomb in data": (with_data("[" * 40_000), "nested too deeply"),
    "closed depth bomb": (with_data("[" * 20_000 + "]" * 20_000), "nested too deeply"),
    "depth bomb in parameters": (b'{"inputs":[],"parameters":{"a":' + b"[" * 40_000, "parameters"),
    "unknown output": ({"inputs": [tensor()], "outputs": [{"name": "score"}]}, "unknown output 'score'"),
    "output twice": ({"inputs": [tensor()], "outputs": [{"name": "label"}] * 2}, "output 'label' stands twice"),
    "id is a number": ({"inputs": [tensor()], "id": 7}, "$.id"),
    "binary without bytes": (
        {"inputs": [{**without("data"), "parameters": {"binary_data_size": 4}}]},
        "bytes are left",
    ),
    "truncated": (json.dumps({"inputs": [tensor()]}).encode()[:-2], "truncated"),
    "something after": (json.dumps({"inputs": [tensor()]}).encode() + b"x", "trailing"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_with_400_and_a_reason(client: httpx.Client, name: str) -> None:
    body, reason = BAD[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/v2/models/digits/infer", content=content)
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]


@pytest.mark.parametrize("size", ["", "x", "-1", "0", "99999", "9" * 30, "1.5"])
def test_a_wrong_header_length_is_refused(client: httpx.Client, size: str) -> None:
    headers = {"inference-header-content-length": size}
    answer = client.post("/v2/models/digits/infer", json=infer_request([ROW]), headers=headers)
    assert answer.status_code == 400
    assert "inference-header-content-length" in answer.json()["error"]


@pytest.mark.parametrize(
    ("kind", "blob", "problem"),
    [
        ("image", b"\0" * 255, "has 255 bytes, but its shape [1, 64] needs 256"),
        ("image", b"\0" * 252 + b"\x00\x00\x80\x7f", "NaN or Infinity"),
        ("image", b"\0" * 252 + b"\x01\x00\xc0\x7f", "NaN or Infinity"),
    ],
)
def test_binary_data_that_does_not_fit_is_refused(client: httpx.Client, kind: str, blob: bytes, problem: str) -> None:
    given = {**without("data"), "name": kind, "parameters": {"binary_data_size": len(blob)}}
    header = json.dumps({"inputs": [given]}).encode()
    headers = {"inference-header-content-length": str(len(header))}
    answer = client.post("/v2/models/digits/infer", content=header + blob, headers=headers)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]
    answer = client.post("/v2/models/digits/infer", content=header + blob + b"more", headers=headers)
    assert answer.status_code == 400


def test_bytes_after_a_good_binary_request_are_refused(client: httpx.Client) -> None:
    blob = b"\0" * 256
    given = {**without("data"), "parameters": {"binary_data_size": len(blob)}}
    header = json.dumps({"inputs": [given]}).encode()
    headers = {"inference-header-content-length": str(len(header))}
    assert client.post("/v2/models/digits/infer", content=header + blob, headers=headers).status_code == 200
    answer = client.post("/v2/models/digits/infer", content=header + blob + b"more", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] == "4 bytes follow the last binary tensor"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/digits/versions/2", 404),
        ("GET", "/v2/models/digits/versions", 404),
        ("GET", "/v2/models/digits/versions/1/ready/now", 404),
        ("GET", "/v2/models/%2e%2e/ready", 404),
        ("GET", "/v2/models/digits/infer", 405),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/digits/versions/2/infer", 404),
        ("POST", "/v2/models/digits/x/1/infer", 404),
        ("POST", "/v2/models/infer", 404),
        ("DELETE", "/v2/models/digits", 405),
        ("POST", "/v2/health/ready", 405),
    ],
)
def test_what_is_not_there_is_404_and_what_is_not_allowed_405(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_body_over_the_limit_is_413_whether_announced_or_not(client: httpx.Client) -> None:
    big = b"[" + b"1," * 60_000 + b"1]"
    answer = client.post("/v2/models/digits/infer", content=big)
    assert answer.status_code == 413
    assert "larger than 100000 bytes" in answer.json()["error"]
    answer = client.post("/v2/models/digits/infer", content=iter([big[:60_000], big[60_000:]]))
    assert answer.status_code == 413


def test_compressed_bodies_are_refused(client: httpx.Client) -> None:
    answer = client.post("/v2/models/digits/infer", content=b"x", headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
    assert "content-encoding 'gzip' is not supported" in answer.json()["error"]


@pytest.mark.parametrize(
    "raw",
    [
        b"not http at all\r\n\r\n",
        b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: twelve\r\n\r\n",
        b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"GET \xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_proper_http_never_gives_a_500_and_never_hangs(server: Server, raw: bytes) -> None:
    answer = send_raw(server, raw)
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405"), answer
    assert b'{"error":' in answer
    assert health(server.health_url) == 200


def test_a_body_shorter_than_announced_gets_no_answer_and_harms_nobody(server: Server, client: httpx.Client) -> None:
    raw = b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{}"
    assert send_raw(server, raw, half_close=True) == b""
    assert client.post("/v2/models/digits/infer", json=infer_request([ROW])).status_code == 200


def send_raw(server: Server, raw: bytes, half_close: bool = False) -> bytes:
    port = urllib.parse.urlsplit(server.url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=20) as connection:
        connection.sendall(raw)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            if b"connection: close" not in received and received.endswith(b"}"):  # kept alive: the whole answer is here
                return received
        return received
