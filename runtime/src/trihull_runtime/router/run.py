"""Wires the router together and runs it until it is told to stop."""

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from trihull_runtime.errors import UsageError
from trihull_runtime.router.binary import find_envoy
from trihull_runtime.router.control import Control
from trihull_runtime.router.envoy import Layout
from trihull_runtime.router.errors import EnvoyError
from trihull_runtime.router.events import Events
from trihull_runtime.router.history import INTERVAL_S
from trihull_runtime.router.knowledge import MEASURE_S, Knowledge
from trihull_runtime.router.process import EnvoyProcess, refuse_occupied
from trihull_runtime.router.settings import Settings
from trihull_runtime.router.shadowing import listen
from trihull_runtime.router.state import StateFolder

SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
LOOK_S = 1.0
HANGS = 3  # times in a row that Envoy does not answer at all (3 s each), after which it is replaced
LOG_LIMIT_BYTES = 16 << 20
BACKOFF_S = (0.1, 5.0)  # first and longest pause before Envoy is started again


def run(settings: Settings) -> None:
    """Run a router until SIGTERM or SIGINT.

    Raises:
        TrihullError: it cannot start; nothing is left behind then.
    """
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    _check_certificates(settings)
    binary = find_envoy()
    state = StateFolder(settings.state)
    try:
        process = EnvoyProcess(binary, layout_of(settings), settings.own_group)
        with contextlib.closing(_listen(settings.admin_host, settings.admin_port)) as admin_socket:
            router = _Router(settings, state, process)
            if await router.start_unless_stopped():
                with contextlib.ExitStack() as stack:
                    metrics_socket = None
                    if settings.metrics_port is not None:
                        metrics_socket = stack.enter_context(_listen(settings.host, settings.metrics_port))
                    shadow_socket = stack.enter_context(listen(process.layout.shadow_socket))
                    await router.serve(admin_socket, shadow_socket, metrics_socket)
    finally:
        state.close()


