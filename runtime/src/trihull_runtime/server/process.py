"""The server as a process: sockets, models, TLS, signals, drain. The one place where the layers are wired."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trihull_runtime.errors import InputError, UnavailableError
from trihull_runtime.server.app import HealthApp, InferApp, State
from trihull_runtime.server.dataplane import DataPlane
from trihull_runtime.server.metrics import Metrics
from trihull_runtime.server.model import find_folders, load_model
from trihull_runtime.server.settings import Settings
from trihull_runtime.server.tls import RotatingContext
from trihull_runtime.server.writing import WholeWrites

log = logging.getLogger("trihull.server")

# Longer than Envoy keeps an idle upstream connection (one hour): the side that closes first must be the one that sends,
# else a request can meet a closing connection.
KEEP_ALIVE_S = 3700


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, whose answers leave in one piece and whose own refusals are JSON like ours."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Put the writer of whole answers before the transport."""
        super().connection_made(cast(asyncio.Transport, WholeWrites(transport, self.loop)))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        body = msgspec.json.encode({"error": f"the request is not HTTP/1.1: {msg}"})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn's server, whose signals are the process's: two servers share one drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def run(settings: Settings, on_ready: Callable[[], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, drain, and return the exit code.

    Raises:
        UnavailableError: a port is occupied.
        InputError, ContractError: a model or a TLS file cannot be used.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with contextlib.ExitStack() as stack:
        infer_socket = stack.enter_context(_bind(settings.host, settings.port_infer, "TRIHULL_PORT_INFER"))
        health_socket = stack.enter_context(_bind(settings.host, settings.port_health, "TRIHULL_PORT_HEALTH"))
        tls = RotatingContext(settings.tls) if settings.tls is not None else None
        models = {}
        for folder in find_folders(settings.models):
            model = load_model(folder)
            if model.name in models:
                raise InputError(f"{folder}: holds model {model.name!r}, which another folder holds too")
            models[model.name] = model
        data = DataPlane(list(models.values()), settings.inline_ms / 1000)
        stack.callback(data.close)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, data, tls, infer_socket, health_socket, on_ready))


async def _serve(
    settings: Settings,
    data: DataPlane,
    tls: RotatingContext | None,
    infer_socket: socket.socket,
    health_socket: socket.socket,
    on_ready: Callable[[], None] | None,
) -> int:
    state, metrics = State(), Metrics()
    for model in data.models.values():
        metrics.add_release(model.name, model.version, model.release_digest)
    infer_app = InferApp(state, data, metrics, settings.max_in_flight, settings.max_body_bytes)
    infer = _server(infer_app, tls)
    health = _server(HealthApp(state, metrics), None)
    # Tasks and not requests being computed: a model that runs in the event loop leaves its queue in uvicorn.
    infer_app.pending = lambda: len(infer.server_state.tasks)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, number, stop)

    servers = [
        asyncio.create_task(infer.serve([infer_socket])),
        asyncio.create_task(health.serve([health_socket])),
    ]
    watcher = asyncio.create_task(tls.watch(settings.tls_check_s)) if tls is not None else None
    stopping = asyncio.create_task(stop.wait())
    while not (infer.started and health.started):
        await asyncio.sleep(0.005)
        if any(task.done() for task in servers):
            break
    else:
        state.loaded = True
        _announce(settings, data)
        if on_ready is not None:
            on_ready()
    await asyncio.wait([*servers, stopping], return_when=asyncio.FIRST_COMPLETED)
    await _drain(settings, state, infer, health, servers)
    for task in (watcher, stopping):
        if task is not None:
            task.cancel()
    for task in servers:
        task.result()  # a server that ended by an error raises it here
    return 0


async def _drain(
    settings: Settings, state: State, infer: uvicorn.Server, health: uvicorn.Server, servers: list[asyncio.Task[None]]
) -> None:
    """Stop asking for requests, go on serving for the grace, then finish what is in flight and end."""
    state.draining = True
    deadline = asyncio.get_running_loop().time() + settings.drain_s
    log.info(
        "draining: not ready; serving for another %g s, then %g s at most", settings.drain_grace_s, settings.drain_s
    )
    await asyncio.wait(servers, timeout=settings.drain_grace_s, return_when=asyncio.FIRST_COMPLETED)
    infer.should_exit = True
    left = deadline - asyncio.get_running_loop().time()
    _, unfinished = await asyncio.wait(servers[:1], timeout=max(0.0, left))
    if unfinished:
        lost = len(infer.server_state.tasks)
        log.warning("drain time is over: %d requests are cut off", lost)
        infer.force_exit = True
        for task in list(infer.server_state.tasks):
            task.cancel()
    health.should_exit = health.force_exit = True  # last, so that the probe can be answered until the end
    await asyncio.wait(servers)
    log.info("drained")


def _on_signal(number: signal.Signals, stop: asyncio.Event) -> None:
    if stop.is_set():
        log.warning("stopped at once by a second %s", number.name)
        logging.shutdown()
        os._exit(128 + number)  # nothing to put back: no files, no children, and the system closes sockets
    log.info("%s received", number.name)
    stop.set()


def _server(app: InferApp | HealthApp, tls: RotatingContext | None) -> _Server:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_context_factory=(lambda config, default: tls.listening) if tls is not None else None,
    )
    return _Server(config)


def _bind(host: str, port: int, variable: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UnavailableError(f"cannot use {host!r} as an address to listen on: {error.strerror or error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Listening already here: Linux lets two sockets bind one address until one listens.
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise UnavailableError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port with {variable}"
        ) from error
    return sock


def _announce(settings: Settings, data: DataPlane) -> None:
    scheme = "https" if settings.tls is not None else "http"
    for model in data.models.values():
        where = f"{scheme}://{settings.host}:{settings.port_infer}/v2/models/{model.name}"
        log.info("serving %s version %s (%s) at %s", model.name, model.version, model.release_digest, where)
    log.info("health and metrics at http://%s:%d", settings.host, settings.port_health)
