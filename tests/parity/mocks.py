"""Running a program without engine or cloud: what it registers is recorded with everything the engine would be told.

Mocks alone do not show parent, protect or dependencies, so the monitor is ours. In preview, what only the cloud knows
is unknown, as the engine would have it.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import provider_pb2, resource_pb2
from pulumi.runtime.stack import Stack, massage, run_pulumi_func

from tests.parity import quick
from trihull_infra.emulators.plugins import values
from trihull_infra.emulators.plugins.recorded import decoded
from trihull_infra.emulators.recorder.answers import Place, Request
from trihull_infra.emulators.recorder.clouds import CLOUDS
from trihull_infra.emulators.recorder.facts import facts, unversioned
from trihull_infra.emulators.recorder.identities import certificate_authority
from trihull_infra.emulators.recorder.recording import Recorder
from trihull_infra.registered import Registered
from trihull_runtime.contract.site import SECRET_FIELDS

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"
CREATED = "2026-01-01T00:00:00Z"
REGISTRIES = Path("/var/lib/trihull/registries")  # only a name here: nothing touches a file

SIGNATURE = "4dabf18193072939515e22adb298388d"  # pulumi/sdk, common/resource/sig: what kind of special value this is
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = rpc.UNKNOWN

# Outputs that only the other side knows, for types of no cloud; those of clouds are the recorder's.
COMPUTED: Mapping[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    "tls:index/privateKey:PrivateKey": lambda *_: {"privateKeyPem": {SIGNATURE: SECRET, "value": KEY}},
    "tls:index/selfSignedCert:SelfSignedCert": lambda *_: {"certPem": PEM},
    "tls:index/certRequest:CertRequest": lambda *_: {"certRequestPem": "-----BEGIN CERTIFICATE REQUEST-----\n"},
    "tls:index/locallySignedCert:LocallySignedCert": lambda *_: {"certPem": PEM},
    "kubernetes:core/v1:Service": lambda *_: {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}},
}


@dataclass(frozen=True)
class Secret:
    """A value that the program marked as secret."""

    value: Any


@dataclass(frozen=True)
class Resource(Registered):
    """A registered resource with all that the engine is told of it."""

    custom: bool
    parent: str
    provider: str
    protect: bool
    retained: bool  # left in the cloud when the program registers it no more
    ignore_changes: tuple[str, ...]
    delete_before_replace: bool
    aliases: int


Key = tuple[str, str]  # type token and logical name


@dataclass
class Recording:
    """What a program registered, invoked and exported."""

    resources: list[Resource] = field(default_factory=list)
    invokes: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    made: dict[Key, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # id and outputs, as they travel

    @property
    def registered(self) -> list[Registered]:
        """The custom resources, secrets laid open, as `describe` takes them."""
        return [Registered(one.type, one.name, opened(one.inputs)) for one in self.resources if one.custom]

    def of_type(self, token: str) -> list[Resource]:
        return [one for one in self.resources if one.type == token]

    def the(self, token: str, name: str | None = None) -> Resource:
        found = [one for one in self.of_type(token) if name is None or one.name == name]
        assert len(found) == 1, f"{len(found)} resources {token} {name or ''}, expected one"
        return found[0]


def opened(value: Any) -> Any:
    """Return a value without the marks of secrets."""
    if isinstance(value, Secret):
        return opened(value.value)
    if isinstance(value, Mapping):
        return {key: opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item) for item in value]
    return value


def _read(struct: struct_pb2.Struct) -> Any:
    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get(SIGNATURE) == SECRET:
                return Secret(marked(value["value"]))
            return {key: marked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [marked(item) for item in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return marked(json_format.MessageToDict(struct))


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())


def marked(value: Any) -> Any:
    """Return a value with what is unknown as the recorder knows it."""
    if value == UNKNOWN:
        return values.UNKNOWN
    if isinstance(value, Mapping):
        return {key: marked(item) for key, item in value.items()}
    return [marked(item) for item in value] if isinstance(value, list) else value


def _opened_wire(value: Any) -> Any:
    """Return what travelled without the marks of secrets."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return _opened_wire(value["value"])
        return {key: _opened_wire(item) for key, item in value.items()}
    return [_opened_wire(item) for item in value] if isinstance(value, list) else value


def _wire(value: Any) -> Any:
    """Return what the recorder answers as it travels."""
    if value is values.UNKNOWN:
        return UNKNOWN
    if isinstance(value, values.Secret):
        return {SIGNATURE: SECRET, "value": _wire(value.value)}
    if isinstance(value, Mapping):
        return {key: _wire(item) for key, item in value.items()}
    return [_wire(item) for item in value] if isinstance(value, list | tuple) else value


