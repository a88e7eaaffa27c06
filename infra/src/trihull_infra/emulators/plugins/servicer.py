"""The gRPC side of a plugin: messages to plain values and back, one server with its own port per plugin launch."""

import concurrent.futures
import logging
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.diff import Difference, Kind, compare
from trihull_infra.emulators.plugins.provider import InitError, Naming, Provider, Urn
from trihull_infra.emulators.plugins.values import from_struct, to_struct
from trihull_runtime.errors import TrihullError

LOG = logging.getLogger(__name__)
WORKERS = 64  # threads are made when needed; a waiting Deployment holds one, and the engine starts 4 per core
MESSAGE_BYTES = 400 << 20  # the engine's own limit (sdk/go/common/util/rpcutil, GrpcChannelOptions)
KINDS = {
    (Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Instance:
    """A running gRPC server for one provider; `port` is where the engine finds it."""

    def __init__(self, provider: Provider, version: str) -> None:
        """Start serving on a free port of 127.0.0.1."""
        self._pool = concurrent.futures.ThreadPoolExecutor(WORKERS, thread_name_prefix=f"plugin-{provider.package}")
        options = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(self._pool, options=options)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider, version), self._server)
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self, grace_s: float = 0.0) -> None:
        """Stop serving; what runs in a thread of the pool is finished, not cut."""
        self._server.stop(grace_s).wait(grace_s + 5)
        self._pool.shutdown(wait=False)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Pulumi's ResourceProvider service for one `Provider`."""

    def __init__(self, provider: Provider, version: str) -> None:
        """Serve `provider`, which calls itself `version`."""
        self._provider, self._version = provider, version

    def _answer(self, context: Any, method: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except InitError as error:
            detail = provider_pb2.ErrorResourceInitFailed(
                id=error.resource_id,
                properties=to_struct(error.outputs),
                reasons=error.reasons,
                inputs=to_struct(error.inputs),
            )
            packed = any_pb2.Any()
            packed.Pack(detail)
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except TrihullError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            LOG.exception("%s of %s failed", method, self._provider.package)
            context.abort(
                grpc.StatusCode.INTERNAL,
                f"emulator of {self._provider.package}: {method} failed: {type(error).__name__}: {error} (see its log)",
            )

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's names
        """Say what this plugin can do; secrets are left to the engine (see values.py)."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Report the version of the SDK whose facts are served."""
        return plugin_pb2.PluginInfo(version=self._version)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Be attached to by an engine that did not start us."""
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Running operations finish, as a cloud's do."""
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Check the provider's own configuration."""

        def work() -> Any:
            urn = Urn.parse(request.urn)
            guards.stack(urn.stack)
            news = from_struct(request.news)
            failures = self._provider.check_config(urn, news)
            return provider_pb2.CheckResponse(
                inputs=request.news,
                failures=[provider_pb2.CheckFailure(property=item.property, reason=item.reason) for item in failures],
            )

        return self._answer(context, "CheckConfig", work)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare the provider's configuration: a change is an update, never a replacement of everything."""

        def work() -> Any:
            old = from_struct(request.old_inputs if request.HasField("old_inputs") else request.olds)
            return _difference(Difference(compare(old, from_struct(request.news))))

        return self._answer(context, "DiffConfig", work)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the configuration."""

        def work() -> Any:
            arguments = from_struct(request.args)
            if request.urn:
                guards.stack(Urn.parse(request.urn).stack)
            self._provider.configure(arguments, request.urn)
            return provider_pb2.ConfigureResponse(
                acceptSecrets=False,
                supportsPreview=True,
                acceptResources=False,
                acceptOutputs=False,
                supports_autonaming_configuration=True,
            )

        return self._answer(context, "Configure", work)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Check a resource's inputs and fill in what the provider defaults."""

        def work() -> Any:
            urn = _guarded(request.urn)
            auto = request.autonaming if request.HasField("autonaming") else None
            modes = provider_pb2.CheckRequest.AutonamingOptions
            naming = Naming(
                seed=request.randomSeed,
                proposed=auto.proposed_name if auto else "",
                disabled=auto is not None and auto.mode == modes.DISABLE,
                enforced=auto is not None and auto.mode == modes.ENFORCE,
            )
            inputs, failures = self._provider.check(urn, from_struct(request.olds), from_struct(request.news), naming)
            return provider_pb2.CheckResponse(
                inputs=to_struct(inputs),
                failures=[provider_pb2.CheckFailure(property=item.property, reason=item.reason) for item in failures],
            )

        return self._answer(context, "Check", work)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare old and new inputs."""

        def work() -> Any:
            state = from_struct(request.olds)
            old = from_struct(request.old_inputs) if request.HasField("old_inputs") else state
            urn = _guarded(request.urn)
            return _difference(self._provider.diff(urn, request.id, old, state, from_struct(request.news)))

        return self._answer(context, "Diff", work)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make a resource, or say what making it would give."""

        def work() -> Any:
            resource_id, outputs = self._provider.create(
                _guarded(request.urn), from_struct(request.properties), request.preview, request.timeout
            )
            return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(outputs))

        return self._answer(context, "Create", work)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Say what the cloud has."""

        def work() -> Any:
            resource_id, inputs, outputs = self._provider.read(
                _guarded(request.urn), request.id, from_struct(request.inputs), from_struct(request.properties)
            )
            if not resource_id:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(id=resource_id, properties=to_struct(outputs), inputs=to_struct(inputs))

        return self._answer(context, "Read", work)

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change a resource in place."""

        def work() -> Any:
            state = from_struct(request.olds)
            outputs = self._provider.update(
                _guarded(request.urn),
                request.id,
                from_struct(request.old_inputs) if request.HasField("old_inputs") else state,
                state,
                from_struct(request.news),
                request.preview,
                request.timeout,
            )
            return provider_pb2.UpdateResponse(properties=to_struct(outputs))

        return self._answer(context, "Update", work)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """End a resource."""

        def work() -> Any:
            self._provider.delete(
                _guarded(request.urn),
                request.id,
                from_struct(request.old_inputs),
                from_struct(request.properties),
                request.timeout,
            )
            return empty_pb2.Empty()

        return self._answer(context, "Delete", work)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Call a function of the cloud."""

        def work() -> Any:
            result = self._provider.invoke(request.tok, from_struct(request.args))
            return provider_pb2.InvokeResponse(**{"return": to_struct(result)})

        return self._answer(context, "Invoke", work)

    def Call(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse: no type the emulators serve has methods."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{request.tok}: methods of resources are not emulated")

    def Construct(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse: remote components are not emulated."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{request.type}: remote components are not emulated")


def _guarded(text: str) -> Urn:
    urn = Urn.parse(text)
    guards.stack(urn.stack)
    return urn


def _difference(difference: Difference) -> Any:
    changes = difference.changes
    top = dict.fromkeys(change.path.replace("[", ".", 1).split(".", 1)[0] for change in changes)
    replaces = dict.fromkeys(change.path.replace("[", ".", 1).split(".", 1)[0] for change in changes if change.replace)
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if changes else response.DIFF_NONE,
        replaces=list(replaces),
        diffs=list(top),
        deleteBeforeReplace=difference.delete_before_replace,
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(kind=KINDS[change.kind, change.replace], inputDiff=True)
            for change in changes
        },
        hasDetailedDiff=True,
    )
