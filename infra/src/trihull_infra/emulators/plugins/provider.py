"""What the protocol asks of a provider: plain values in, plain values out."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from trihull_infra.emulators.plugins.diff import Difference
from trihull_infra.errors import EmulatorError


class RefusedError(EmulatorError):
    """A provider refuses a request; the engine shows the message."""


class InitError(EmulatorError):
    """A resource was made or changed but did not become ready; it stays in the state, marked so."""

    def __init__(
        self, resource_id: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any], reasons: list[str]
    ) -> None:
        """Keep what was made beside why it is not ready."""
        super().__init__("; ".join(reasons))
        self.resource_id, self.outputs, self.inputs, self.reasons = resource_id, outputs, inputs, reasons


@dataclasses.dataclass(frozen=True)
class Urn:
    """A resource's place in a stack, taken from `urn:pulumi:STACK::PROJECT::PARENTS$TYPE::NAME`."""

    stack: str
    project: str
    type: str
    name: str
    text: str

    @classmethod
    def parse(cls, text: str) -> "Urn":
        """Read a URN; raises `RefusedError` for anything else."""
        parts = text.split("::", 3)
        if len(parts) != 4 or not parts[0].startswith("urn:pulumi:"):
            raise RefusedError(f"{text!r} is not a Pulumi URN")
        return cls(parts[0].removeprefix("urn:pulumi:"), parts[1], parts[2].rsplit("$", 1)[-1], parts[3], text)


@dataclasses.dataclass(frozen=True)
class Failure:
    """One property that Check refuses, and why; `missing` when it refuses that there is none."""

    property: str
    reason: str
    missing: bool = False


@dataclasses.dataclass(frozen=True)
class Naming:
    """How the engine wants names made up: a seed, and what the stack's configuration proposes."""

    seed: bytes = b""
    proposed: str = ""
    disabled: bool = False
    enforced: bool = False


class Provider(Protocol):
    """One configured provider instance. Every method may raise `RefusedError`; none is called with another's URN."""

    package: str

    def check_config(self, urn: Urn, inputs: dict[str, Any]) -> list[Failure]:
        """Return what is wrong with the provider's own configuration."""

    def configure(self, arguments: dict[str, Any], urn: str) -> None:
        """Take the configuration; guards are asked here."""

    def check(
        self, urn: Urn, old: dict[str, Any], new: dict[str, Any], naming: Naming
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Return the inputs with defaults and names filled in, and what is wrong with them."""

    def diff(
        self, urn: Urn, resource_id: str, old: dict[str, Any], state: dict[str, Any], new: dict[str, Any]
    ) -> Difference:
        """Return what would change."""

    def create(self, urn: Urn, inputs: dict[str, Any], preview: bool, timeout_s: float) -> tuple[str, dict[str, Any]]:
        """Make the resource; return its id and outputs. A preview makes nothing and returns an empty id."""

    def read(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return id, inputs and outputs as the cloud has them; an empty id when the resource is gone."""

    def update(
        self,
        urn: Urn,
        resource_id: str,
        old: dict[str, Any],
        state: dict[str, Any],
        new: dict[str, Any],
        preview: bool,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Change the resource in place; return its outputs."""

    def delete(
        self, urn: Urn, resource_id: str, inputs: dict[str, Any], state: dict[str, Any], timeout_s: float
    ) -> None:
        """End the resource; one that is gone already is no error."""

    def invoke(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a function of the cloud."""
