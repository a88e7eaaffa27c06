"""model.yaml: what a person says about a model. All is checked, and every mistake told, before anything is made."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from trihull_packaging import strict_yaml
from trihull_packaging.errors import SpecError
from trihull_packaging.strict_yaml import AtError
from trihull_runtime.contract.codec import DIGEST, NAME
from trihull_runtime.contract.manifest import DataType, Signature, Tensor

FILE: Final = "model.yaml"
METRICS: Final = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc_ovr")
BASE: Final = rf"(oci-layout://.+|[A-Za-z0-9.\-]+(:[0-9]+)?/[a-z0-9._/\-]+)@{DIGEST}"
VERSION: Final = r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$"  # as the model manifest has it


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError("must be a file inside the model's folder")
    return value


def _skops(value: str) -> str:
    if not value.endswith(".skops") or "/" in value:
        raise ValueError("must be the name of a .skops file, which the training script leaves in its folder")
    return value


def _metric(value: str) -> str:
    if value not in METRICS:
        raise ValueError(f"is no metric; known: {', '.join(METRICS)}{strict_yaml.suggestion(value, METRICS)}")
    return value


def _requirement(value: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # rarely given, and slow to load

    try:
        requirement = Requirement(value)
    except InvalidRequirement as error:
        raise ValueError(f"is no requirement such as xgboost>=3: {str(error).splitlines()[0]}") from error
    if requirement.url is not None:
        raise ValueError("names an address; packages come from the index by name and version")
    return value


def _base(value: str) -> str:
    if re.fullmatch(BASE, value) is None:
        raise ValueError("is no base by digest: oci-layout://PATH@sha256:... or HOST/REPOSITORY@sha256:...")
    return value


File = Annotated[str, AfterValidator(_inside)]
Platform = Literal["linux/amd64", "linux/arm64"]
Megabytes = Annotated[StrictInt, Field(ge=1)]
Share = Annotated[StrictFloat | StrictInt, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TensorSpec(_Strict):
    """One input or output; sizes of -1 are free, the first axis is the batch."""

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]{0,127}$", description="a name of A-Z a-z 0-9 _ . -, no digit first"
    )
    datatype: Literal["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"] = Field(
        description="one of BOOL, INT32, INT64, FP32, FP64, BYTES"
    )
    shape: list[Annotated[StrictInt, Field(ge=-1)]] = Field(
        min_length=1, description="a list of sizes, -1 where any is right, such as [-1, 64]"
    )


class SignatureSpec(_Strict):
    """What the model takes and gives: one input of numbers, and the outputs `label` and `probabilities`."""

    inputs: list[TensorSpec] = Field(min_length=1, max_length=1, description="a list of one input")
    outputs: list[TensorSpec] = Field(
        min_length=2, max_length=2, description="a list of two outputs, label and probabilities"
    )

    @model_validator(mode="after")
    def _outputs_of_a_classifier(self) -> Self:
        names = [tensor.name for tensor in self.outputs]
        if names != ["label", "probabilities"]:
            raise AtError(("outputs",), f"must be label and probabilities, in this order, found {', '.join(names)}")
        if self.inputs[0].datatype != "FP32":
            raise AtError(("inputs", 0, "datatype"), f"must be FP32, found {self.inputs[0].datatype}")
        return self


class TrainSpec(_Strict):
    """The script that makes the model: it is given a folder to leave the artifact and the test split in."""

    script: File = Field(description="the training script, a file inside the model's folder")
    time_limit_s: Annotated[StrictInt, Field(ge=1, le=86_400)] = Field(
        default=600, description="a whole number of seconds from 1 to 86400"
    )


class ParitySpec(_Strict):
    """How far the converted model's probabilities may be from the trained one's."""

    tolerance: Annotated[StrictFloat, Field(gt=0, le=0.01)] = Field(
        default=1e-4, description="a number above 0 and at most 0.01, such as 0.0001"
    )


class EvaluationSpec(_Strict):
    """What the test split must give at least: metric -> minimum."""

    gates: dict[Annotated[str, AfterValidator(_metric)], Share] = Field(
        min_length=1, description="metrics, each with its minimum from 0 to 1, such as accuracy: 0.9"
    )


_MEGABYTES: Final = "a whole number of MB, at least 1"


class BudgetSpec(_Strict):
    """How large each layer may be, in MB (10^6 bytes) as it is pushed; a GPU's libraries are far beyond these."""

    base: Megabytes = Field(default=40, description=_MEGABYTES)
    dependencies: Megabytes = Field(default=120, description=_MEGABYTES)
    runtime: Megabytes = Field(default=5, description=_MEGABYTES)
    model: Megabytes = Field(default=2_000, description=_MEGABYTES)


