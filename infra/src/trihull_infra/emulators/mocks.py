"""The recorder behind `pulumi.runtime.set_mocks`: a program runs without engine and daemon, and is answered as its
cloud would answer it.

    mocks = RecorderMocks(preview=False)
    pulumi.runtime.set_mocks(mocks, project="trihull-site", stack="local-aws")

What the program registered is in `mocks.registered`, in order. An argument the cloud would refuse is a `RefusedError`.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from trihull_infra.emulators.cluster.objects import is_namespaced
from trihull_infra.emulators.plugins.kubernetes import Cluster, KubernetesProvider
from trihull_infra.emulators.plugins.provider import Failure, Naming, RefusedError, Urn
from trihull_infra.emulators.plugins.recorded import decoded
from trihull_infra.emulators.plugins.tls import TlsProvider
from trihull_infra.emulators.plugins.values import (
    OUTPUT_VALUE,
    SECRET,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_WIRE,
    Secret,
)
from trihull_infra.emulators.recorder.answers import Place, Request
from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.recorder.facts import facts, unversioned
from trihull_infra.emulators.recorder.identities import certificate_authority
from trihull_infra.emulators.recorder.recording import Recorder

CREATED = "2026-01-01T00:00:00Z"
REGISTRIES = Path("/var/lib/trihull/emulators/registries")  # only a name here: mocks touch no file
LOAD_BALANCER = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1", "ports": [{"port": 18080, "protocol": "TCP"}]}]}}


@dataclasses.dataclass(frozen=True)
class Registration:
    """One resource a program registered: inputs as the program gave them, unknowns as `UNKNOWN`, secrets opened."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    id: str
    outputs: Mapping[str, Any]
    custom: bool
    provider: str


class RecorderMocks(pulumi.runtime.Mocks):
    """Mocks that answer as the emulated clouds do; one object per run of a program."""

    def __init__(
        self,
        *,
        preview: bool = False,
        stack: str = "local-mock",
        stacks: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Answer from the recorder.

        Args:
            preview: leave unknown what a preview cannot know.
            stack: the stack's name, as given to `set_mocks`.
            stacks: outputs of other stacks, by the name a StackReference uses.
        """
        self.registered: list[Registration] = []
        self.invoked: list[tuple[str, Mapping[str, Any]]] = []
        self._preview, self._stack, self._stacks = preview, stack, stacks or {}
        self._configurations: dict[str, dict[str, Any]] = {}
        self._tls, self._kubernetes = TlsProvider(), KubernetesProvider(_no_cluster, is_namespaced)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Check a registration and answer it.

        Raises:
            RefusedError: the cloud would refuse it; the message names type, resource and property.
        """
        inputs = _from_mock(args.inputs)
        resource_id, outputs = self._answer(args, inputs)
        self.registered.append(
            Registration(
                args.typ, args.name, inputs, resource_id, outputs, args.custom is not False, args.provider or ""
            )
        )
        return resource_id, {key: _to_mock(value) for key, value in outputs.items()}

    def _answer(self, args: pulumi.runtime.MockResourceArgs, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            name = str(inputs.get("name"))
            if name not in self._stacks:
                raise RefusedError(f"unknown stack {name!r}; known: {', '.join(self._stacks) or 'none'}")
            return name, {"name": name, "outputs": dict(self._stacks[name]), "secretOutputNames": []}
        if args.typ.startswith("pulumi:providers:"):
            self._configurations[args.name] = decoded(inputs)
            return f"{args.name}-id", inputs
        package = args.typ.partition(":")[0]
        urn = Urn(self._stack, "mock", args.typ, args.name, f"urn:pulumi:{self._stack}::mock::{args.typ}::{args.name}")
        naming = Naming(seed=hashlib.sha256(args.name.encode()).digest())
        if package in CLOUDS:
            return self._recorded(urn, inputs, naming, args.provider or "")
        if package in ("tls", "kubernetes"):
            provider = self._tls if package == "tls" else self._kubernetes
            checked, failures = provider.check(urn, {}, inputs, naming)
            self._raise(urn, failures)
            if package == "tls":
                return self._tls.create(urn, checked, self._preview, 0)
            return self._object(urn, checked)
        return "", inputs  # a component

    def _recorded(self, urn: Urn, inputs: dict[str, Any], naming: Naming, provider: str) -> tuple[str, dict[str, Any]]:
        recorder = Recorder(urn.type.partition(":")[0])
        checked, failures = recorder.check(urn, {}, inputs, naming)
        self._raise(urn, failures)
        if self._preview:
            return "", recorder.foresee(urn.type, checked)
        seed = hashlib.sha256(urn.text.encode()).hexdigest()
        place = self._place(recorder.package, provider)
        answer = recorder.answer(Request(facts(urn.type), urn.name, checked, seed, CREATED, place))
        return answer.id, recorder.mark(urn.type, answer.outputs)

    def _raise(self, urn: Urn, failures: list[Failure]) -> None:
        """Raise what is wrong; mocks of a preview are given no unknowns at all, so nothing counts as missing there."""
        reasons = [failure.reason for failure in failures if not (failure.missing and self._preview)]
        if reasons:
            raise RefusedError(f"{urn.type} {urn.name!r}: " + "; ".join(reasons))

    def _object(self, urn: Urn, checked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if self._preview:
            return self._kubernetes.create(urn, checked, True, 0)
        metadata = checked["metadata"]
        status = LOAD_BALANCER if (checked.get("spec") or {}).get("type") == "LoadBalancer" else {}
        identifier = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
        return identifier, {**checked, "status": status}

    def _place(self, package: str, provider: str) -> Place:
        cloud = CLOUDS[package]
        name = provider.rpartition("::")[0].rpartition("::")[2]
        configuration = self._configurations.get(name, {})
        return Place(cloud.SITE, cloud.region(configuration), REGISTRIES, configuration)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer a function; raises `RefusedError` when it is not emulated."""
        arguments = _from_mock(args.args)
        self.invoked.append((args.token, arguments))
        package = args.token.partition(":")[0]
        if package == "tls":
            return self._tls.invoke(args.token, arguments), []
        if package not in CLOUDS:
            raise RefusedError(f"{args.token} is not emulated")
        result = CLOUDS[package].invoke(args.token, arguments, self._place(package, args.provider), self._find)
        return {key: _to_mock(value) for key, value in result.items()}, []

    def _find(self, token: str, resource_id: str) -> dict[str, Any] | None:
        for one in self.registered:
            if unversioned(one.type) == token and one.id == resource_id:
                return {**one.outputs, "__certificate": certificate_authority(one.id, one.name)}
        return None


def _no_cluster(url: str) -> Cluster:
    raise RefusedError(f"{url}: mocks have no cluster")


def _from_mock(value: Any) -> Any:
    if isinstance(value, pulumi.output.Unknown) or value == UNKNOWN_WIRE:  # the SDK's form of it varies
        return UNKNOWN
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) in (SECRET, OUTPUT_VALUE):
            return _from_mock(value["value"]) if "value" in value else UNKNOWN
        return {key: _from_mock(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_mock(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _to_mock(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_WIRE
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, "value": _to_mock(value.value)}
    if isinstance(value, Mapping):
        return {key: _to_mock(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_mock(item) for item in value]
    return value
