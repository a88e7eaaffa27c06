"""Makes the tiny ONNX files beside this script; run once with `onnx` installed (it is no dependency of the project).

    uv run --no-project --with onnx --with numpy python tests/unit/runtime/server/models/make.py

linear.onnx   logistic regression 64 -> 10: `image` FP32 [-1, 64] -> `label` INT64 [-1], `probabilities` FP32 [-1, 10]
slow.onnx     as many matrix products as its input says: `steps` INT64 [-1] -> `total` FP32 [-1]; time by arithmetic
types.onnx    one identity per data type: what goes in comes out
divide.onnx   `a` / `b`, FP32 [-1]: gives Infinity for a zero
"""

from pathlib import Path

import numpy as np
import onnx  # type: ignore[import-not-found]  # needed once, to make the files
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent


def save(name: str, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def info(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def linear() -> onnx.GraphProto:
    random = np.random.default_rng(7)
    weights = numpy_helper.from_array(random.normal(0, 0.2, (64, 10)).astype(np.float32), "weights")
    bias = numpy_helper.from_array(random.normal(0, 0.2, (10,)).astype(np.float32), "bias")
    nodes = [
        helper.make_node("Gemm", ["image", "weights", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    inputs = [info("image", TensorProto.FLOAT, ["rows", 64])]
    outputs = [info("label", TensorProto.INT64, ["rows"]), info("probabilities", TensorProto.FLOAT, ["rows", 10])]
    return helper.make_graph(nodes, "linear", inputs, outputs, [weights, bias])


def slow() -> onnx.GraphProto:
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "rotation"], ["next"]),
            helper.make_node("Identity", ["going"], ["still"]),
        ],
        "body",
        [
            info("index", TensorProto.INT64, []),
            info("going", TensorProto.BOOL, []),
            info("state", TensorProto.FLOAT, [16, 16]),
        ],
        [info("still", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [16, 16])],
    )
    constants = [
        numpy_helper.from_array(np.eye(16, dtype=np.float32)[::-1].copy(), "rotation"),
        numpy_helper.from_array(np.eye(16, dtype=np.float32), "start"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array(0, np.float32), "nothing"),
    ]
    nodes = [
        helper.make_node("ReduceMax", ["steps"], ["most"], keepdims=0),
        helper.make_node("Loop", ["most", "yes", "start"], ["end"], body=body),
        helper.make_node("ReduceSum", ["end"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["steps"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["as_float", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "sum"], ["total"]),
    ]
    inputs = [info("steps", TensorProto.INT64, ["rows"])]
    return helper.make_graph(nodes, "slow", inputs, [info("total", TensorProto.FLOAT, ["rows"])], constants)


def types() -> onnx.GraphProto:
    kinds = {
        "bool": TensorProto.BOOL, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
        "fp32": TensorProto.FLOAT, "fp64": TensorProto.DOUBLE, "bytes": TensorProto.STRING,
    }  # fmt: skip
    nodes = [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in kinds]
    inputs = [info(f"in_{name}", kind, ["rows", 2]) for name, kind in kinds.items()]
    outputs = [info(f"out_{name}", kind, ["rows", 2]) for name, kind in kinds.items()]
    return helper.make_graph(nodes, "types", inputs, outputs)


def divide() -> onnx.GraphProto:
    inputs = [info("a", TensorProto.FLOAT, ["rows"]), info("b", TensorProto.FLOAT, ["rows"])]
    outputs = [info("quotient", TensorProto.FLOAT, ["rows"])]
    return helper.make_graph([helper.make_node("Div", ["a", "b"], ["quotient"])], "divide", inputs, outputs)


if __name__ == "__main__":
    for make in (linear, slow, types, divide):
        save(make.__name__, make())
