"""model.yaml: what a person says about a model. All is checked, and every mistake told, before anything is made."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from trihull_packaging.errors import SpecError
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
        raise ValueError(f"is no metric; known: {', '.join(METRICS)}")
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

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]{0,127}$")
    datatype: Literal["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"]
    shape: list[Annotated[StrictInt, Field(ge=-1)]] = Field(min_length=1)


class SignatureSpec(_Strict):
    """What the model takes and gives: one input of numbers, and the outputs `label` and `probabilities`."""

    inputs: list[TensorSpec] = Field(min_length=1, max_length=1)
    outputs: list[TensorSpec] = Field(min_length=2, max_length=2)

    @model_validator(mode="after")
    def _outputs_of_a_classifier(self) -> Self:
        names = [tensor.name for tensor in self.outputs]
        if names != ["label", "probabilities"]:
            raise ValueError(f"outputs: must be label and probabilities, in this order, not {', '.join(names)}")
        if self.inputs[0].datatype != "FP32":
            raise ValueError(f"inputs[0].datatype: must be FP32, not {self.inputs[0].datatype}")
        return self


class TrainSpec(_Strict):
    """The script that makes the model: it is given a folder to leave the artifact and the test split in."""

    script: File
    time_limit_s: Annotated[StrictInt, Field(ge=1, le=86_400)] = 600


class ParitySpec(_Strict):
    """How far the converted model's probabilities may be from the trained one's."""

    tolerance: Annotated[StrictFloat, Field(gt=0, le=0.01)] = 1e-4


class EvaluationSpec(_Strict):
    """What the test split must give at least: metric -> minimum."""

    gates: dict[Annotated[str, AfterValidator(_metric)], Share] = Field(min_length=1)


class BudgetSpec(_Strict):
    """How large each layer may be, in MB (10^6 bytes) as it is pushed; a GPU's libraries are far beyond these."""

    base: Megabytes = 40
    dependencies: Megabytes = 120
    runtime: Megabytes = 5
    model: Megabytes = 2_000


class ImageSpec(_Strict):
    """What the image is made for: `packages` are PEP 508 requirements, beside the model server's own."""

    platforms: list[Platform] = Field(default=["linux/amd64", "linux/arm64"], min_length=1)
    packages: list[Annotated[str, AfterValidator(_requirement)]] = []
    gpu: bool = False
    budgets_mb: BudgetSpec = BudgetSpec()

    @model_validator(mode="after")
    def _no_platform_twice(self) -> Self:
        if len(set(self.platforms)) != len(self.platforms):
            raise ValueError("platforms: names a platform twice")
        return self


class ModelSpec(_Strict):
    """All of model.yaml."""

    name: str = Field(pattern=f"^{NAME}$")
    version: str = Field(pattern=VERSION)
    framework: Literal["scikit-learn"]
    requirements: File
    train: TrainSpec
    artifact: Annotated[str, AfterValidator(_skops)]
    signature: SignatureSpec
    classes: list[str] = Field(min_length=2)
    parity: ParitySpec = ParitySpec()
    evaluation: EvaluationSpec
    image: ImageSpec = ImageSpec()
    base: Annotated[str, AfterValidator(_base)] | None = None

    @model_validator(mode="after")
    def _classes_are_columns(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: names a class twice")
        columns = self.signature.outputs[1].shape[-1]
        if columns != len(self.classes):
            raise ValueError(
                f"signature.outputs[1].shape: ends in {columns}, but there are {len(self.classes)} classes"
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
    spec = parse(text, str(path))
    problems = [
        f"{key}: {name} is not in {folder}"
        for key, name in (("requirements", spec.requirements), ("train.script", spec.train.script))
        if not (folder / name).is_file()
    ]
    if not problems:
        problems = unpinned(folder / spec.requirements)
    if problems:
        raise SpecError(_joined(str(path), problems))
    return spec


def parse(text: str, source: str) -> ModelSpec:
    """Return what YAML text says; `source` is what errors call it. Raises `SpecError` as `load` does."""
    try:
        value = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506  # a SafeLoader that also refuses a key given twice
    except yaml.YAMLError as error:
        raise SpecError(f"{source}: is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise SpecError(f"{source}: expected keys and values, found {type(value).__name__}")
    try:
        return ModelSpec.model_validate(value)
    except ValidationError as error:
        raise SpecError(_joined(source, [_problem(detail) for detail in error.errors()])) from error


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
            problems.append(
                f"requirements: {requirements.name} has the option {entry.split()[0]}; it may hold packages only"
            )
        elif "==" not in entry.split(";")[0] or "--hash=" not in entry:
            name = re.split(r"[ =<>!~;\[]", entry)[0]
            problems.append(f"requirements: {name} has no version with hashes; run uv pip compile --generate-hashes")
    return problems or ([] if entries else [f"requirements: {requirements.name} names no package"])


Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's reads ten times as fast, where it is there


class _UniqueKeys(Loader):  # type: ignore[misc]  # one of the two
    """YAML in which a key that is given twice is an error, not silently the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        result: dict[Any, Any] = super().construct_mapping(node, deep)
        return result


def _tensors(tensors: list[TensorSpec]) -> tuple[Tensor, ...]:
    return tuple(Tensor(tensor.name, DataType(tensor.datatype), tuple(tensor.shape)) for tensor in tensors)


def _problem(detail: ErrorDetails) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"] if part != "[key]")
    place = re.sub(r"\.(float|int|constrained-\w+)$", "", place.removeprefix("."))
    message = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            message = "is unknown"
        case "missing":
            message = "is missing"
        case "value_error":
            pass
        case "model_type" | "model_attributes_type":
            message = f"expected keys and values, found {detail['input']!r:.60}"
        case _:
            message = f"{message[:1].lower()}{message[1:]}, found {detail['input']!r:.60}"
    return f"{place}: {message}" if place else message


def _joined(source: str, problems: list[str]) -> str:
    unique = list(dict.fromkeys(problems))  # both members of a union complain of the same value
    return f"{source}: {unique[0]}" if len(unique) == 1 else "\n  ".join([f"{source}:", *unique])
