"""What a cloud allows in a property that takes a closed set of strings, where the SDK says no more than `str`.

The tables stand in `allowed/`, one for each package whose SDK has no enums, each row with its source.
"""

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any


@functools.cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    rows: dict[str, Any] = {}
    for file in sorted(resources.files(__package__).joinpath("allowed").iterdir(), key=lambda file: file.name):
        rows |= tomllib.loads(file.read_text(encoding="utf-8"))
    return rows


def anywhere(path: str) -> str:
    """Return the path of a property with any index for each of its own: `taints[0].key` -> `taints[*].key`."""
    return re.sub(r"\[\d+\]", "[*]", path)


def values(token: str, path: str) -> tuple[str, ...] | None:
    """Return what a property may be; None where nothing is known or its text is free."""
    row = _tables().get(token, {}).get("closed", {}).get(anywhere(path))
    return None if row is None else tuple(row["values"])


def known(token: str, path: str) -> bool:
    """Whether the tables say of a property that its set is closed, or that its text is free."""
    table = _tables().get(token, {})
    return anywhere(path) in table.get("closed", {}) or anywhere(path) in table.get("free", ())


def sources() -> Mapping[tuple[str, str], str]:
    """Return where each closed set is from, by token and path."""
    return {
        (token, path): row["source"]
        for token, table in _tables().items()
        for path, row in table.get("closed", {}).items()
    }
