"""What a server answers to requests that are right."""

import json
import struct
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from tests.servers import MODEL_FILES, SIGNATURES, Server, infer_request

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.integers(0, 17, (5, 64)).astype(float).tolist()


def outputs_of(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output for output in answer.json()["outputs"]}


@pytest.fixture(scope="module")
def bare() -> dict[str, Any]:
    session = onnxruntime.InferenceSession(MODEL_FILES / "linear.onnx", providers=["CPUExecutionProvider"])
    label, probabilities = session.run(["label", "probabilities"], {"image": np.array(ROWS, np.float32)})
    return {"label": label, "probabilities": probabilities}


def test_an_answer_is_the_bare_models_and_names_release_version_and_id(
    client: httpx.Client, bare: dict[str, Any]
) -> None:
    answer = client.post("/v2/models/digits/infer", json=infer_request(ROWS, id="seven"))
    outputs = outputs_of(answer)
    assert outputs["label"]["data"] == bare["label"].tolist()
    assert outputs["label"]["datatype"] == "INT64"
    assert outputs["probabilities"]["shape"] == [5, 10]
    np.testing.assert_array_equal(np.array(outputs["probabilities"]["data"], np.float32), bare["probabilities"].ravel())
    assert {key: answer.json()[key] for key in ("id", "model_name", "model_version")} == {
        "id": "seven",
        "model_name": "digits",
        "model_version": "1",
    }
    metadata = client.get("/v2/models/digits").json()
    assert answer.headers["x-trihull-release"] == metadata["parameters"]["release_digest"]


def test_nested_and_flat_data_mean_the_same(client: httpx.Client) -> None:
    nested = infer_request(ROWS)
    nested["inputs"][0]["data"] = ROWS
    spaced = json.dumps(nested, indent=2)
    flat = client.post("/v2/models/digits/infer", json=infer_request(ROWS)).json()
    assert client.post("/v2/models/digits/versions/1/infer", json=nested).json() == flat
    assert client.post("/v2/models/digits/infer", content=spaced).json() == flat


def test_only_the_outputs_asked_for_come_in_the_order_asked(client: httpx.Client) -> None:
    request = infer_request(ROWS, outputs=[{"name": "probabilities"}, {"name": "label"}])
    assert list(outputs_of(client.post("/v2/models/digits/infer", json=request))) == ["probabilities", "label"]
    request = infer_request(ROWS, outputs=[{"name": "label"}])
    assert list(outputs_of(client.post("/v2/models/digits/infer", json=request))) == ["label"]


def test_every_data_type_goes_in_and_comes_out_unchanged(client: httpx.Client) -> None:
    values: dict[str, list[Any]] = {
        "BOOL": [True, False, False, True],
        "INT32": [-(2**31), 2**31 - 1, 0, 1],
        "INT64": [-(2**63), 2**63 - 1, 0, 1],
        "FP32": [0.5, -1.0, 3.0, 2.0**100],
        "FP64": [0.1, -1e300, 3.0, 5e-324],
        "BYTES": ["", "drei Rümpfe", "\u0000", "🚢"],
    }
    inputs = [
        {"name": f"in_{kind.lower()}", "shape": [2, 2], "datatype": kind, "data": data} for kind, data in values.items()
    ]
    outputs = outputs_of(client.post("/v2/models/types/infer", json={"inputs": inputs}))
    for kind, data in values.items():
        assert outputs[f"out_{kind.lower()}"]["data"] == data


def test_binary_tensors_go_in_and_come_out(client: httpx.Client, bare: dict[str, Any]) -> None:
    blob = np.array(ROWS, "<f4").tobytes()
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "shape": [5, 64],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": len(blob)},
                }
            ],
            "outputs": [{"name": "label"}, {"name": "probabilities", "parameters": {"binary_data": True}}],
        }
    ).encode()
    answer = client.post(
        "/v2/models/digits/infer",
        content=header + blob,
        headers={"inference-header-content-length": str(len(header))},
    )
    assert answer.status_code == 200, answer.text
    size = int(answer.headers["inference-header-content-length"])
    label, probabilities = json.loads(answer.content[:size])["outputs"]
    assert label["data"] == bare["label"].tolist()
    assert probabilities["parameters"] == {"binary_data_size": 200}
    assert answer.content[size:] == bare["probabilities"].astype("<f4").tobytes()


def test_binary_text_is_length_and_bytes(client: httpx.Client) -> None:
    texts = ["a", "", "ü", "end"]
    inputs: list[dict[str, Any]] = []
    for tensor in SIGNATURES["types"].inputs:
        data: list[Any] = [True] * 4 if tensor.datatype == "BOOL" else [0] * 4
        inputs.append({"name": tensor.name, "shape": [2, 2], "datatype": tensor.datatype, "data": data})
    blob = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    del inputs[-1]["data"]
    inputs[-1]["parameters"] = {"binary_data_size": len(blob)}
    header = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    answer = client.post(
        "/v2/models/types/infer", content=header + blob, headers={"inference-header-content-length": str(len(header))}
    )
    assert answer.status_code == 200, answer.text
    assert answer.content.endswith(blob)


def test_metadata_has_the_signature_and_the_release(client: httpx.Client) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    metadata = client.get("/v2/models/digits/versions/1").json()
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}]
    assert metadata["versions"] == ["1"]
    assert metadata["parameters"]["release_digest"].startswith("sha256:")
    assert client.get("/v2/models/digits/ready").status_code == 200


def test_both_ports_are_live_and_ready_and_only_the_health_port_has_metrics(
    client: httpx.Client, server: Server
) -> None:
    with httpx.Client(base_url=server.health_url) as health:
        for which in (client, health):
            assert which.get("/v2/health/live").json() == {"live": True}
            assert which.get("/v2/health/ready").json() == {"ready": True, "live": True}
            assert which.head("/v2/health/ready").status_code == 200
        assert client.get("/metrics").status_code == 404
        client.post("/v2/models/digits/infer", json=infer_request(ROWS))
        text = health.get("/metrics").text
    digest = client.get("/v2/models/digits").json()["parameters"]["release_digest"]
    assert f'trihull_release_info{{model_name="digits",model_version="1",release_digest="{digest}"}} 1.0' in text
    assert 'trihull_inference_requests_total{code="200",model_name="digits",model_version="1"}' in text
    assert 'trihull_inference_request_duration_seconds_count{model_name="digits",model_version="1"}' in text
    assert "trihull_inference_in_flight 0.0" in text
    assert "trihull_ready 1.0" in text


def test_an_answer_that_json_cannot_hold_is_an_error_and_binary_can(client: httpx.Client) -> None:
    def tensor(name: str, value: float) -> dict[str, Any]:
        return {"name": name, "shape": [1], "datatype": "FP32", "data": [value]}

    request: dict[str, Any] = {"inputs": [tensor("a", 1), tensor("b", 0)]}
    answer = client.post("/v2/models/divide/infer", json=request)
    assert answer.status_code == 500
    assert "ask for it as binary data" in answer.json()["error"]
    request["parameters"] = {"binary_data_output": True}
    answer = client.post("/v2/models/divide/infer", json=request)
    assert struct.unpack("<f", answer.content[-4:]) == (float("inf"),)
