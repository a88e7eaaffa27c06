"""One cloud's recorder: pure functions from a type and its inputs to names, failures, differences and outputs.

Both the plugins and the mocks of unit tests stand on this; nothing here remembers anything.
"""

import dataclasses
import functools
import hashlib
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

from trihull_infra.emulators.plugins.diff import Difference, compare
from trihull_infra.emulators.plugins.provider import Failure, Naming, Urn
from trihull_infra.emulators.plugins.values import UNKNOWN, Secret
from trihull_infra.emulators.recorder.answers import Answer, Place, Request, complete
from trihull_infra.emulators.recorder.checks import check
from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.recorder.facts import Facts, Type, facts, unversioned


@dataclasses.dataclass(frozen=True)
class Recorder:
    """The recorder of one package."""

    package: str

    @property
    def cloud(self) -> ModuleType:
        """The module that holds what is particular to this package's cloud."""
        return CLOUDS[self.package]

    def check(
        self, urn: Urn, old: Mapping[str, Any], new: Mapping[str, Any], naming: Naming
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Return the inputs with a name, and everything the cloud would refuse in them."""
        known = facts(urn.type)
        inputs = dict(new)
        failures = self._name(known, urn, old, inputs, naming)
        return inputs, failures + check(known, inputs)

    def _name(
        self, known: Facts, urn: Urn, old: Mapping[str, Any], inputs: dict[str, Any], naming: Naming
    ) -> list[Failure]:
        named = self.cloud.naming(known)
        if named is None or inputs.get(named[0]) is not None:
            return []
        name, style = named
        if inputs.get(f"{name}Prefix") is not None:
            prefix = inputs[f"{name}Prefix"]
            inputs[name] = old.get(name) or (UNKNOWN if prefix is UNKNOWN else f"{prefix}{_digits(naming, urn, 26)}")
        elif old.get(name) is not None:
            inputs[name] = old[name]
        elif naming.disabled:
            return [Failure(name, f"{name} is missing, and automatic names are disabled for this stack")]
        elif naming.proposed:
            inputs[name] = naming.proposed
        else:
            inputs[name] = self._made_up(known.token, urn, style, naming)
        return []

    def _made_up(self, token: str, urn: Urn, style: str, naming: Naming) -> str:
        limit = self.cloud.name_limit(token)
        if style == "copy":
            return urn.name
        if style == "uuid":
            digits = _digits(naming, urn, 32)
            return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        if style == "joined":
            base = re.sub(r"[^a-z0-9]", "", urn.name.lower()) if limit <= 50 else urn.name
            return base[: limit - 8] + _digits(naming, urn, 8)
        base = urn.name.lower() if self.package == "gcp" or token.startswith("aws:s3/") else urn.name
        return f"{base[: limit - 8]}-{_digits(naming, urn, 7)}"

    def difference(self, token: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
        """Compare inputs; a replacement that keeps its name must delete first, as two of one name cannot be."""
        token = unversioned(token)
        known = facts(token)
        replacing = set(replaces(token))
        if self.package == "azure-native":
            replacing |= {*self.cloud.path_arguments(known), "location"}
        named = self.cloud.naming(known)
        if named:
            replacing.add(named[0])
        changes = compare(old, new, replacing)
        return Difference(changes, delete_before_replace=self._fixed_id(known, old) == self._fixed_id(known, new) != "")

    def _fixed_id(self, known: Facts, inputs: Mapping[str, Any]) -> str:
        """Return the id that inputs alone decide; empty when the cloud draws it at random."""
        ids = {
            self.cloud.answer(Request(known, "", _known(inputs), seed, "", Place("", "", Path("/")))).id
            for seed in "ab"
        }
        return ids.pop() if len(ids) == 1 else ""

    def answer(self, request: Request) -> Answer:
        """Return the id and all outputs of a resource."""
        found: Answer = self.cloud.answer(request)
        return Answer(found.id, complete(request, found.outputs))

    def foresee(self, token: str, inputs: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the outputs a preview can know: the inputs, and of the rest what the state has.

        The bridged providers leave an output unknown when the cloud always sets it. azure-native knows of no output
        that is not an input (PreviewOutputs in its provider/pkg/convert).
        """
        known = facts(token)
        outputs: dict[str, Any] = {}
        for name, prop in known.outputs.items():
            given = known.inputs.get(name)
            if given is not None and inputs.get(name) is not None:
                outputs[name] = _shown(known, prop.type, given.type, inputs[name])
            elif state is not None and given is None and name in state:
                outputs[name] = state[name]
            elif state is not None and given is not None and not prop.required:
                continue
            elif prop.required or self.package == "azure-native":
                outputs[name] = UNKNOWN
        return outputs

    def mark(self, token: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return outputs with those marked secret that the SDK says are."""
        hidden = facts(token).secrets
        return {key: Secret(value) if key in hidden else value for key, value in outputs.items()}


@functools.cache
def _table() -> dict[str, list[str]]:
    rows: dict[str, Any] = {}
    for file in sorted(resources.files(__package__).joinpath("replaces").iterdir(), key=lambda file: file.name):
        rows |= tomllib.loads(file.read_text(encoding="utf-8"))
    return {token: list(row["properties"]) for token, row in rows.items()}


def replaces(token: str) -> list[str]:
    """Return the properties of a type whose change forces a replacement, as `replaces/` has them."""
    return _table().get(token, [])


def looked_up(token: str) -> bool:
    """Whether it is known what forces a replacement of a type, be it nothing."""
    return token in _table()


def _shown(known: Facts, shape: Type, given: Type, value: Any) -> Any:
    """Return an input as the output of the same name, with what only the cloud sets unknown.

    Where the cloud answers in another shape all is unknown: azure-native takes `userAssignedIdentities` as a list and
    answers with a map, for one.
    """
    if value is UNKNOWN or value is None:
        return value
    if shape.kind == "object" and given.kind == "object" and isinstance(value, Mapping):
        parts, taken = known.objects.get(shape.name, {}), known.objects.get(given.name, {})
        shown = {
            key: _shown(known, parts[key].type, taken[key].type, item) if key in parts and key in taken else item
            for key, item in value.items()
        }
        return {**shown, **{key: UNKNOWN for key in parts if key not in taken}}
    if shape.kind == "list" and given.kind == "list" and isinstance(value, list) and shape.of and given.of:
        return [_shown(known, shape.of, given.of, item) for item in value]
    if isinstance(value, list) != (shape.kind == "list") and shape.kind in ("map", "list", "object"):
        return UNKNOWN
    return value


def _digits(naming: Naming, urn: Urn, length: int) -> str:
    return hashlib.sha256(naming.seed + urn.text.encode()).hexdigest()[:length]


def _known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs in which an unknown is a text of its own, so that it equals nothing."""
    return {key: f"unknown {key}" if value is UNKNOWN else value for key, value in inputs.items()}
