"""One model: its folder verified, its ONNX session, tensors in and tensors out. Knows nothing of requests or HTTP."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from trihull_runtime.contract import ContractError, DataType, ModelManifest, Tensor
from trihull_runtime.contract.manifest import MANIFEST_FILE, release_digest
from trihull_runtime.errors import InputError
from trihull_runtime.server.errors import ModelRunError, RequestError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read by onnxruntime's library when it is loaded
import onnxruntime

Array = np.ndarray[Any, np.dtype[Any]]

ONNX_TYPES: Final[Mapping[str, DataType]] = {
    "tensor(bool)": DataType.BOOL,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
    "tensor(float)": DataType.FP32,
    "tensor(double)": DataType.FP64,
    "tensor(string)": DataType.BYTES,
}
NUMPY_TYPES: Final[Mapping[DataType, np.dtype[Any]]] = {
    DataType.BOOL: np.dtype(np.bool_),
    DataType.INT32: np.dtype(np.int32),
    DataType.INT64: np.dtype(np.int64),
    DataType.FP32: np.dtype(np.float32),
    DataType.FP64: np.dtype(np.float64),
    DataType.BYTES: np.dtype(np.object_),
}
_SMOOTHING: Final = 0.2  # weight of the newest run in the estimate of what a row costs


class Model:
    """A loaded model.

    `release_digest` is computed from the manifest's bytes, and the manifest's digests were checked against the files:
    what the model says of itself is what it is.
    """

    def __init__(self, manifest: ModelManifest, digest: str, session: Any) -> None:
        self.manifest = manifest
        self.release_digest = digest
        self.inputs: Mapping[str, Tensor] = {tensor.name: tensor for tensor in manifest.signature.inputs}
        self.outputs: Mapping[str, Tensor] = {tensor.name: tensor for tensor in manifest.signature.outputs}
        self._session = session
        self._row_s = 0.0
        self._least_s = float("inf")

    @property
    def name(self) -> str:
        """The model's name in addresses."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The model's version in addresses."""
        return self.manifest.model_version

    def estimated_s(self, rows: int) -> float:
        """Return how long a run over `rows` rows should take, in seconds, judged by the runs so far."""
        return max(self._least_s, self._row_s * rows)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run the model.

        Args:
            inputs: every input by name, of the signature's data type and shape, the same number of rows in each.
            outputs: names of the outputs to compute.

        Returns:
            The outputs in the order asked for.

        Raises:
            RequestError: the runtime refuses the values (shapes that do not fit one another).
            ModelRunError: the model failed.
        """
        start = time.perf_counter()
        try:
            result: list[Array] = self._session.run(outputs, inputs)
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            raise RequestError(f"model {self.name!r} refuses these values: {_first_line(error)}") from error
        except Exception as error:
            raise ModelRunError(f"model {self.name!r} failed: {_first_line(error)}") from error
        rows = max(1, next(iter(inputs.values())).shape[0])
        duration = time.perf_counter() - start
        self._least_s = min(self._least_s, duration)
        cost = duration / rows
        self._row_s = cost if self._row_s == 0 else (1 - _SMOOTHING) * self._row_s + _SMOOTHING * cost
        return result


def find_folders(models: Path) -> list[Path]:
    """Return the model folders under `models`, or `models` itself when it is one.

    Raises:
        InputError: there is no such folder, or no model in it.
    """
    try:
        if (models / MANIFEST_FILE).is_file():
            return [models]
        folders = sorted(folder for folder in models.iterdir() if (folder / MANIFEST_FILE).is_file())
    except OSError as error:
        raise InputError(f"{models}: cannot be read as a folder of models: {error.strerror or error}") from error
    if not folders:
        raise InputError(f"{models}: holds no model (a folder with {MANIFEST_FILE}); make one with `trihull package`")
    return folders


def load_model(folder: Path) -> Model:
    """Load and verify one model folder, then run it once.

    Raises:
        ContractError: the manifest is not what the contract asks for.
        InputError: a file is missing, has another digest, or holds another model than the manifest says.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest_bytes = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    manifest = ModelManifest.parse(manifest_bytes, str(path))
    contents = {name: _verified(folder / name, file.digest, file.size_bytes) for name, file in manifest.files.items()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the default takes every core and spins there, whatever the container was given
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        # From the bytes that were verified: the file cannot change between the check and the use.
        session = onnxruntime.InferenceSession(
            contents[manifest.model_file], options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise InputError(f"{folder / manifest.model_file}: onnxruntime cannot load it: {_first_line(error)}") from error
    _compare(path, "inputs", manifest.signature.inputs, session.get_inputs(), complete=True)
    _compare(path, "outputs", manifest.signature.outputs, session.get_outputs(), complete=False)
    model = Model(manifest, release_digest(manifest_bytes), session)
    _warm_up(folder, model)
    return model


def _verified(path: Path, digest: str, size_bytes: int) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; the model folder is incomplete"
        ) from error
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if len(data) != size_bytes or found != digest:
        raise InputError(
            f"{path}: is not the file that {MANIFEST_FILE} names: expected {digest} ({size_bytes} bytes), found {found}"
            f" ({len(data)} bytes); package the model again"
        )
    return data


def _compare(path: Path, side: str, declared: Sequence[Tensor], actual: Sequence[Any], complete: bool) -> None:
    found = {value.name: value for value in actual}
    for index, tensor in enumerate(declared):
        place = f"signature.{side}[{index}]"
        if tensor.name not in found:
            problem = f"names {tensor.name!r}, but the model file has {', '.join(sorted(found))}"
            raise ContractError(str(path), place, problem)
        value = found[tensor.name]
        datatype = ONNX_TYPES.get(value.type)
        if datatype is not tensor.datatype:
            problem = f"says {tensor.name!r} is {tensor.datatype}, but the model file has {value.type}"
            raise ContractError(str(path), place, problem)
        sizes = [size if isinstance(size, int) and size >= 0 else -1 for size in value.shape]
        # A manifest may know a size that the file leaves free, never contradict one.
        fits = len(sizes) == len(tensor.shape) and all(
            size in (-1, said) for size, said in zip(sizes, tensor.shape, strict=True)
        )
        if not fits:
            problem = f"says {tensor.name!r} has shape {list(tensor.shape)}, but the model file has {sizes}"
            raise ContractError(str(path), place, problem)
        if not tensor.shape:
            raise ContractError(str(path), place, f"{tensor.name!r} has no axis; the first one is the batch")
    missing = sorted(set(found) - {tensor.name for tensor in declared})
    if complete and missing:
        raise ContractError(str(path), f"signature.{side}", f"lacks {', '.join(missing)}, which the model file needs")


def _warm_up(folder: Path, model: Model) -> None:
    """Run twice on one row of zeros: the first run allocates, the second tells what a row costs."""
    zeros: dict[str, Array] = {}
    for tensor in model.inputs.values():
        shape = [1 if size < 0 else size for size in tensor.shape]
        dtype = NUMPY_TYPES[tensor.datatype]
        zeros[tensor.name] = np.full(shape, "", dtype) if tensor.datatype is DataType.BYTES else np.zeros(shape, dtype)
    try:
        model.run(zeros, list(model.outputs))
        results = model.run(zeros, list(model.outputs))
    except (RequestError, ModelRunError) as error:
        raise InputError(f"{folder}: the model fails on one row of zeros: {error}") from error
    for tensor, result in zip(model.outputs.values(), results, strict=True):
        if not isinstance(result, np.ndarray):
            raise InputError(f"{folder}: output {tensor.name!r} is no tensor but {type(result).__name__}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
