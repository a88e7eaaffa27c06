"""The escape hatch: arguments that an environment sets on a cloud's resources, beyond what trihull has words for.

It stays visible: each use is told at every preview and exported by the site, and one that meets nothing is an error.
An argument that the cloud does not know is refused by the engine, as everywhere.
"""

from collections.abc import Mapping
from typing import Any

import pulumi

from trihull_infra.errors import SpecError
from trihull_infra.spec.base import Overrides


class Hatch:
    """Sets arguments on resources while a program registers them, by type token or by logical name."""

    def __init__(self, changes: Overrides, where: str) -> None:
        """Set `changes`; `where` says which file and key they come from."""
        self._changes, self._where = changes, where
        self._met: dict[str, list[str]] = {key: [] for key in changes}

    def open(self) -> None:
        """Begin; what is registered from now on is changed."""
        if self._changes:
            # The engine's transforms see arguments by its own names, but only when a registration reaches it; what is
            # met is told at once by the SDK's older ones.
            pulumi.runtime.register_resource_transform(self._set)
            pulumi.runtime.register_stack_transformation(self._tell)

    def _tell(self, args: pulumi.ResourceTransformationArgs) -> None:
        for key in self._keys(args.type_, args.name):
            line = f"{args.type_} {args.name}: {', '.join(self._changes[key])}"
            self._met[key].append(line)
            pulumi.log.warn(f"override ({self._where}): {line}")

    def _set(self, args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        keys = self._keys(args.type_, args.name)
        props: dict[str, Any] = dict(args.props)
        for key in keys:
            props = merged(props, self._changes[key])
        return pulumi.ResourceTransformResult(props, args.opts) if keys else None

    def _keys(self, token: str, name: str) -> list[str]:
        return [key for key in (token, name) if key in self._changes]

    @property
    def told(self) -> list[str]:
        """Return what is changed, `type name: arguments`, as far as it was registered."""
        return sorted(line for lines in self._met.values() for line in lines)

    def close(self) -> None:
        """End; raises SpecError for a change that met no resource: a name misspelled, or a resource that is gone."""
        if missed := sorted(key for key, lines in self._met.items() if not lines):
            raise SpecError(
                f"{self._where}: no resource has the type or the logical name {', '.join(missed)}; "
                "`pulumi preview` lists both"
            )


def merged(props: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with others set: objects key by key, lists and plain values whole, null to leave one out."""
    result = dict(props)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            result[key] = value
    return result