class _Monitor(mocks.MockMonitor):
    """The engine's side of a run: answers registrations at once, and writes them down."""

    def __init__(
        self,
        preview: bool,
        references: Mapping[str, Mapping[str, Any]],
        before: Recording | None,
        anew: Collection[Key],
    ) -> None:
        self.recording = Recording()
        self._preview = preview
        self._before = {} if before is None else {key: made for key, made in before.made.items() if key not in anew}
        self._inputs = {} if before is None else {(one.type, one.name): one.inputs for one in before.resources}
        self._references = references
        self._made_ones: dict[tuple[str, str], dict[str, Any]] = {}
        self._configuration: dict[str, dict[str, Any]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        urn = f"urn:pulumi:stack::project::{request.type}::{request.name}"
        inputs = _read(request.object)
        if request.type != "pulumi:pulumi:Stack":
            self.recording.resources.append(
                Resource(
                    request.type,
                    request.name,
                    inputs,
                    custom=request.custom,
                    parent=request.parent,
                    provider=request.provider,
                    protect=request.protect,
                    retained=request.retainOnDelete,
                    ignore_changes=tuple(request.ignoreChanges),
                    delete_before_replace=request.deleteBeforeReplace,
                    aliases=len(request.aliases),
                )
            )
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        return self._made(request, urn, inputs)

    def _made(self, request: Any, urn: str, inputs: Any) -> Any:
        """Answer as the recorder of the type's cloud does; in a preview, what only the cloud knows is unknown."""
        identifier, state = self._answer(request, urn, inputs)
        self.recording.made[request.type, request.name] = identifier, state
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identifier, object=_struct(state))

    def _answer(self, request: Any, urn: str, inputs: Any) -> tuple[str, dict[str, Any]]:
        known = json_format.MessageToDict(request.object)
        package = request.type.partition(":")[0]
        there = self._before.get((request.type, request.name))
        if there is not None and inputs == self._inputs[request.type, request.name]:
            self._remember(request, *there)
            return there  # what stays as it is stays known
        if package in CLOUDS:
            recorder = Recorder(package)
            given = marked(opened(inputs))
            if self._preview:
                identifier, state = there or ("", None)
                if state is not None:
                    self._remember(request, identifier, state)
                outputs = recorder.foresee(request.type, given, None if state is None else marked(_opened_wire(state)))
                return identifier, {**known, **_wire(outputs)}
            seed = hashlib.sha256(urn.encode()).hexdigest()
            answer = recorder.answer(
                Request(facts(request.type), request.name, given, seed, CREATED, self._place(package))
            )
            self._made_ones[unversioned(request.type), answer.id] = {
                **answer.outputs,
                "__certificate": certificate_authority(answer.id, request.name),
            }
            return answer.id, {**known, **_wire(recorder.mark(request.type, answer.outputs))}
        compute = COMPUTED.get(request.type)
        computed = compute(request.name, opened(inputs)) if compute is not None else {}
        hidden = self._preview and there is None
        state = {**known, **{key: UNKNOWN if hidden else value for key, value in computed.items()}}
        return "" if hidden else f"id-{request.name}", state

    def _remember(self, request: Any, identifier: str, state: Mapping[str, Any]) -> None:
        """Let functions find what an earlier update made."""
        self._made_ones[unversioned(request.type), identifier] = {
            **marked(_opened_wire(state)),
            "__certificate": certificate_authority(identifier, request.name),
        }

    def _place(self, package: str) -> Place:
        for one in self.recording.resources:
            if one.type == f"pulumi:providers:{package}":
                self._configuration[package] = decoded(opened(one.inputs))
        configuration = self._configuration.get(package, {})
        return Place(CLOUDS[package].SITE, CLOUDS[package].region(configuration), REGISTRIES, configuration)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        assert request.type == "pulumi:pulumi:StackReference", request.type
        outputs = self._references.get(request.id)
        if outputs is None:
            raise RuntimeError(f"unknown stack {request.id!r}")
        state = {
            "name": request.id,
            "outputs": dict(outputs),
            "secretOutputNames": [name for name in SECRET_FIELDS if name in outputs],
        }
        urn = f"urn:pulumi:stack::project::{request.type}::{request.name}"
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_struct(state))

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        self.recording.invokes.append((request.tok, _read(request.args), request.provider))
        package = request.tok.partition(":")[0]
        arguments = marked(opened(_read(request.args)))
        answer = CLOUDS[package].invoke(request.tok, arguments, self._place(package), self._find)
        plain = {key: value for key, value in answer.items() if not key.startswith("__")}
        return provider_pb2.InvokeResponse(**{"return": _struct(_wire(plain))})

    def _find(self, token: str, resource_id: str) -> Any:
        return self._made_ones.get((token, resource_id))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if "pulumi:pulumi:Stack" in request.urn:
            self.recording.exports = _read(request.outputs)
        return empty_pb2.Empty()


def run(
    program: Callable[[], None],
    *,
    project: str,
    stack: str,
    preview: bool,
    references: Mapping[str, Mapping[str, Any]] | None = None,
    before: Recording | None = None,
    anew: Collection[Key] = (),
) -> Recording:
    """Run a program as the engine would, in the current folder; errors of the program come through.

    Args:
        program: the program.
        project: its project's name.
        stack: the stack's name.
        preview: whether what only a cloud knows stays unknown.
        references: the full name of another stack -> its outputs.
        before: what an earlier update made: a preview knows its outputs.
        anew: what of it will be made anew, so that nothing of it is known any more.
    """
    monitor = _Monitor(preview, references or {}, before, anew)
    with quick.event_loop() as loop:
        settings.reset_options()
        mocks.set_mocks(mocks=_NoMocks(), project=project, stack=stack, preview=preview, monitor=monitor)

        def begun() -> None:
            program()
            root = settings.get_root_resource()
            assert isinstance(root, Stack)
            root.register_outputs(massage(root.outputs, []))

        loop.run_until_complete(run_pulumi_func(begun))
    return monitor.recording


class _NoMocks(mocks.Mocks):
    def call(self, args: Any) -> Any:
        raise NotImplementedError(args.token)

    def new_resource(self, args: Any) -> Any:
        raise NotImplementedError(args.typ)
