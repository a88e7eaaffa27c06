"""Questions with known answers, from a release's own test split: with them routers find out who answers wrongly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trihull_runtime.contract import (
    ContractError,
    DataType,
    EnvironmentReleases,
    KnownAnswer,
    KnownTensor,
    Release,
    Tensor,
)

SPLIT: Final = "test_split.json"  # what `trihull package` writes beside release.json
ROWS: Final = 2  # in one question; those that the model is surest of, so that rounding never turns a label


def of_releases(releases: EnvironmentReleases, folder: Path) -> dict[str, tuple[KnownAnswer, ...]]:
    """Return the known answers of every model; a release without a test split has none.

    Args:
        releases: what the sites shall serve.
        folder: the folder that its paths start from.

    Raises:
        ContractError: a release or its test split cannot be read.
    """
    found: dict[str, tuple[KnownAnswer, ...]] = {}
    for model, sites in sorted(releases.models.items()):
        paths = {site.release_digest: folder / site.path for site in sites.values()}
        answers = [of_release(path) for _, path in sorted(paths.items()) if (path.parent / SPLIT).is_file()]
        if known := tuple(answer for answer in answers if answer is not None):
            found[model] = known
    return found


def of_release(path: Path) -> KnownAnswer | None:
    """Return the known answer of one release; None when its outputs are not labels and probabilities.

    Raises:
        ContractError: `release.json` or the test split beside it is not what it should be.
    """
    release = Release.read(path)
    split = _read(path.parent / SPLIT)
    try:
        rows, labels, probabilities = split["rows"], split["labels"], split["probabilities"]
        surest = sorted(range(len(rows)), key=lambda index: (-max(probabilities[index]), index))[:ROWS]
        if not surest:
            raise TypeError("it has no rows")
        (source,) = release.model.signature.inputs
        inputs = (_tensor(source, [rows[index] for index in surest]),)
        outputs = tuple(
            _tensor(output, [(labels if len(output.shape) == 1 else probabilities)[index] for index in surest])
            for output in release.model.signature.outputs
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ContractError(str(path.parent / SPLIT), "", f"is not a test split: {error!r}") from error
    except ValueError:  # several inputs, or values that are no numbers: nothing that a split can say
        return None
    return KnownAnswer(release.release_digest, inputs, outputs)


def _tensor(described: Tensor, rows: list[Any]) -> KnownTensor:
    flat = [item for row in rows for item in (row if isinstance(row, list) else [row])]
    shape = (len(rows), *(size for size in described.shape[1:]))
    if described.datatype is DataType.BYTES:
        return KnownTensor(described.name, described.datatype, shape, texts=tuple(str(item) for item in flat))
    return KnownTensor(described.name, described.datatype, shape, numbers=tuple(float(item) for item in flat))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ContractError(str(path), "", f"cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ContractError(str(path), "", "is not a test split")
    return value
