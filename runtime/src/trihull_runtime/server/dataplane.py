"""The data plane: which models there are, what a request means, where it runs. Knows nothing of HTTP."""

import asyncio
import functools
import importlib.metadata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trihull_runtime.contract import Tensor
from trihull_runtime.server import codecs
from trihull_runtime.server.errors import UnknownModelError
from trihull_runtime.server.model import Array, Model

EXTENSIONS = ("binary_tensor_data",)


@dataclass(frozen=True)
class Answer:
    """An encoded answer; `header_size` is the length of its JSON part when binary tensors follow, else None."""

    body: bytes
    header_size: int | None


class DataPlane:
    """All loaded models.

    A model runs in the event loop when its run is estimated to be shorter than `inline_s`, else in one thread: handing
    over costs more than a small model, and a large one must not keep health checks waiting (docs/server.md).
    """

    def __init__(self, models: Sequence[Model], inline_s: float) -> None:
        self.models: Mapping[str, Model] = {model.name: model for model in models}
        self._inline_s = inline_s
        # One thread: the model already has its core, a second run beside it would only slow both.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")

    def find(self, name: str, version: str | None) -> Model:
        """Return a model; raises `UnknownModelError`."""
        model = self.models.get(name)
        if model is None:
            known = ", ".join(self.models)
            raise UnknownModelError(f"Request for unknown model: {name!r} is not found; this server has {known}")
        if version is not None and version != model.version:
            raise UnknownModelError(
                f"Request for unknown model: {name!r} version {version!r} is not found; this server has {model.version}"
            )
        return model

    async def infer(self, model: Model, body: bytes, header_size: int | None) -> Answer:
        """Answer one inference request; raises `RequestError` and `ModelRunError`."""
        request = codecs.decode_request(body, header_size, model.inputs, model.outputs)
        arrays: list[Array]
        if model.estimated_s(request.rows) < self._inline_s:
            arrays = model.run(request.inputs, request.outputs)
        else:
            loop = asyncio.get_running_loop()
            arrays = await loop.run_in_executor(self._executor, model.run, request.inputs, request.outputs)
        tensors = [model.outputs[name] for name in request.outputs]
        return Answer(*codecs.encode_response(model.name, model.version, request, tensors, arrays))

    def close(self) -> None:
        """Wait for the run in progress and end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("trihull-runtime")
    except importlib.metadata.PackageNotFoundError:  # an image holds the source files alone; its digest tells more
        return "unpackaged"


def server_metadata() -> dict[str, Any]:
    """Return what `GET /v2` says."""
    return {"name": "trihull", "version": _version(), "extensions": EXTENSIONS}


def model_metadata(model: Model) -> dict[str, Any]:
    """Return what `GET /v2/models/{name}` says: the signature, and the release that this is."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnx_onnxv1",
        "inputs": [_tensor(tensor) for tensor in model.inputs.values()],
        "outputs": [_tensor(tensor) for tensor in model.outputs.values()],
        "parameters": {"release_digest": model.release_digest, "framework": model.manifest.framework},
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype.value, "shape": list(tensor.shape)}