class ImageSpec(_Strict):
    """What the image is made for: `packages` are PEP 508 requirements, beside the model server's own."""

    platforms: list[Platform] = Field(
        default=["linux/amd64", "linux/arm64"], min_length=1, description="a list of linux/amd64, linux/arm64 or both"
    )
    packages: list[Annotated[str, AfterValidator(_requirement)]] = Field(
        default=[], description="a list of requirements, such as xgboost>=3"
    )
    gpu: bool = Field(default=False, description="true or false: whether the image is made for NVIDIA's devices")
    budgets_mb: BudgetSpec = Field(default=BudgetSpec(), description="keys and values: how large each layer may be")

    @model_validator(mode="after")
    def _no_platform_twice(self) -> Self:
        if len(set(self.platforms)) != len(self.platforms):
            raise AtError(("platforms",), "names a platform twice")
        return self


class ModelSpec(_Strict):
    """All of model.yaml."""

    name: str = Field(pattern=f"^{NAME}$", description="a short name of a-z 0-9 -, a letter or digit at both ends")
    version: str = Field(pattern=VERSION, description="text of A-Z a-z 0-9 . _ -, at most 64, such as 1.0.0")
    framework: Literal["scikit-learn"] = Field(description="the word scikit-learn")
    requirements: File = Field(description="the lock of the training packages, a file inside the model's folder")
    train: TrainSpec = Field(description="keys and values: the training script and its time limit")
    artifact: Annotated[str, AfterValidator(_skops)] = Field(description="the name of a .skops file")
    signature: SignatureSpec = Field(description="keys and values: the model's inputs and outputs")
    classes: list[str] = Field(min_length=2, description="a list of at least two class names, as text")
    parity: ParitySpec = Field(default=ParitySpec(), description="keys and values: how exact the conversion must be")
    evaluation: EvaluationSpec = Field(description="keys and values: what the test split must give at least")
    image: ImageSpec = Field(default=ImageSpec(), description="keys and values: what the image is made for")
    base: Annotated[str, AfterValidator(_base)] | None = Field(
        default=None, description="a base image by digest, such as HOST/REPOSITORY@sha256:..."
    )

    @model_validator(mode="after")
    def _classes_are_columns(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise AtError(("classes",), "names a class twice")
        columns = self.signature.outputs[1].shape[-1]
        if columns != len(self.classes):
            raise AtError(
                ("signature", "outputs", 1, "shape"), f"ends in {columns}, but there are {len(self.classes)} classes"
            )
        return self

    def contract_signature(self) -> Signature:
        """Return the signature as the contract documents hold it."""
        return Signature(_tensors(self.signature.inputs), _tensors(self.signature.outputs))


def load(folder: Path) -> ModelSpec:
    """Read `model.yaml` of a model's folder and check that the files it names are there.

    Raises:
        SpecError: names the file, every key that is wrong, and what was expected there.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        hint = "is no folder" if not folder.is_dir() else f"has no {FILE}"
        raise SpecError(f"{folder}: {hint}; docs/packaging.md says what a model's folder holds") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from error
    document = strict_yaml.parse(text, str(path), ModelSpec)
    spec = document.model
    files = {("requirements",): spec.requirements, ("train", "script"): spec.train.script}
    problems = [
        document.problem(place, f"{name} is not in {folder}")
        for place, name in files.items()
        if not (folder / name).is_file()
    ]
    if not problems:
        problems = [document.problem(("requirements",), one) for one in unpinned(folder / spec.requirements)]
    if problems:
        raise SpecError("\n".join(problems))
    return spec


def parse(text: str, source: str) -> ModelSpec:
    """Return what YAML text says; `source` is what errors call it. Raises `SpecError` as `load` does."""
    return strict_yaml.parse(text, source, ModelSpec).model


def unpinned(requirements: Path) -> list[str]:
    """Return what is wrong with a lock: entries without `==` or without a hash, and addresses of an index."""
    text = requirements.read_text(encoding="utf-8").replace("\\\n", " ")
    problems, entries = [], 0
    for line in text.splitlines():
        entry = line.partition(" #")[0].strip()
        if not entry or entry.startswith("#"):
            continue
        entries += 1
        if entry.startswith("-"):
            problems.append(f"{requirements.name} has the option {entry.split()[0]}; it may hold packages only")
        elif "==" not in entry.split(";")[0] or "--hash=" not in entry:
            name = re.split(r"[ =<>!~;\[]", entry)[0]
            problems.append(f"{name} has no version with hashes; run uv pip compile --generate-hashes")
    return problems or ([] if entries else [f"{requirements.name} names no package"])


def _tensors(tensors: list[TensorSpec]) -> tuple[Tensor, ...]:
    return tuple(Tensor(tensor.name, DataType(tensor.datatype), tuple(tensor.shape)) for tensor in tensors)
