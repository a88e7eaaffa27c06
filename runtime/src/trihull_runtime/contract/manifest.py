"""The model manifest: what lies in the image beside the model, and the identity of a release.

The release digest is the SHA-256 of the manifest's bytes. The manifest names every file with its digest and the
environment it was built for, so whoever reads the manifest and the files can tell for itself which release it holds:
nothing has to be trusted that was passed in from outside.
"""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from trihull_runtime.contract.codec import Digest, Document, Name, Pattern, Range
from trihull_runtime.contract.errors import ContractError

MANIFEST_FILE = "manifest.json"


class DataType(enum.StrEnum):
    """Tensor data types of the Open Inference Protocol V2 that trihull serves."""

    BOOL = "BOOL"
    INT32 = "INT32"
    INT64 = "INT64"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


@dataclass(frozen=True)
class Tensor:
    """One input or output: `shape` holds sizes, -1 for a free one; the first axis is the batch."""

    name: Annotated[str, Pattern(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}")]
    datatype: DataType
    shape: tuple[Annotated[int, Range(minimum=-1)], ...]


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        """Refuse a signature without inputs or outputs, or with a name used twice."""
        for side in ("inputs", "outputs"):
            tensors = getattr(self, side)
            if not tensors:
                raise ContractError("Signature", side, "is empty")
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                raise ContractError("Signature", side, f"names a tensor twice: {', '.join(names)}")


@dataclass(frozen=True)
class FileDigest:
    """A file of the release: its digest and its size in bytes."""

    digest: Digest
    size_bytes: Annotated[int, Range(minimum=0)]


@dataclass(frozen=True)
class ModelManifest(Document):
    """A model as it lies in its folder: `manifest.json` and the files it names.

    Fields: `format` is the file format that is served (`onnx`); `model_file` one of `files`; `classes` the class labels
    in the order of the probability columns (empty for a regression); `environment` the digests of what the model was
    built to run in (`base`, `dependencies`, `runtime`), so that a change of any of them is another release.
    """

    version: int
    name: Name
    model_version: Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")]
    framework: str
    format: Annotated[str, Pattern("onnx")]
    model_file: str
    files: Mapping[str, FileDigest]
    signature: Signature
    classes: tuple[str, ...]
    environment: Mapping[str, Digest]

    def __post_init__(self) -> None:
        """Refuse a model file that is not listed and file names that leave the folder."""
        for name in self.files:
            if (
                name != name.strip()
                or name.startswith((".", "/"))
                or "/" in name
                or "\\" in name
                or not name.isprintable()
            ):
                raise ContractError("ModelManifest", f"files.{name!r}", "is not a plain file name")
        if self.model_file not in self.files:
            raise ContractError("ModelManifest", "model_file", f"is {self.model_file!r}, which `files` does not list")


def release_digest(manifest_bytes: bytes) -> str:
    """Return the release's identity, `sha256:<hex>`, from the bytes of its `manifest.json`."""
    return f"sha256:{hashlib.sha256(manifest_bytes).hexdigest()}"
