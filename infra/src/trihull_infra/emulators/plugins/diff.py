"""What changed between a resource's old and new inputs, property by property, and whether it forces a replacement."""

import dataclasses
import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trihull_infra.emulators.plugins.values import UNKNOWN


class Kind(enum.Enum):
    """How one property changed."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclasses.dataclass(frozen=True)
class Change:
    """One changed property: its path as Pulumi writes it (`tags.owner`, `rules[0].port`) and how it changed."""

    path: str
    kind: Kind
    replace: bool = False


@dataclasses.dataclass(frozen=True)
class Difference:
    """All changes of a resource."""

    changes: tuple[Change, ...] = ()
    delete_before_replace: bool = False

    @property
    def replaces(self) -> bool:
        """Whether any change forces a replacement."""
        return any(change.replace for change in self.changes)


def compare(old: Mapping[str, Any], new: Mapping[str, Any], replacing: Iterable[str] = ()) -> tuple[Change, ...]:
    """Compare inputs.

    Args:
        old: the inputs of the last deployment.
        new: the checked inputs of this one; unknown values count as changed.
        replacing: property paths whose change forces a replacement; `[*]` stands for any index, and everything below a
            path counts.
    """
    patterns = [_pattern(path) for path in replacing]
    return tuple(
        dataclasses.replace(change, replace=any(pattern.match(change.path) for pattern in patterns))
        for change in _walk(old, new, "")
    )


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.escape(path).replace(re.escape("[*]"), r"\[\d+\]")
    return re.compile(escaped + r"(?=$|[.\[])")


def _walk(old: Any, new: Any, path: str) -> Iterator[Change]:
    if new is UNKNOWN:
        yield Change(path, Kind.UPDATE)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path and key.isidentifier() else f'{path}["{key}"]' if path else key
            if old.get(key) is None and new.get(key) is None:
                continue
            if old.get(key) is None:
                yield Change(below, Kind.ADD)
            elif new.get(key) is None:
                yield Change(below, Kind.DELETE)
            else:
                yield from _walk(old[key], new[key], below)
    elif _is_list(old) and _is_list(new):
        for index in range(max(len(old), len(new))):
            below = f"{path}[{index}]"
            if index >= len(old):
                yield Change(below, Kind.ADD)
            elif index >= len(new):
                yield Change(below, Kind.DELETE)
            else:
                yield from _walk(old[index], new[index], below)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Change(path, Kind.UPDATE)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