def layout_of(settings: Settings) -> Layout:
    """Return where Envoy's files are; a socket path that is too long for the system moves to the temporary folder."""
    admin_socket = settings.state / "envoy.sock"
    if len(os.fsencode(admin_socket)) > SOCKET_PATH_LIMIT:
        name = hashlib.sha256(os.fsencode(settings.state)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"trihull-{os.getuid()}-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise EnvoyError(f"{folder} is not ours alone; remove it, or use a state folder with a shorter path")
        admin_socket = folder / "envoy.sock"
    for folder in (settings.state / "envoy", settings.state / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    return Layout(settings.state / "envoy", settings.state / "logs", admin_socket, settings.tls, settings.ingress_tls)


def _check_certificates(settings: Settings) -> None:
    for what, folder in (("client", settings.tls), ("ingress", settings.ingress_tls)):
        for name in ("tls.crt", "tls.key"):
            if folder is not None and not (folder / name).is_file():
                raise UsageError(f"the {what} certificate's folder {folder} has no {name}")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise EnvoyError(f"the address {host}:{port} cannot be used: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        problem = f"the address {host}:{port} cannot be used: {reason}; choose another port"
        raise EnvoyError(problem) from error
    return listener


def _token(settings: Settings) -> str | None:
    """Read what the admin API asks for; raises UsageError when the file cannot be read or holds too little."""
    if settings.admin_token is None:
        return None
    try:
        token = settings.admin_token.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the admin token {settings.admin_token} cannot be read: {error}") from error
    if len(token) < 20:
        raise UsageError(f"the admin token in {settings.admin_token} is too short: at least 20 characters")
    return token


class _Router:
    """The tasks of a running router."""

    def __init__(self, settings: Settings, state: StateFolder, process: EnvoyProcess) -> None:
        self._settings = settings
        self._process = process
        self._events = Events()
        self._control = Control(settings, state, process, self._events)
        self._stopping = asyncio.Event()
        self._knowledge = Knowledge(self._control, process, self._events)

    async def start_unless_stopped(self) -> bool:
        """Start; told to stop meanwhile, end what was started and return False."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        starting, stopping = asyncio.create_task(self._start()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            stopping.cancel()
            starting.result()
            return True
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        if self._process.alive():
            await asyncio.to_thread(self._process.quit)
        return False

    async def _start(self) -> None:
        """Decide, then adopt the Envoy that runs, or start one. What was started here ends when that fails."""
        if not await asyncio.to_thread(self._process.alive):
            refuse_occupied(self._settings.host, self._settings.port, "the ingress")
        configuration = await self._control.boot()
        adopted = await asyncio.to_thread(self._process.adopt, configuration.bootstrap)
        try:
            if not adopted:
                await asyncio.to_thread(self._process.start, configuration.bootstrap)
                await asyncio.to_thread(self._process.wait_ready)
            await self._control.confirm()
        except BaseException:
            if not adopted:
                await asyncio.to_thread(self._process.quit)
            raise
        self._bootstrap = configuration.bootstrap
        pid = await asyncio.to_thread(self._process.pid)
        how = "adopted" if adopted else "started"
        self._events.emit(f"envoy_{how}", f"Envoy {how}, process {pid}", pid=pid)

    async def serve(
        self, admin_socket: socket.socket, shadow_socket: socket.socket, metrics_socket: socket.socket | None
    ) -> None:
        """Run until told to stop, then say goodbye and end Envoy."""
        import uvicorn

        from trihull_runtime.router.admin import Admin, MetricsApp
        from trihull_runtime.router.view import View

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals are ours

        def server(app: Any) -> Server:
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2
            )
            return Server(config)

        view = View(self._control, self._knowledge)
        host, port = admin_socket.getsockname()[:2]
        servers = [
            (server(Admin(self._control, view, _token(self._settings), f"{host}:{port}")), admin_socket),
            (server(self._knowledge.shadowing), shadow_socket),
        ]
        if metrics_socket is not None:
            servers.append((server(MetricsApp(view)), metrics_socket))
        await self._knowledge.begin()
        await self._knowledge.record()
        scheme = "http" if self._settings.ingress_tls is None else "https"
        self._events.emit(
            "ready",
            f"routing at {scheme}://{self._settings.host}:{self._settings.port}, admin at http://{host}:{port}",
            port=self._settings.port,
            admin_port=port,
            control_pid=os.getpid(),
        )
        timings = self._settings.timings
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._every(LOOK_S, self._control.look_at_file)),
                group.create_task(self._every(LOOK_S, self._control.look_at_clients)),
                group.create_task(self._every(timings.resolve_s, self._control.resolve_again)),
                group.create_task(self._every(0.0, self._knowledge.watch)),
                group.create_task(self._every(MEASURE_S, self._knowledge.measure)),
                group.create_task(self._every(INTERVAL_S, self._knowledge.record)),
                group.create_task(self._every(timings.probe_s, self._knowledge.probe)),
                group.create_task(self._every(10.0, self._turn_logs)),
                group.create_task(self._knowledge.shadowing.compare()),
                group.create_task(self._supervise()),
            ]
            running = [group.create_task(each.serve(sockets=[at])) for each, at in servers]
            await self._stopping.wait()
            for task in tasks:
                task.cancel()
            self._knowledge.prober.end()
            await self._leave()
            for each, _ in servers:
                each.should_exit = True
            await asyncio.gather(*running)

    async def _leave(self) -> None:
        self._events.emit("stopping", "health fails now, requests in flight are finished")
        try:
            await asyncio.to_thread(self._process.drain, self._settings.timings.drain_s)
        except EnvoyError as error:
            self._events.emit("drain_failed", str(error), level="warning")
        await asyncio.to_thread(self._process.quit)
        self._events.emit("stopped", "Envoy has ended")

    async def _every(self, pause_s: float, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            try:
                await action()
            except (EnvoyError, OSError) as error:
                self._events.emit("trouble", f"{type(error).__name__}: {error}; trying again", level="error")

    async def _supervise(self) -> None:
        """Start Envoy again when it ended or hangs: at once, then with growing pauses while it does not stay."""
        pause_s, started, hangs = BACKOFF_S[0], time.monotonic(), 0
        asked = time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            if self._process.alive():
                if time.monotonic() - asked > 1:  # a question costs Envoy more than a look at its lock
                    hangs = hangs + 1 if await asyncio.to_thread(self._process.hangs) else 0
                    asked = time.monotonic()
                if hangs < HANGS:
                    continue
                self._events.emit("envoy_hangs", "Envoy does not answer any more and is replaced", level="error")
                await asyncio.to_thread(self._process.quit)
            hangs = 0
            words = await asyncio.to_thread(self._process.last_words)
            self._events.emit("envoy_ended", f"Envoy ended and is started again; it said: {words}", level="error")
            pause_s = BACKOFF_S[0] if time.monotonic() - started > 10 * BACKOFF_S[1] else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_S[1])
            started = time.monotonic()
            try:
                await asyncio.to_thread(self._process.start, self._bootstrap)
                self._process.restarts += 1
                await asyncio.to_thread(self._process.wait_ready)
                await self._knowledge.begin()
            except EnvoyError as error:
                self._events.emit("envoy_failed", str(error), level="error")
                continue
            pid = await asyncio.to_thread(self._process.pid)
            self._events.emit("envoy_started", f"Envoy started again, process {pid}", pid=pid)

    async def _turn_logs(self) -> None:
        """Keep each of Envoy's logs and one older part of it below the limit."""
        layout = self._process.layout
        turned = False
        for path in (layout.access_log, layout.attempts_log, layout.health_log, layout.outlier_log, layout.output):
            if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
                if path == layout.output:
                    os.truncate(path, 0)  # Envoy's own output is appended to and cannot be opened again
                else:
                    path.replace(path.with_suffix(".old"))
                    turned = True
        if turned:
            await asyncio.to_thread(self._process.admin.call, "POST", "/reopen_logs")
