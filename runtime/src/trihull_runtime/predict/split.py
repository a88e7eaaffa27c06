"""The file of rows: what `trihull package` writes as `test_split.json`, or a plain JSON list of rows."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihull_runtime.errors import InputError

VERSION = 1
Label = int | float | str


@dataclass(frozen=True)
class Split:
    """Rows and, when the file holds them, what the bare model said of each.

    `input` is the input tensor's name, or None for a plain list of rows; `labels` and `probabilities` are both there
    or both absent, one entry per row; `model` likewise comes from the file.
    """

    rows: tuple[tuple[float, ...], ...]
    model: str | None = None
    input: str | None = None
    labels: tuple[Label, ...] | None = None
    probabilities: tuple[tuple[float, ...], ...] | None = None


def read_split(path: Path) -> Split:
    """Read a file of rows.

    Raises:
        InputError: the file cannot be read, or is neither form; the message names the place.
    """
    try:
        value = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; `trihull package` writes test_split.json"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    if isinstance(value, list):
        return Split(_matrix(path, "", value))
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a list of rows, or an object as in test_split.json")
    if value.get("version") != VERSION:
        raise InputError(f"{path}: version is {value.get('version')!r}; this trihull reads version {VERSION}")
    for key in ("model", "input"):
        if not isinstance(value.get(key), str) or not value[key]:
            raise InputError(f"{path}: {key}: expected a name")
    rows = _matrix(path, "rows", value.get("rows"))
    labels = value.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, Label) for label in labels):
        raise InputError(f"{path}: labels: expected a list of numbers or strings")
    probabilities = _matrix(path, "probabilities", value.get("probabilities"))
    for key, values in (("labels", labels), ("probabilities", probabilities)):
        if len(values) != len(rows):
            raise InputError(f"{path}: {key}: has {len(values)} entries for {len(rows)} rows")
    return Split(rows, value["model"], value["input"], tuple(labels), probabilities)


def _matrix(path: Path, key: str, value: Any) -> tuple[tuple[float, ...], ...]:
    place = f"{path}: {key}" if key else f"{path}"
    if not isinstance(value, list) or not value:
        raise InputError(f"{place}: expected a list of rows, at least one")
    for index, row in enumerate(value):
        if not isinstance(row, list) or not row or not all(is_number(item) for item in row):
            raise InputError(f"{place}[{index}]: expected a list of numbers, at least one")
        if len(row) != len(value[0]):
            raise InputError(f"{place}[{index}]: has {len(row)} numbers, the first has {len(value[0])}")
    return tuple(tuple(row) for row in value)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _no_constant(token: str) -> float:
    raise ValueError(f"{token} is not a JSON number")


def labels_equal(expected: Sequence[Label], found: Sequence[Any]) -> list[bool]:
    """Compare labels one by one; a label travels as a number or as text, 7 and "7" are the same class."""
    return [
        str(want) == str(got) or (is_number(want) and is_number(got) and want == got)
        for want, got in zip(expected, found, strict=True)
    ]
