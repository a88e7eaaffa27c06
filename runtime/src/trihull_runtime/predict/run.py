"""Send the rows, collect the answers, compare them with the bare model."""

import collections
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trihull_runtime.errors import InputError, UnavailableError
from trihull_runtime.predict.client import Client, RequestLostError, Tensor
from trihull_runtime.predict.split import Label, Split, is_number, labels_equal

TOLERANCE: Final = 1e-4  # of a probability: DESIGN section 7, the parity gate's own
LABEL: Final = "label"
PROBABILITIES: Final = "probabilities"


@dataclass
class Result:
    """What came of it: `labels` and `probabilities` per row, None where the request was lost.

    `sites` counts rows by the site that a router says has answered them; empty where nobody says it.
    """

    model: str
    rows: int
    release_digest: str | None
    requests: int = 0
    lost_requests: int = 0
    first_loss: str | None = None
    seconds: float = 0.0
    labels: list[Any] = field(default_factory=list)
    probabilities: list[tuple[float, ...] | None] = field(default_factory=list)
    checked: bool = False
    wrong: list[str] = field(default_factory=list)
    sites: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def label_counts(self) -> dict[str, int]:
        """How often each label was given, most frequent first."""
        given = [label for label in self.labels if label is not None]
        return {str(label): count for label, count in collections.Counter(given).most_common()}


def predict(
    client: Client, model: str, split: Split, batch: int, check: bool, progress: Callable[[int], None]
) -> Result:
    """Send all rows in batches, each once.

    Raises:
        InputError: the model is another one than the file's, takes something else than the rows, or the endpoint
            refuses them; `check` on a file without the bare model's answers.
        UnavailableError: nothing listens there before the first answer.
    """
    if check and split.labels is None:
        raise InputError("--check needs the bare model's answers: a test_split.json, not a plain list of rows")
    if check and split.model is not None and split.model != model:
        raise InputError(f"the rows are of model {split.model!r}, and {model!r} was asked for")
    metadata = client.metadata(model)
    input_name = _input_name(metadata, split)
    digest = (metadata.get("parameters") or {}).get("release_digest")
    result = Result(model, len(split.rows), digest, checked=check)
    start = time.perf_counter()
    for place in range(0, len(split.rows), batch):
        rows = split.rows[place : place + batch]
        result.requests += 1
        try:
            answer = client.infer(model, input_name, rows)
            labels, probabilities = read_answer(answer.outputs, len(rows))
            if answer.site is not None:
                result.sites[answer.site] += len(rows)
        except (RequestLostError, UnavailableError) as error:  # it was there for the metadata: this is a loss
            result.lost_requests += 1
            result.first_loss = result.first_loss or f"rows {place} to {place + len(rows) - 1}: {error}"
            labels, probabilities = [None] * len(rows), [None] * len(rows)
        result.labels += labels
        result.probabilities += probabilities
        progress(len(rows))
    result.seconds = time.perf_counter() - start
    if check:
        assert split.labels is not None
        assert split.probabilities is not None
        result.wrong = differences(split.labels, split.probabilities, result.labels, result.probabilities)
    return result


def read_answer(outputs: Mapping[str, Tensor], rows: int) -> tuple[list[Any], list[tuple[float, ...] | None]]:
    """Return labels and probabilities per row (None where the model gives none).

    The label is the output `label`, probabilities the output `probabilities` of shape `[rows, classes]`.

    Raises:
        RequestLostError: the answer does not hold one label or one line of probabilities per row.
    """
    labels, probabilities = outputs.get(LABEL), outputs.get(PROBABILITIES)
    if labels is None:
        raise RequestLostError(f"the answer has no output {LABEL!r}, only {', '.join(outputs) or 'none'}")
    if len(labels.data) != rows:
        raise RequestLostError(f"the answer has {len(labels.data)} labels for {rows} rows")
    if probabilities is None:
        return list(labels.data), [None] * rows
    if len(probabilities.shape) != 2 or probabilities.shape[0] != rows:
        raise RequestLostError(f"the answer's probabilities have shape {list(probabilities.shape)} for {rows} rows")
    width = probabilities.shape[1]
    lines = [probabilities.data[index * width : (index + 1) * width] for index in range(rows)]
    return list(labels.data), list(lines)


def differences(
    labels: Sequence[Label],
    probabilities: Sequence[Sequence[float]],
    found_labels: Sequence[Any],
    found_probabilities: Sequence[Sequence[float] | None],
) -> list[str]:
    """Compare every answered row with the bare model; return one line per wrong row. Lost rows (None) are skipped."""
    wrong = []
    same = labels_equal(labels, found_labels)
    for index, got in enumerate(found_labels):
        if got is None:
            continue
        want_line, got_line = probabilities[index], found_probabilities[index]
        if not same[index]:
            wrong.append(f"row {index}: label {got!r}, the bare model says {labels[index]!r}")
        elif got_line is None or len(got_line) != len(want_line):
            wrong.append(f"row {index}: {0 if got_line is None else len(got_line)} probabilities, not {len(want_line)}")
        else:
            gap = max(
                abs(want - have) if is_number(have) else math.inf
                for want, have in zip(want_line, got_line, strict=True)
            )
            if not gap <= TOLERANCE:
                wrong.append(f"row {index}: a probability differs by {gap:.2g} from the bare model")
    return wrong


def _input_name(metadata: dict[str, Any], split: Split) -> str:
    inputs = metadata["inputs"]
    names = [str(tensor.get("name")) for tensor in inputs]
    if len(inputs) != 1:
        raise InputError(f"model {metadata['name']!r} takes {len(inputs)} inputs ({', '.join(names)}); rows give one")
    if split.input is not None and split.input != names[0]:
        raise InputError(f"the rows are for input {split.input!r}, but the model takes {names[0]!r}")
    shape = inputs[0].get("shape")
    width = len(split.rows[0])
    if inputs[0].get("datatype") != "FP32" or not isinstance(shape, list) or len(shape) != 2:
        raise InputError(
            f"model {metadata['name']!r} takes {inputs[0].get('datatype')} {shape}; rows need FP32 [-1, n]"
        )
    if shape[1] not in (-1, width):
        raise InputError(f"the rows have {width} numbers, but model {metadata['name']!r} takes {shape[1]}")
    return names[0]
